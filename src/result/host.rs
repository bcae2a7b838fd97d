//! The machine of a run, and its activity during the run.

use std::collections::BTreeMap;

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
    /// Cores and NUMA nodes of these CPUs.
    #[serde(default)]
    pub topology: Topology,
    /// Vulnerabilities of the CPU, and their mitigations as the kernel describes them.
    #[serde(default)]
    pub mitigations: Option<BTreeMap<String, String>>,
    /// Size of main memory.
    pub memory_bytes: Option<u64>,
    /// Size of all swap space; 0 = no swap space.
    #[serde(default)]
    pub swap_bytes: Option<u64>,
    /// Whether the kernel merges equal pages of processes that allow it (KSM).
    #[serde(default)]
    pub ksm: Option<bool>,
    /// Hypervisor, or "none" on bare metal.
    pub virtualization: Option<String>,
    /// Whether the CPU can run guests (VMX or SVM). In a guest: nested virtualization, if its
    /// hypervisor provides it.
    #[serde(default)]
    pub virtualization_extensions: Option<bool>,
    /// Whether KVM on this machine provides nested virtualization to its guests; null if its module
    /// for this CPU is not loaded.
    #[serde(default)]
    pub kvm_nested: Option<bool>,
    /// Types of the virtio devices, with the number of queues of block devices ("block, 4 queues").
    #[serde(default)]
    pub virtio: Option<Vec<String>>,
    /// Container runtime, or "none" outside of containers.
    pub container: Option<String>,
    /// What filters the system calls of the process.
    #[serde(default)]
    pub confinement: Confinement,
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

impl Host {
    /// Number of CPUs that this process may use; with a CPU quota not more than that.
    pub fn usable_cpus(&self) -> f64 {
        let cpus = f64::from(self.cpus);
        let quota = self.cgroup.cpu_quota_cpus;
        quota.map_or(cpus, |quota| quota.min(cpus))
    }
}

/// CPUs that the process may use, their cores and NUMA nodes. Lists are in the kernel's format
/// ("0-3,8"); unknown values are null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Topology {
    /// CPUs that the process may run on.
    pub cpus: Option<String>,
    /// For each core with such a CPU, the CPUs that are its hardware threads (SMT siblings).
    pub smt_siblings: Option<Vec<String>>,
    /// NUMA nodes of the CPUs.
    pub numa_nodes: Option<String>,
    /// NUMA nodes that the process may allocate memory on.
    pub memory_nodes: Option<String>,
}

/// What filters the system calls of the process. Unknown values are null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Confinement {
    /// Mode of seccomp: "none", "strict" or "filter".
    pub seccomp: Option<String>,
    /// Number of seccomp filters that each system call passes.
    pub seccomp_filters: Option<u64>,
    /// Security context of the process: the profile of AppArmor with its mode, or the context of
    /// SELinux without its level; "none" if no security module has contexts.
    pub lsm_context: Option<String>,
    /// Active Linux security modules, separated by commas.
    pub lsms: Option<String>,
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
    /// CPUs of its cpuset, in the kernel's list format; null if no cpuset is visible.
    #[serde(default)]
    pub cpuset_cpus: Option<String>,
    /// NUMA nodes of the memory of its cpuset; null if no cpuset is visible.
    #[serde(default)]
    pub cpuset_mems: Option<String>,
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
    /// from the common start to the last event of each.
    #[serde(default)]
    pub runqueue_wait_s: Option<f64>,
}
