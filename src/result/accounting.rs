//! Where the time of the worker threads went, and what the machine did meanwhile.

use serde::{Deserialize, Serialize};

/// Time budget of a run: the time of the worker threads, split by what they did. Unknown values are
/// null, never 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Accounting {
    /// Thread-seconds: for each worker thread the time from the common start to the end of its
    /// loop, summed over the threads.
    pub thread_s: f64,
    /// CPU time in user mode.
    pub user_s: Option<f64>,
    /// CPU time in the kernel.
    pub system_s: Option<f64>,
    /// Ready to run, but waiting for a CPU that others used; without `throttled_s`.
    pub contended_s: Option<f64>,
    /// Ready to run, but held back by the CPU quota of a cgroup.
    pub throttled_s: Option<f64>,
    /// Asleep: waiting for a device, a lock or a timer, or stopped.
    pub blocked_s: Option<f64>,
    /// Running, while the hypervisor gave the CPU to other guests.
    pub stolen_s: Option<f64>,
    /// `thread_s` less all known components; negative if they exceed it.
    pub unexplained_s: Option<f64>,
    /// Voluntary context switches: a thread slept or was stopped.
    pub voluntary_switches: Option<u64>,
    /// Involuntary context switches: another thread took the CPU.
    pub involuntary_switches: Option<u64>,
    /// Moves of a thread to another CPU.
    pub migrations: Option<u64>,
    /// Page faults that needed no I/O.
    pub minor_faults: Option<u64>,
    /// Page faults that needed I/O.
    pub major_faults: Option<u64>,
    /// Pressure stall information during the run.
    #[serde(default)]
    pub pressure: Pressure,
    /// Activity of the device below the test files; null except for fileio.
    #[serde(default)]
    pub device: Option<DeviceActivity>,
    /// Effective clock of a CPU before the run, in GHz: of the first worker's with `pin`, else of
    /// the one that the main thread ran on.
    #[serde(default)]
    pub cpu_ghz_before: Option<f64>,
    /// Effective clock of a CPU after the run, in GHz: of the first worker's with `pin`, else of
    /// the one on which the last worker ended.
    #[serde(default)]
    pub cpu_ghz_after: Option<f64>,
    /// Relative error bound of both.
    #[serde(default)]
    pub cpu_ghz_error: Option<f64>,
}

impl Accounting {
    /// The components of `thread_s`, with the name that reports give them.
    pub fn components(&self) -> [(&'static str, Option<f64>); 6] {
        [
            ("user", self.user_s),
            ("system", self.system_s),
            ("waiting for a CPU", self.contended_s),
            ("throttled", self.throttled_s),
            ("blocked", self.blocked_s),
            ("stolen", self.stolen_s),
        ]
    }
}

/// Pressure stall information: time during the run in which tasks were stalled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pressure {
    /// Of all tasks of the machine.
    pub system: PressureTotals,
    /// Of the tasks in the cgroup of this process; only version 2 has them.
    pub cgroup: PressureTotals,
}

/// Time in which some tasks, or all tasks that were not idle, waited for a resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PressureTotals {
    /// Some waited for a CPU.
    pub cpu_some_s: Option<f64>,
    /// Some waited for I/O.
    pub io_some_s: Option<f64>,
    /// All waited for I/O.
    pub io_full_s: Option<f64>,
    /// Some waited for memory to be reclaimed or swapped in.
    pub memory_some_s: Option<f64>,
    /// All waited for memory.
    pub memory_full_s: Option<f64>,
}

/// Activity of a block device during the run, by this run and by others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceActivity {
    /// Name of the device, as in `storage.device`.
    pub name: String,
    /// Completed read requests.
    pub reads: u64,
    /// Completed write requests.
    pub writes: u64,
    /// Completed flushes of the volatile cache; null if the kernel does not count them.
    pub flushes: Option<u64>,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Reads that were merged with an adjacent request.
    pub merged_reads: u64,
    /// Writes that were merged with an adjacent request.
    pub merged_writes: u64,
    /// Time of all reads, from their submission to the device until their completion.
    pub read_time_s: f64,
    /// Time of all writes.
    pub write_time_s: f64,
    /// Time in which at least one request was in progress.
    pub busy_s: f64,
    /// Limits of the cgroup for this device; null if no cgroup is visible.
    pub limits: Option<IoLimits>,
}

/// Limits of the cgroup for a device: the tightest on the path to the root. Null = no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IoLimits {
    /// Bytes read per second.
    pub read_bytes_per_s: Option<u64>,
    /// Bytes written per second.
    pub write_bytes_per_s: Option<u64>,
    /// Read requests per second.
    pub reads_per_s: Option<u64>,
    /// Write requests per second.
    pub writes_per_s: Option<u64>,
}
