//! Result of an instance: the one it printed, or one that records why it printed none.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::process::{Cut, Ended};
use super::{NONCE_LABEL, Ticket};
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
pub struct Planned {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How it was started.
    pub launch: Launch,
    /// Workload that it should measure.
    pub workload: Workload,
    /// Values unique to this launch.
    pub ticket: Ticket,
    /// When its process was started.
    pub launched: SystemTime,
}

#[derive(Deserialize)]
struct AnyVersion {
    schema: String,
}

impl Planned {
    /// Returns the result of an ended process: its own, if whole and of this measurement.
    pub fn result(self, ended: &Ended) -> RunResult {
        let says_no_success =
            !ended.status.success() || ended.cut.is_some_and(|cut| cut != Cut::SweepEnds);
        match self.parsed(&ended.stdout) {
            Ok(mut result) => {
                result.labels = self.labels;
                result.launch = Some(self.launch);
                if result.status == Status::Complete && says_no_success {
                    result.status = Status::Failed;
                    result.ended_by = EndedBy::Error;
                    result.error =
                        Some(told(ended, "its result is whole, but its launcher failed"));
                }
                result
            }
            Err(reason) => {
                let reason = format!("{reason:#}");
                let error = told(ended, &reason);
                self.failed(error)
            }
        }
    }

    /// Returns a failed result for an instance that printed none.
    pub fn failed(self, error: String) -> RunResult {
        RunResult {
            schema: SCHEMA.into(),
            tool: Tool::this(),
            started_at: humantime::format_rfc3339_seconds(self.launched).to_string(),
            labels: self.labels,
            suite: None,
            launch: Some(self.launch),
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
            status: Status::Failed,
            ended_by: EndedBy::Error,
            error: Some(error),
            start: self.ticket.start_at.map(|moment| Start {
                asked_at: moment.to_string(),
                late_s: None,
            }),
            totals: Totals::default(),
            rates: Rates::default(),
            harness: Harness::default(),
            latency_ns: None,
            fsync_latency_ns: None,
            threads: Vec::new(),
            noise: Noise::default(),
            intervals: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn parsed(&self, stdout: &[u8]) -> Result<RunResult> {
        let stdout = std::str::from_utf8(stdout).context("what it printed is no text")?;
        ensure!(!stdout.trim().is_empty(), "it printed no result");
        let AnyVersion { schema } = serde_json::from_str(stdout).map_err(no_result)?;
        ensure!(
            schema == SCHEMA,
            "it printed a document of {schema}, not of {SCHEMA}"
        );
        let result: RunResult = serde_json::from_str(stdout).map_err(no_result)?;
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
            nonce == Some(&self.ticket.nonce),
            "it printed a result that is not of this launch: label {NONCE_LABEL} is {}, not {}; the \
             launcher has to hand on all of {{args}}, and to print the new result",
            nonce.map_or("missing", |nonce| nonce),
            self.ticket.nonce
        );
        let asked = |start: Option<String>| start.unwrap_or("no common start".to_owned());
        let found = result.start.as_ref().map(|start| start.asked_at.clone());
        let wanted = self.ticket.start_at.map(|moment| moment.to_string());
        ensure!(
            found == wanted,
            "it printed a result with another start: {}, not {}",
            asked(found),
            asked(wanted)
        );
        self.check_started(result)
    }

    /// Fails if the run started before its launch by more than the clocks may differ.
    fn check_started(&self, result: &RunResult) -> Result<()> {
        let started = humantime::parse_rfc3339(&result.started_at)
            .with_context(|| format!("it printed an invalid start time '{}'", result.started_at))?;
        let tolerated = match self.is_of_this_machine(result) {
            true => SAME_CLOCK,
            false => OTHER_CLOCK,
        };
        let early = self.launched.duration_since(started).unwrap_or_default();
        ensure!(
            early <= tolerated,
            "it printed a result that started at {}, {:.0} s before its launch: it is old, or the \
             clock of its host has to be set",
            result.started_at,
            early.as_secs_f64()
        );
        Ok(())
    }

    fn is_of_this_machine(&self, result: &RunResult) -> bool {
        let names = |host: &Host| {
            let host = host.clone();
            (host.hostname, host.kernel, host.virtualization)
        };
        let here = self.launch.host.as_ref();
        here.is_some_and(|here| names(here) == names(&result.host))
    }
}

fn no_result(error: serde_json::Error) -> anyhow::Error {
    match error.is_eof() {
        true => anyhow::anyhow!("its output ends within a result ({error})"),
        false => anyhow::anyhow!("what it printed is no result ({error})"),
    }
}

/// Describes what happened, with the end of standard error.
fn told(ended: &Ended, what: &str) -> String {
    let how = ended.in_words();
    match ended.stderr.is_empty() {
        true => format!("{what}; {how}, nothing on standard error"),
        false => format!("{what}; {how}; its standard error ends: {}", ended.stderr),
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

    fn planned(start_at: Option<StartAt>) -> Planned {
        let example = example();
        Planned {
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
            ticket: Ticket::new(start_at),
            launched: SystemTime::now(),
        }
    }

    /// Returns a result of this launch whose run started `early_s` seconds before it.
    fn result(planned: &Planned, early_s: u64) -> RunResult {
        let started = planned.launched - Duration::from_secs(early_s);
        let nonce = planned.ticket.nonce.clone();
        RunResult {
            labels: [(NONCE_LABEL.to_owned(), nonce)].into(),
            started_at: humantime::format_rfc3339_seconds(started).to_string(),
            start: planned.ticket.start_at.map(|moment| Start {
                asked_at: moment.to_string(),
                late_s: Some(0.0),
            }),
            ..example()
        }
    }

    #[test]
    fn a_result_of_this_launch_is_accepted() {
        let alone = planned(None);
        alone.check_fresh(&result(&alone, 0)).unwrap();
        let together = planned(Some(StartAt::after(Duration::from_secs(5))));
        together.check_fresh(&result(&together, 0)).unwrap();
    }

    #[test]
    fn a_result_of_another_launch_is_refused() {
        let together = planned(Some(StartAt::after(Duration::from_secs(5))));
        let refused = |planned: &Planned, change: &dyn Fn(&mut RunResult)| {
            let mut other = result(&together, 0);
            change(&mut other);
            planned.check_fresh(&other).unwrap_err().to_string()
        };
        let error = refused(&planned(None), &|_| {});
        assert!(error.contains("not of this launch"), "{error}");
        let error = refused(&together, &|r| r.labels.clear());
        assert!(error.contains("nonce is missing"), "{error}");
        let error = refused(&together, &|r| r.start = None);
        assert!(error.contains("another start: no common start"), "{error}");
        let error = refused(&together, &|r| r.started_at = "yesterday".into());
        assert!(error.contains("invalid start time"), "{error}");
    }

    #[test]
    fn the_clock_of_a_guest_may_differ_but_not_that_of_this_host() {
        let alone = planned(None);
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
