//! What became of an instance, as a result: the one that it printed, or one that says why not.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::process::{Cut, Ended};
use crate::result::{
    ClockInfo, ClockSource, EndedBy, Harness, Host, Launch, Noise, Rates, RunResult, SCHEMA, Start,
    Status, Tool, Totals, Workload,
};
use crate::start::StartAt;

/// An instance that was started, and what its result has to say of it.
#[derive(Debug)]
pub struct Planned {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How it was started.
    pub launch: Launch,
    /// What it was to measure.
    pub workload: Workload,
    /// When it was to start, if together with others.
    pub start_at: Option<StartAt>,
    /// When its process was started.
    pub launched: SystemTime,
}

#[derive(Deserialize)]
struct AnyVersion {
    schema: String,
}

impl Planned {
    /// The result of a process that has ended: its own where that is whole and of this measurement.
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

    /// The result of an instance that gave none.
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
            start: self.start_at.map(|moment| Start {
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
        Ok(result)
    }
}

fn no_result(error: serde_json::Error) -> anyhow::Error {
    match error.is_eof() {
        true => anyhow::anyhow!("its output ends within a result ({error})"),
        false => anyhow::anyhow!("what it printed is no result ({error})"),
    }
}

/// What happened, and the end of its standard error.
fn told(ended: &Ended, what: &str) -> String {
    let how = ended.in_words();
    match ended.stderr.is_empty() {
        true => format!("{what}; {how}, nothing on standard error"),
        false => format!("{what}; {how}; its standard error ends: {}", ended.stderr),
    }
}
