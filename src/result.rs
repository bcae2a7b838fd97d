//! The result document of a run.
//!
//! Field names are a stable interface: fields are added, never renamed or given another unit; a
//! breaking change increments the number in [`SCHEMA`]. Names contain their units.
//! `schema/wbench.result-1.json` is the JSON Schema generated from these types.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::plan::{
    ClockChoice, CpuParams, FileioParams, Limits, MemoryOper, MemoryParams, RunPlan, Test,
};

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
    /// Position in a sweep; null for a single run.
    #[serde(default)]
    pub launch: Option<Launch>,
    /// Machine that it ran on.
    pub host: Host,
    /// Clock that timed events.
    pub clock: ClockInfo,
    /// Test and parameters.
    pub workload: Workload,
    /// Storage of the test files; null except for fileio.
    pub storage: Option<Storage>,
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
    /// Latency of events; null if there were none.
    pub latency_ns: Option<Latency>,
    /// Latency of fsyncs, whether periodic, final or after each write; null if there were none.
    pub fsync_latency_ns: Option<Latency>,
    /// Totals of each worker thread.
    pub threads: Vec<ThreadTotals>,
    /// Activity of the machine during the run.
    pub noise: Noise,
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

/// Position of a run in a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SuiteRun {
    /// Name of the profile.
    pub profile: String,
    /// Name of the measurement in the profile.
    pub measurement: String,
    /// Round of the suite, from 1.
    pub round: u32,
    /// Factor applied to the times, events, total sizes and file sets of the profile.
    pub scale: f64,
}

/// Position of a run in a sweep. Its environment is the label `env`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Launch {
    /// Command of the launcher with its placeholders; empty if wbench was started directly.
    pub command: String,
    /// Arguments of the measurement.
    pub measurement: String,
    /// How instances follow each other.
    pub runner: Runner,
    /// Concurrency: instances running at the same time.
    pub concurrency: u32,
    /// Number of this instance, from 1, within its environment and concurrency.
    pub instance: u32,
    /// Number of instances per environment and concurrency.
    pub count: u32,
    /// Machine that ran the sweep, which is not the host of an instance on another machine; null
    /// if unknown.
    #[serde(default)]
    pub host: Option<Host>,
    /// Program that ran the sweep; null if unknown.
    #[serde(default)]
    pub tool: Option<Tool>,
}

/// How instances follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// Keep K instances running: the first K start together, a new one starts when one ends
    #[default]
    Constant,
    /// Start K instances together, and the next K when all have ended
    Waves,
}

/// Description of the machine. Unknown values are null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Host {
    /// Host name.
    pub hostname: Option<String>,
    /// Distribution (`PRETTY_NAME` of os-release).
    pub os: Option<String>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Machine architecture, as in uname(2).
    pub arch: Option<String>,
    /// CPU model name.
    pub cpu_model: Option<String>,
    /// Number of CPUs that this process may run on.
    pub cpus: u32,
    /// Size of main memory.
    pub memory_bytes: Option<u64>,
    /// Hypervisor, or "none" on bare metal.
    pub virtualization: Option<String>,
    /// Container runtime, or "none" outside of containers.
    pub container: Option<String>,
    /// Limits of the cgroup.
    pub cgroup: Cgroup,
    /// Clock source of the kernel.
    pub clocksource: Option<String>,
    /// CPU frequency governor, if it is the same on all CPUs.
    pub cpu_governor: Option<String>,
    /// Transparent huge page policy of the kernel.
    #[serde(default)]
    pub transparent_hugepage: Option<String>,
}

/// Limits of the cgroup: the tightest on the path to the root.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cgroup {
    /// Version of the hierarchy that limits were read from, "v1" or "v2"; null if no hierarchy is
    /// visible, so that the limits are unknown.
    #[serde(default)]
    pub version: Option<String>,
    /// CPU quota, in CPUs; null = no quota, if `version` is known.
    pub cpu_quota_cpus: Option<f64>,
    /// Memory limit; null = no limit, if `version` is known.
    pub memory_limit_bytes: Option<u64>,
}

/// Clock that timed events, and how reliable it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClockInfo {
    /// Time source.
    pub source: ClockSource,
    /// Why the TSC was not used, else null.
    pub reason: Option<String>,
    /// Ticks per second.
    pub hz: f64,
    /// Origin of `hz`.
    #[serde(default)]
    pub hz_from: Option<HzFrom>,
    /// Cost of one reading.
    pub read_ns: f64,
    /// Drift against CLOCK_MONOTONIC_RAW over the run, in parts per million; null if the run did
    /// not take place.
    pub drift_ppm: Option<f64>,
}

/// Time source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClockSource {
    /// Time stamp counter of the CPU.
    Tsc,
    /// CLOCK_MONOTONIC.
    Monotonic,
}

impl fmt::Display for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tsc => "TSC",
            Self::Monotonic => "CLOCK_MONOTONIC",
        })
    }
}

/// Origin of a clock's frequency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HzFrom {
    /// CPUID leaf 15h.
    CpuidTsc,
    /// CPUID leaf 40000010h of the hypervisor.
    CpuidHypervisor,
    /// Calibrated against CLOCK_MONOTONIC_RAW.
    Calibration,
    /// Fixed by definition.
    Definition,
}

/// Test and parameters.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Workload {
    /// "cpu", "memory" or "fileio".
    pub test: String,
    /// Worker threads.
    pub threads: u64,
    /// All parameters, with the values in force.
    pub params: Params,
}

/// Parameters of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Params {
    /// Parameters of the test.
    #[serde(flatten)]
    pub test: Test,
    /// Limits that end the run.
    #[serde(flatten)]
    pub limits: Limits,
    /// Percentile shown in reports that show a single one.
    pub percentile: u8,
    /// Seed of the random number streams; null = the fixed stream of sysbench 0.4.12.
    pub seed: Option<u32>,
    /// Whether worker i was pinned to the i-th allowed CPU.
    pub pin: bool,
    /// Requested clock.
    pub clock: ClockChoice,
    /// Length of a report interval in seconds; null = no intervals.
    pub report_interval_s: Option<f64>,
}

impl Params {
    /// Whether events do nothing, on purpose.
    pub fn is_empty_event(&self) -> bool {
        matches!(&self.test, Test::Memory(memory) if memory.oper == MemoryOper::None)
    }
}

impl<'de> Deserialize<'de> for Workload {
    /// Fails if the parameters are not those of the named test, with the parameter that is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Unchecked {
            test: String,
            threads: u64,
            params: Value,
        }
        let Unchecked {
            test,
            threads,
            params,
        } = Unchecked::deserialize(deserializer)?;
        let wrong = |reason: String| D::Error::custom(format_args!("workload.params: {reason}"));
        let read = Params::deserialize(&params).map_err(|error| {
            wrong(wrong_param(&test, &params).unwrap_or_else(|| error.to_string()))
        })?;
        match read.test.name() == test {
            true => Ok(Self {
                test,
                threads,
                params: read,
            }),
            false => Err(wrong(format!(
                "the parameters are those of the {} test, but workload.test is '{test}'",
                read.test.name()
            ))),
        }
    }
}

/// What is wrong with the parameters of a test, if one of them is to blame.
fn wrong_param(test: &str, params: &Value) -> Option<String> {
    let error_of = |params: &Value| match test {
        "cpu" => CpuParams::deserialize(params).err(),
        "memory" => MemoryParams::deserialize(params).err(),
        "fileio" => FileioParams::deserialize(params).err(),
        _ => None,
    };
    let error = error_of(params)?;
    let zeros = params.as_object()?.iter().filter(|(_, value)| **value == 0);
    for (name, _) in zeros {
        let mut corrected = params.clone();
        corrected[name] = 1.into();
        let next = error_of(&corrected);
        if next.is_none_or(|next| next.to_string() != error.to_string()) {
            return Some(format!("{name} is 0: expected a whole number, 1 or more"));
        }
    }
    Some(error.to_string())
}

impl Workload {
    /// Returns the workload of a plan.
    pub fn of(plan: &RunPlan) -> Self {
        Self {
            test: plan.test.name().into(),
            threads: plan.threads.get() as u64,
            params: Params {
                test: plan.test.clone(),
                limits: plan.limits,
                percentile: plan.percentile,
                seed: plan.seed.0,
                pin: plan.pin,
                clock: plan.clock,
                report_interval_s: plan.report_interval.map(|i| i.as_secs_f64()),
            },
        }
    }
}

/// Storage of the test files. Unknown values are null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Storage {
    /// Absolute path of the directory.
    pub path: String,
    /// File system type.
    pub filesystem: Option<String>,
    /// Block device of the file system.
    pub device: Option<String>,
    /// I/O scheduler of the device.
    pub scheduler: Option<String>,
    /// Whether the device reports itself as rotational.
    pub rotational: Option<bool>,
    /// Write cache mode of the device as the kernel reports it: "write back" if it has a volatile
    /// cache that a flush must empty, else "write through".
    #[serde(default)]
    pub write_cache: Option<String>,
    /// Loop device: whether it opens its backing file with O_DIRECT; null for other devices, and
    /// if unknown.
    #[serde(default)]
    pub loop_direct_io: Option<bool>,
    /// Whether parts of the files are known to have never been written, so that reading them
    /// reaches no device; null if the run creates its files.
    #[serde(default)]
    pub unwritten: Option<bool>,
    /// State of the page cache before the run; null with O_DIRECT, or if the run creates its files.
    #[serde(default)]
    pub page_cache: Option<PageCache>,
}

/// Test files in the page cache before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PageCache {
    /// Size of all test files.
    pub set_bytes: u64,
    /// Bytes of them that were in the page cache.
    pub resident_bytes: u64,
    /// Upper bound of the page cache: the memory of the machine or the limit of the cgroup,
    /// whichever is smaller; null if unknown.
    pub memory_bytes: Option<u64>,
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

/// Totals over all threads of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Totals {
    /// Wall-clock time from before files are opened and threads created until the last thread has
    /// ended, without the wait for a start time.
    pub wall_s: f64,
    /// Number of events.
    pub events: u64,
    /// Sum of the latencies of all events.
    pub event_time_s: f64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Number of read requests.
    pub reads: u64,
    /// Number of write requests.
    pub writes: u64,
    /// Number of fsync, fdatasync or msync calls.
    pub fsyncs: u64,
}

/// Totals divided by the wall-clock time, as in sysbench.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rates {
    /// Events per second.
    pub events_per_s: f64,
    /// Mebibytes (2^20 bytes) read and written per second.
    pub mib_per_s: f64,
}

impl Rates {
    /// Returns the rates over a time; 0 if no time passed.
    pub fn over(events: u64, bytes: u64, seconds: f64) -> Self {
        let per_second = |n: f64| if seconds > 0.0 { n / seconds } else { 0.0 };
        Self {
            events_per_s: per_second(events as f64),
            mib_per_s: per_second(bytes as f64 / f64::from(1 << 20)),
        }
    }
}

/// Overhead of the measurement, from a short run of empty events with the same engine, clock and
/// number of threads, but at most one per CPU, before the run. It is not subtracted from any number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Harness {
    /// CPU time per event besides its work: claiming it, reading the clock, recording it.
    /// Null if the run ended before it was measured.
    pub event_overhead_ns: Option<f64>,
    /// Median latency of the empty events: the part that every latency includes.
    #[serde(default)]
    pub latency_floor_ns: Option<f64>,
}

/// Latency distribution, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Latency {
    /// Minimum, exact.
    pub min: u64,
    /// Mean, exact.
    pub mean: f64,
    /// Maximum, exact.
    pub max: u64,
    /// Population standard deviation, exact.
    pub stddev: f64,
    /// Median; percentiles have 3 significant digits.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p99_9: u64,
    /// The whole distribution: HdrHistogram V2 with DEFLATE, in base64; values in nanoseconds.
    pub histogram: String,
}

/// Totals of one worker thread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ThreadTotals {
    /// Number of events.
    pub events: u64,
    /// Sum of their latencies.
    pub event_time_s: f64,
}

/// Activity of the machine during the run. Unknown values are null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Noise {
    /// Steal time, summed over all CPUs: the hypervisor ran others while a CPU of this machine was
    /// ready to run (`steal` in proc_stat(5)).
    pub steal_s: Option<f64>,
    /// User CPU time of this process.
    pub user_s: Option<f64>,
    /// System CPU time of this process.
    pub system_s: Option<f64>,
    /// Involuntary context switches of this process.
    pub involuntary_switches: Option<u64>,
    /// Time that worker threads were ready to run but waited for a CPU, summed over the threads,
    /// from just before the common start to the last event of each.
    #[serde(default)]
    pub runqueue_wait_s: Option<f64>,
}

/// Statistics of one report interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Interval {
    /// End of the interval, in seconds since the start of the run.
    pub at_s: f64,
    /// Rate of the events that completed in the interval.
    pub events_per_s: f64,
    /// Mebibytes (2^20 bytes) per second of these events.
    pub mib_per_s: f64,
    /// 95th percentile of their latencies; null if there were none.
    pub p95_ns: Option<u64>,
    /// Rate of read requests; null in results of older versions.
    #[serde(default)]
    pub reads_per_s: Option<f64>,
    /// Rate of write requests; null in results of older versions.
    #[serde(default)]
    pub writes_per_s: Option<f64>,
    /// Rate of fsyncs; null in results of older versions.
    #[serde(default)]
    pub fsyncs_per_s: Option<f64>,
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

    #[test]
    fn rates_over_no_time_are_zero() {
        assert_eq!(Rates::over(5, 1 << 20, 0.0), Rates::default());
        assert_eq!(Rates::over(5, 1 << 20, 0.5).mib_per_s, 2.0);
    }
}
