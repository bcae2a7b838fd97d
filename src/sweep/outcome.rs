//! Result of an instance: the one it printed, or one that records why it printed none.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::process::{ExitedProcess, Termination};
use super::{LaunchParams, NONCE_LABEL};
use crate::error::describe;
use crate::result::{
    ClockInfo, ClockSource, EndedBy, Harness, Host, Launch, Noise, Rates, RunResult, SCHEMA, Start,
    Status, Tool, Totals, Workload,
};

/// Tolerance for an instance on this host that appears to have started before its launch, as
/// `started_at` is truncated to a whole second, and another program may adjust the clock.
const SAME_CLOCK: Duration = Duration::from_secs(2);

/// Like [`SAME_CLOCK`], for a separate clock: that of a guest or another host. A day exceeds the
/// error of a clock set to the wrong time zone. The nonce alone proves that a result belongs to
/// this launch; this check only rejects results that are certainly old.
const OTHER_CLOCK: Duration = Duration::from_secs(24 * 60 * 60);

/// An instance that was started, and what its result must record.
#[derive(Debug)]
pub struct LaunchedInstance {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How it was started.
    pub launch: Launch,
    /// Workload that it should measure.
    pub workload: Workload,
    /// Values unique to this launch.
    pub params: LaunchParams,
    /// When its process was started.
    pub launched_at: SystemTime,
}

/// The part of a result that all versions have in common.
#[derive(Deserialize)]
struct SchemaHeader {
    schema: String,
}

impl LaunchedInstance {
    /// Returns the result of an exited process: the one that it printed, if complete and of this
    /// launch.
    pub fn result(self, exited: &ExitedProcess) -> RunResult {
        let has_failed = match exited.termination {
            None | Some(Termination::SweepEnds) => !exited.status.success(),
            Some(Termination::TimedOut(_) | Termination::ExcessiveOutput) => true,
        };
        match self.parse(&exited.stdout) {
            Ok(mut result) => {
                result.labels = self.labels;
                result.launch = Some(self.launch);
                if result.status == Status::Complete && has_failed {
                    result.status = Status::Failed;
                    result.ended_by = EndedBy::Error;
                    let problem = "it printed a complete result, but its launcher failed";
                    result.error = Some(describe_failure(problem, exited));
                }
                result
            }
            Err(problem) => self.failed(describe_failure(&describe(&problem), exited)),
        }
    }

    /// Returns a failed result for an instance that printed none.
    pub fn failed(self, error: String) -> RunResult {
        RunResult {
            schema: SCHEMA.into(),
            tool: Tool::this(),
            started_at: humantime::format_rfc3339_seconds(self.launched_at).to_string(),
            labels: self.labels,
            suite: None,
            launch: Some(self.launch),
            trial: None,
            host: Host::default(),
            clock: ClockInfo {
                source: ClockSource::Monotonic,
                reason: Some("nothing was measured".into()),
                hz: 1e9,
                hz_from: None,
                read_ns: 0.0,
                drift_ppm: None,
            },
            workload: self.workload,
            storage: None,
            memory: None,
            load_latency: None,
            status: Status::Failed,
            ended_by: EndedBy::Error,
            error: Some(error),
            start: self.params.start_at.map(|start_at| Start {
                asked_at: start_at.to_string(),
                late_s: None,
            }),
            totals: Totals::default(),
            rates: Rates::default(),
            harness: Harness::default(),
            latency_ns: None,
            fsync_latency_ns: None,
            open_loop: None,
            service_latency_ns: None,
            threads: Vec::new(),
            noise: Noise::default(),
            accounting: None,
            intervals: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn parse(&self, stdout: &[u8]) -> Result<RunResult> {
        let stdout = std::str::from_utf8(stdout).context("its output is not UTF-8")?;
        ensure!(!stdout.trim().is_empty(), "it printed no result");
        let SchemaHeader { schema } = serde_json::from_str(stdout).map_err(invalid_result)?;
        ensure!(
            schema == SCHEMA,
            "it printed a result with schema {schema}, expected {SCHEMA}"
        );
        let result: RunResult = serde_json::from_str(stdout).map_err(invalid_result)?;
        ensure!(
            result.workload == self.workload,
            "it printed the result of another measurement: {}",
            serde_json::to_string(&result.workload)?
        );
        self.check_fresh(&result)?;
        Ok(result)
    }

    /// Fails if the result does not belong to this launch.
    fn check_fresh(&self, result: &RunResult) -> Result<()> {
        let nonce = result.labels.get(NONCE_LABEL);
        ensure!(
            nonce == Some(&self.params.nonce),
            "it printed the result of another launch: label {NONCE_LABEL} is {}, not {}; the launcher \
             must pass on all of {{args}} and print the new result",
            nonce.map_or("missing", String::as_str),
            self.params.nonce
        );
        let describe = |start: Option<String>| start.unwrap_or("no common start".to_owned());
        let found = result.start.as_ref().map(|start| start.asked_at.clone());
        let expected = self.params.start_at.map(|start_at| start_at.to_string());
        ensure!(
            found == expected,
            "it printed a result with another start time: {}, expected {}",
            describe(found),
            describe(expected)
        );
        self.check_started(result)
    }

    /// Fails if the run started before its launch by more than the clocks may differ.
    fn check_started(&self, result: &RunResult) -> Result<()> {
        let started = humantime::parse_rfc3339(&result.started_at)
            .with_context(|| format!("it printed an invalid start time '{}'", result.started_at))?;
        let tolerated = match self.is_from_this_machine(result) {
            true => SAME_CLOCK,
            false => OTHER_CLOCK,
        };
        let early = self.launched_at.duration_since(started).unwrap_or_default();
        ensure!(
            early <= tolerated,
            "it printed a result that started at {}, {:.0} s before its launch: it is old, or the \
             clock of its host is wrong",
            result.started_at,
            early.as_secs_f64()
        );
        Ok(())
    }

    fn is_from_this_machine(&self, result: &RunResult) -> bool {
        let names = |host: &Host| {
            let host = host.clone();
            (host.hostname, host.kernel, host.virtualization)
        };
        let here = self.launch.host.as_ref();
        here.is_some_and(|here| names(here) == names(&result.host))
    }
}

fn invalid_result(error: serde_json::Error) -> anyhow::Error {
    match error.is_eof() {
        true => anyhow::anyhow!("its output ends within a result: {error}"),
        false => anyhow::anyhow!("its output is not a result: {error}"),
    }
}

/// Describes what happened, with the end of standard error.
fn describe_failure(problem: &str, exited: &ExitedProcess) -> String {
    let exit = exited.describe();
    match exited.stderr.is_empty() {
        true => format!("{problem}; {exit}, empty standard error"),
        false => format!(
            "{problem}; {exit}; end of standard error: {}",
            exited.stderr
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Runner;
    use crate::start::StartAt;

    fn example() -> RunResult {
        serde_json::from_str(include_str!("../../docs/examples/quiet/1.json")).unwrap()
    }

    fn launched(start_at: Option<StartAt>) -> LaunchedInstance {
        let example = example();
        LaunchedInstance {
            labels: BTreeMap::new(),
            launch: Launch {
                command: String::new(),
                measurement: String::new(),
                runner: Runner::Constant,
                concurrency: 1,
                instance: 1,
                count: 1,
                host: Some(example.host),
                tool: None,
            },
            workload: example.workload,
            params: LaunchParams::new(start_at),
            launched_at: SystemTime::now(),
        }
    }

    /// Returns a result of this launch whose run started `early_s` seconds before it.
    fn result(launched: &LaunchedInstance, early_s: u64) -> RunResult {
        let started = launched.launched_at - Duration::from_secs(early_s);
        let nonce = launched.params.nonce.clone();
        RunResult {
            labels: [(NONCE_LABEL.to_owned(), nonce)].into(),
            started_at: humantime::format_rfc3339_seconds(started).to_string(),
            start: launched.params.start_at.map(|start_at| Start {
                asked_at: start_at.to_string(),
                late_s: Some(0.0),
            }),
            ..example()
        }
    }

    #[test]
    fn a_result_of_this_launch_is_accepted() {
        let alone = launched(None);
        alone.check_fresh(&result(&alone, 0)).unwrap();
        let together = launched(Some(StartAt::after(Duration::from_secs(5))));
        together.check_fresh(&result(&together, 0)).unwrap();
    }

    #[test]
    fn a_result_of_another_launch_is_refused() {
        let together = launched(Some(StartAt::after(Duration::from_secs(5))));
        let refused = |launched: &LaunchedInstance, change: &dyn Fn(&mut RunResult)| {
            let mut other = result(&together, 0);
            change(&mut other);
            launched.check_fresh(&other).unwrap_err().to_string()
        };
        let error = refused(&launched(None), &|_| {});
        assert!(error.contains("another launch"), "{error}");
        let error = refused(&together, &|r| r.labels.clear());
        assert!(error.contains("nonce is missing"), "{error}");
        let error = refused(&together, &|r| r.start = None);
        assert!(
            error.contains("another start time: no common start"),
            "{error}"
        );
        let error = refused(&together, &|r| r.started_at = "yesterday".into());
        assert!(error.contains("invalid start time"), "{error}");
    }

    #[test]
    fn the_clock_of_a_guest_may_differ_but_not_that_of_this_host() {
        let alone = launched(None);
        let early = |seconds, hostname: Option<&str>| {
            let mut early = result(&alone, seconds);
            if let Some(name) = hostname {
                early.host.hostname = Some(name.into());
            }
            alone.check_fresh(&early)
        };
        early(1, None).unwrap();
        let error = early(60, None).unwrap_err().to_string();
        assert!(
            error.contains("60 s before its launch") || error.contains("61 s"),
            "{error}"
        );
        early(14 * 3600, Some("guest")).unwrap();
        early(2 * 86400, Some("guest")).unwrap_err();
    }
}
