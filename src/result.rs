//! The result document: what one run writes and everything else reads.
//!
//! Its names are a promise to `compare`, Rally, notebooks and `jq`: a field is added, never
//! renamed or given another unit; a breaking change raises the number in [`SCHEMA`]. Units
//! stand in the names. `schema/wbench.result-1.json` is the JSON Schema made from these types.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{ClockChoice, Limits, MemoryOper, RunPlan, Test};

/// The schema that this version writes.
pub const SCHEMA: &str = "wbench.result/1";

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunResult {
    /// [`SCHEMA`].
    pub schema: String,
    /// The program that measured.
    pub tool: Tool,
    /// When the run started, RFC 3339 in UTC.
    pub started_at: String,
    /// What the user said of this run (`--label`).
    pub labels: BTreeMap<String, String>,
    /// Its place in a suite; null for a run of its own.
    #[serde(default)]
    pub suite: Option<SuiteRun>,
    /// The sweep that it was an instance of (`wbench sweep`), else null.
    #[serde(default)]
    pub launch: Option<Launch>,
    /// Where it ran.
    pub host: Host,
    /// What timed it.
    pub clock: ClockInfo,
    /// What ran.
    pub workload: Workload,
    /// Where the test files were (file I/O), else null.
    pub storage: Option<Storage>,
    /// How it ended.
    pub status: Status,
    /// What ended it.
    pub ended_by: EndedBy,
    /// Why it failed, else null.
    pub error: Option<String>,
    /// The moment that the run waited for (`--start-at`), else null.
    #[serde(default)]
    pub start: Option<Start>,
    /// Sums over the run.
    pub totals: Totals,
    /// Sums divided by `totals.wall_s`.
    pub rates: Rates,
    /// What measuring cost.
    pub harness: Harness,
    /// Durations of the events; null where there was none.
    pub latency_ns: Option<Latency>,
    /// Durations of periodic and final fsyncs, and of those that follow each write; null where
    /// there was none.
    pub fsync_latency_ns: Option<Latency>,
    /// Each worker thread.
    pub threads: Vec<ThreadTotals>,
    /// What else the machine did meanwhile.
    pub noise: Noise,
    /// Each interval of `--report-interval`.
    pub intervals: Vec<Interval>,
    /// Why a figure of this run may mislead.
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
    /// This program.
    pub fn this() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// The place of a run in a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SuiteRun {
    /// The profile's name.
    pub profile: String,
    /// The measurement's name in the profile.
    pub measurement: String,
    /// The round of the suite that it belongs to, from 1.
    pub round: u32,
    /// By this the profile's times, events, totals and file sets were multiplied; 1 = as the
    /// profile has them.
    pub scale: f64,
}

/// What started a run as one of many. Its environment is the label `env`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Launch {
    /// The launcher's command as it was typed, with its placeholders; empty where this program was
    /// started by itself.
    pub command: String,
    /// The measurement's words as they were typed.
    pub measurement: String,
    /// Which instances start together.
    pub runner: Runner,
    /// Instances at a time.
    pub concurrency: u32,
    /// The number of this one, from 1, among those of its environment and concurrency.
    pub instance: u32,
    /// Of how many.
    pub count: u32,
}

/// How instances follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// The first start together; where one ends, the next takes its place at once
    #[default]
    Constant,
    /// All start together, wave after wave: the next when the last of a wave has ended
    Waves,
}

/// The fingerprint of the machine. What could not be found out is null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Host {
    /// The node's name.
    pub hostname: Option<String>,
    /// The distribution (`PRETTY_NAME` of os-release).
    pub os: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The machine's architecture, as uname(2) has it.
    pub arch: Option<String>,
    /// The CPU's name.
    pub cpu_model: Option<String>,
    /// CPUs that this process may run on.
    pub cpus: u32,
    /// Memory of the machine.
    pub memory_bytes: Option<u64>,
    /// The hypervisor below, "none" on bare metal.
    pub virtualization: Option<String>,
    /// The container runtime around, "none" outside of one.
    pub container: Option<String>,
    /// The limits of the control group.
    pub cgroup: Cgroup,
    /// The kernel's clock source.
    pub clocksource: Option<String>,
    /// The CPU frequency governor, where all CPUs have the same.
    pub cpu_governor: Option<String>,
    /// The kernel's policy for transparent huge pages.
    #[serde(default)]
    pub transparent_hugepage: Option<String>,
}

/// Limits of a control group, the tightest on the path to the root.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cgroup {
    /// The hierarchies that the limits were read from: "v1" or "v2"; null where none can be
    /// seen, so that the limits are unknown.
    #[serde(default)]
    pub version: Option<String>,
    /// CPU time per time; null = no quota, if `version` is known.
    pub cpu_quota_cpus: Option<f64>,
    /// Memory; null = no limit, if `version` is known.
    pub memory_limit_bytes: Option<u64>,
}

/// Which clock timed the events, and how far it can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClockInfo {
    /// The source of the ticks.
    pub source: ClockSource,
    /// Why it is not the TSC, else null.
    pub reason: Option<String>,
    /// Ticks per second.
    pub hz: f64,
    /// Where `hz` comes from.
    #[serde(default)]
    pub hz_from: Option<HzFrom>,
    /// The cost of one reading.
    pub read_ns: f64,
    /// The clock against CLOCK_MONOTONIC_RAW over the run, parts in a million; null where the
    /// run had no end to compare at.
    pub drift_ppm: Option<f64>,
}

/// The source of the ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClockSource {
    /// The CPU's time stamp counter.
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

/// Where a clock's rate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HzFrom {
    /// CPUID leaf 15h.
    CpuidTsc,
    /// The hypervisor's CPUID leaf 40000010h.
    CpuidHypervisor,
    /// Counted against CLOCK_MONOTONIC_RAW.
    Calibration,
    /// Fixed by the clock's definition.
    Definition,
}

/// What ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Workload {
    /// "cpu", "memory" or "fileio".
    pub test: String,
    /// Worker threads.
    pub threads: u64,
    /// Every parameter with the value in force.
    pub params: Params,
}

/// The parameters of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Params {
    /// Those of the test.
    #[serde(flatten)]
    pub test: Test,
    /// When the run ends.
    #[serde(flatten)]
    pub limits: Limits,
    /// The percentile that a report of one percentile shows.
    pub percentile: u8,
    /// Seed of the random streams; null = the stream that sysbench 0.4.12 always gives.
    pub seed: Option<u32>,
    /// Worker i was bound to the i-th CPU allowed.
    pub pin: bool,
    /// The clock asked for.
    pub clock: ClockChoice,
    /// Seconds of an interval; null = no intervals.
    pub report_interval_s: Option<f64>,
}

impl Params {
    /// The events do nothing, by intention.
    pub fn is_empty_event(&self) -> bool {
        matches!(&self.test, Test::Memory(memory) if memory.oper == MemoryOper::None)
    }
}

impl Workload {
    /// What a plan says will run.
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

/// Where the test files were. What could not be found out is null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Storage {
    /// The folder, absolute.
    pub path: String,
    /// The file system's type.
    pub filesystem: Option<String>,
    /// The block device below it.
    pub device: Option<String>,
    /// The device's I/O scheduler.
    pub scheduler: Option<String>,
    /// The device says that it turns.
    pub rotational: Option<bool>,
    /// How the device takes writes, in the kernel's words: "write back" where it has a volatile
    /// cache, which a flush has to empty, else "write through".
    #[serde(default)]
    pub write_cache: Option<String>,
    /// The page cache before the run; null with O_DIRECT, and where the run makes its files.
    #[serde(default)]
    pub page_cache: Option<PageCache>,
}

/// How much of a set of files was in the page cache before a run, and how much could have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PageCache {
    /// Bytes of the set.
    pub set_bytes: u64,
    /// Bytes of the set that were in the page cache.
    pub resident_bytes: u64,
    /// Memory that the page cache may take at most: the machine's, or the control group's where
    /// that is less; null where unknown.
    pub memory_bytes: Option<u64>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// By its own limits.
    Complete,
    /// By a signal.
    Interrupted,
    /// By an error, or because it hung.
    Failed,
}

/// What ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// The work was done.
    Work,
    /// The time limit.
    Time,
    /// A signal.
    Signal,
    /// An error.
    Error,
    /// It hung until the forced shutdown.
    ForcedShutdown,
}

/// A start at a moment that was named, so that many runs start together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Start {
    /// The moment, RFC 3339 in UTC to the nanosecond.
    pub asked_at: String,
    /// How long after it the first thread began, on CLOCK_REALTIME; null where the run ended
    /// before.
    pub late_s: Option<f64>,
}

/// Sums over a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Totals {
    /// From before the files were opened and the threads created to after the last ended,
    /// without the wait for a moment to start at.
    pub wall_s: f64,
    /// Timed requests.
    pub events: u64,
    /// Sum of the durations of the events, over all threads.
    pub event_time_s: f64,
    /// Bytes loaded or read.
    pub bytes_read: u64,
    /// Bytes stored or written.
    pub bytes_written: u64,
    /// Read requests.
    pub reads: u64,
    /// Write requests.
    pub writes: u64,
    /// Calls of fsync or fdatasync.
    pub fsyncs: u64,
}

/// Sums divided by the wall time, as sysbench does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rates {
    /// Events.
    pub events_per_s: f64,
    /// Bytes read and written, in units of 2^20.
    pub mib_per_s: f64,
}

impl Rates {
    /// The rates of some events and bytes over some seconds; 0 where no time passed.
    pub fn over(events: u64, bytes: u64, seconds: f64) -> Self {
        let per_second = |n: f64| if seconds > 0.0 { n / seconds } else { 0.0 };
        Self {
            events_per_s: per_second(events as f64),
            mib_per_s: per_second(bytes as f64 / f64::from(1 << 20)),
        }
    }
}

/// What measuring cost, from a short run of empty events on the same engine, clock and thread
/// count before the run. Nothing is subtracted from any figure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Harness {
    /// CPU time that an event costs beside its work: claim, two readings of the clock, record.
    /// Null where the run ended before it could be measured.
    pub event_overhead_ns: Option<f64>,
    /// The part of it that lies between the two readings, and so in each latency.
    #[serde(default)]
    pub latency_floor_ns: Option<f64>,
}

/// A distribution of durations in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Latency {
    /// The shortest, exact.
    pub min: u64,
    /// The mean, exact.
    pub mean: f64,
    /// The longest, exact.
    pub max: u64,
    /// Population standard deviation, exact.
    pub stddev: f64,
    /// Percentiles, to 3 significant digits.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p99_9: u64,
    /// All of it: HdrHistogram V2 with DEFLATE, in base64; values in nanoseconds.
    pub histogram: String,
}

/// One worker thread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ThreadTotals {
    /// Its events.
    pub events: u64,
    /// Their durations together.
    pub event_time_s: f64,
}

/// What else the machine did during the run. Null where the kernel doesn't tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Noise {
    /// Time that the hypervisor gave to others while a CPU of this machine wanted to run, over
    /// all CPUs (`steal` of proc_stat(5)).
    pub steal_s: Option<f64>,
    /// CPU time of this process in user mode.
    pub user_s: Option<f64>,
    /// CPU time of this process in the kernel.
    pub system_s: Option<f64>,
    /// Times this process was taken off a CPU against its will.
    pub involuntary_switches: Option<u64>,
}

/// One interval of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Interval {
    /// Its end, in seconds since the start of the run.
    pub at_s: f64,
    /// Rate of the events that ended in it.
    pub events_per_s: f64,
    /// Their bytes, in units of 2^20.
    pub mib_per_s: f64,
    /// 95th percentile of their durations; null where none ended.
    pub p95_ns: Option<u64>,
    /// Rate of the reads among them; null in results of versions that did not tell.
    #[serde(default)]
    pub reads_per_s: Option<f64>,
    /// Rate of the writes among them; null as above.
    #[serde(default)]
    pub writes_per_s: Option<f64>,
    /// Rate of the fsyncs that ended in it; null as above.
    #[serde(default)]
    pub fsyncs_per_s: Option<f64>,
}

/// Why a figure may mislead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Warning {
    /// A word for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/wbench.result-1.json");

    #[test]
    fn the_published_schema_is_that_of_these_types() {
        let mut schema = serde_json::to_value(schemars::schema_for!(RunResult)).unwrap();
        schema["title"] = "A result of wbench".into();
        schema["properties"]["schema"]["const"] = SCHEMA.into();
        let made = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("WBENCH_WRITE_SCHEMA").is_some() {
            std::fs::write(SCHEMA_FILE, &made).unwrap();
        }
        let published = std::fs::read_to_string(SCHEMA_FILE).unwrap();
        assert_eq!(
            published, made,
            "WBENCH_WRITE_SCHEMA=1 cargo test publishes it anew"
        );
    }

    #[test]
    fn a_rate_over_no_time_is_zero() {
        assert_eq!(Rates::over(5, 1 << 20, 0.0), Rates::default());
        assert_eq!(Rates::over(5, 1 << 20, 0.5).mib_per_s, 2.0);
    }
}
