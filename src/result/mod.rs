//! The result document of a run.
//!
//! Field names are a stable interface: fields are added, never renamed or given another unit; a
//! breaking change increments the number in [`SCHEMA`]. Names contain their units.
//! `schema/wbench.result-1.json` is the JSON Schema generated from these types.

mod accounting;
mod clock;
mod host;
mod latency;
mod memory;
mod open_loop;
mod series;
mod storage;
mod totals;
mod workload;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use accounting::{Accounting, DeviceActivity, IoLimits, Pressure, PressureTotals};
pub use clock::{ClockInfo, ClockSource, HzFrom};
pub use host::{Cgroup, Confinement, Host, Noise, Topology};
pub use latency::Latency;
pub use memory::{BlockMemory, LoadLatency};
pub use open_loop::OpenLoop;
pub use series::{Launch, Runner, SuiteRun, TrialRun};
pub use storage::{PageCache, Storage};
pub use totals::{Harness, Interval, Rates, ThreadTotals, Totals};
pub use workload::{Params, Workload};

/// Identifier of the schema that this version writes.
pub const SCHEMA: &str = "wbench.result/1";

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunResult {
    /// Identifier of this schema.
    pub schema: String,
    /// Program that made the measurement.
    pub tool: Tool,
    /// When the run started, RFC 3339 in UTC.
    pub started_at: String,
    /// Labels of the run (`--label`).
    pub labels: BTreeMap<String, String>,
    /// Position in a suite; null for a single run.
    #[serde(default)]
    pub suite: Option<SuiteRun>,
    /// How a sweep or a trial started the run; null for a single run.
    #[serde(default)]
    pub launch: Option<Launch>,
    /// Position in a trial; null for a single run.
    #[serde(default)]
    pub trial: Option<TrialRun>,
    /// Machine that it ran on.
    pub host: Host,
    /// Clock that timed events.
    pub clock: ClockInfo,
    /// Test and parameters.
    pub workload: Workload,
    /// Storage of the test files; null except for fileio.
    pub storage: Option<Storage>,
    /// Pages below the blocks of the memory test; null for other tests, and if the run never began.
    #[serde(default)]
    pub memory: Option<BlockMemory>,
    /// Latency of the loads of the memory test with `oper` "chase"; null for others, and without events.
    #[serde(default)]
    pub load_latency: Option<LoadLatency>,
    /// Outcome of the run.
    pub status: Status,
    /// What ended the run.
    pub ended_by: EndedBy,
    /// Error message of a failed run, else null.
    pub error: Option<String>,
    /// The start time that the run waited for (`--start-at`), else null.
    #[serde(default)]
    pub start: Option<Start>,
    /// Totals over all threads.
    pub totals: Totals,
    /// Totals divided by `totals.wall_s`.
    pub rates: Rates,
    /// Overhead of the measurement itself.
    pub harness: Harness,
    /// How events kept up with their arrivals in an open loop (`--rate`); null in a closed loop.
    #[serde(default)]
    pub open_loop: Option<OpenLoop>,
    /// Latency of events, in an open loop from their arrival; null if there were none.
    pub latency_ns: Option<Latency>,
    /// Latency of events in an open loop from their start, without the wait for it; null in a closed
    /// loop.
    #[serde(default)]
    pub service_latency_ns: Option<Latency>,
    /// Latency of fsyncs, whether periodic, final or after each write; null if there were none.
    pub fsync_latency_ns: Option<Latency>,
    /// Totals of each worker thread.
    pub threads: Vec<ThreadTotals>,
    /// Activity of the machine during the run.
    pub noise: Noise,
    /// Where the time of the worker threads went; null if the run never began, or if it was
    /// abandoned because threads hung.
    #[serde(default)]
    pub accounting: Option<Accounting>,
    /// Report intervals (`--report-interval`).
    pub intervals: Vec<Interval>,
    /// Reasons why a number of this run may mislead.
    pub warnings: Vec<Warning>,
}

/// A program and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tool {
    /// The program's name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Tool {
    /// Returns the name and version of this program.
    pub fn this() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// Outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Ended by its own limits.
    Complete,
    /// Ended by a signal.
    Interrupted,
    /// Ended by an error, or abandoned because it hung.
    Failed,
}

/// What ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// All work was done.
    Work,
    /// The time limit was reached.
    Time,
    /// A signal.
    Signal,
    /// An error.
    Error,
    /// It hung and was abandoned at the forced shutdown.
    ForcedShutdown,
}

/// Start at a given time, common to several runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Start {
    /// Requested start time, RFC 3339 in UTC to the nanosecond.
    pub asked_at: String,
    /// Time from then until the first thread started, on CLOCK_REALTIME; null if the run ended
    /// before.
    pub late_s: Option<f64>,
}

/// Reason why a number may mislead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Warning {
    /// Stable identifier.
    pub code: String,
    /// Explanation.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/wbench.result-1.json");

    #[test]
    fn the_published_schema_matches_these_types() {
        let mut schema = serde_json::to_value(schemars::schema_for!(RunResult)).unwrap();
        schema["title"] = "A result of wbench".into();
        schema["properties"]["schema"]["const"] = SCHEMA.into();
        let made = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("WBENCH_WRITE_SCHEMA").is_some() {
            std::fs::write(SCHEMA_FILE, &made).unwrap();
        }
        let published = std::fs::read_to_string(SCHEMA_FILE).unwrap();
        assert!(
            published == made,
            "schema/wbench.result-1.json is out of date; `make schema` regenerates it"
        );
    }
}
