//! Which results of an interrupted suite count, and whether it is the same suite.

use std::collections::HashSet;

use anyhow::{Result, bail, ensure};

use super::PlannedRun;
use crate::result::{Host, RunResult, Status, SuiteRun, Tool, Workload};
use crate::resume::{Configuration, check_possible};

/// A suite as its runs would be made now.
#[derive(Debug, Clone, Copy)]
pub struct CurrentSuite<'a> {
    /// Its runs, at least those of the first round.
    pub runs: &'a [PlannedRun],
    /// The machine.
    pub host: &'a Host,
    /// Absolute path of the directory of the test files.
    pub dir: &'a str,
}

impl CurrentSuite<'_> {
    /// Returns the results that count: those of complete runs, each run once.
    ///
    /// Fails if a result belongs to another suite: another profile, other parameters or labels,
    /// another host, directory or program version.
    pub fn keep_complete(&self, found: Vec<RunResult>) -> Result<Vec<RunResult>> {
        let mut seen = HashSet::new();
        let mut kept = Vec::with_capacity(found.len());
        for result in found {
            let SuiteRun {
                measurement, round, ..
            } = self.check(&result)?;
            if result.status == Status::Complete && seen.insert((measurement, round)) {
                kept.push(result);
            }
        }
        Ok(kept)
    }

    /// Returns which run of this suite a result belongs to; fails if it belongs to another suite.
    fn check(&self, result: &RunResult) -> Result<SuiteRun> {
        check_possible(result)?;
        let Some(position) = &result.suite else {
            bail!("it contains a result that is not part of a suite");
        };
        ensure!(
            position.round > 0,
            "it contains a result of {} with round 0: rounds are counted from 1",
            position.measurement
        );
        let same = self.runs.iter().find(|run| {
            let first = SuiteRun {
                round: run.position.round,
                ..position.clone()
            };
            first == run.position
        });
        let Some(run) = same else {
            let this = self.runs.first().map(|run| &run.position);
            let this = this.map_or(String::new(), |position| {
                format!("{} at scale {}", position.profile, position.scale)
            });
            bail!(
                "it belongs to another suite: it contains {} of {} at scale {}, this is {this}",
                position.measurement,
                position.profile,
                position.scale,
            );
        };
        self.check_configuration(result, run)?;
        Ok(position.clone())
    }

    fn check_configuration(&self, result: &RunResult, run: &PlannedRun) -> Result<()> {
        let then = Configuration {
            tool: Some(&result.tool),
            host: Some(&result.host),
            workload: &result.workload,
            labels: &result.labels,
            dir: result.storage.as_ref().map(|storage| &*storage.path),
        };
        let (tool, workload) = (Tool::this(), Workload::of(&run.plan));
        let now = Configuration {
            tool: Some(&tool),
            host: Some(self.host),
            workload: &workload,
            labels: &run.plan.labels,
            dir: run.plan.files.as_ref().map(|_| self.dir),
        };
        then.check_unchanged(&now, &run.position.measurement)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::plan::{RunPlan, Seed};

    fn example() -> RunResult {
        let example = include_str!("../../docs/examples/quiet/1.json");
        let mut result: RunResult = serde_json::from_str(example).unwrap();
        result.tool = Tool::this();
        result.labels.clear();
        result
    }

    /// Returns the run that the example is a result of.
    fn planned() -> PlannedRun {
        let Workload {
            threads, params, ..
        } = example().workload;
        PlannedRun {
            position: SuiteRun {
                profile: "study".into(),
                measurement: "cpu".into(),
                round: 1,
                scale: 1.0,
            },
            plan: RunPlan {
                test: params.test,
                threads: usize::try_from(threads).unwrap().try_into().unwrap(),
                limits: params.limits,
                percentile: params.percentile,
                seed: Seed(params.seed),
                arrivals: None,
                warmup: None,
                pin: params.pin,
                clock: params.clock,
                report_interval: params.report_interval_s.map(Duration::from_secs_f64),
                stack_size: None,
                labels: BTreeMap::new(),
                files: None,
                start_at: None,
                timed_from_start: false,
            },
        }
    }

    /// Returns a result of the planned run in this round.
    fn result(round: u32) -> RunResult {
        let suite = Some(SuiteRun {
            round,
            ..planned().position
        });
        RunResult { suite, ..example() }
    }

    fn keep(found: Vec<RunResult>) -> Result<Vec<RunResult>> {
        let suite = CurrentSuite {
            runs: &[planned()],
            host: &example().host,
            dir: "/data",
        };
        suite.keep_complete(found)
    }

    #[test]
    fn only_complete_results_count_and_each_round_once() {
        let interrupted = RunResult {
            status: Status::Interrupted,
            ..result(2)
        };
        let found = vec![result(1), interrupted, result(1), result(3)];
        assert_eq!(keep(found).unwrap(), [result(1), result(3)]);
    }

    #[test]
    fn a_result_of_another_suite_is_refused_and_the_difference_named() {
        type Change = fn(&mut RunResult);
        let changes: [(Change, &str); 6] = [
            (|r| r.suite = None, "not part of a suite"),
            (
                |r| r.host.hostname = Some("other".into()),
                "host other, not ",
            ),
            (|r| r.suite.as_mut().unwrap().round = 0, "round 0"),
            (|r| r.suite.as_mut().unwrap().scale = 0.5, "at scale 0.5"),
            (|r| r.totals.events = 0, "0 events"),
            (|r| r.schema = "x/1".into(), "schema x/1"),
        ];
        for (change, text) in changes {
            let mut other = result(1);
            change(&mut other);
            let error = keep(vec![other]).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
