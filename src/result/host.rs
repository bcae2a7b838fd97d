//! The machine of a run, and its activity during the run.

use serde::{Deserialize, Serialize};

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
