//! The machine: what it allows, and the steal time of its CPUs.

use std::fmt;

use super::{Code, Reason};
use crate::format::count;
use crate::plan::Test;
use crate::result::{Host, RunResult};
use crate::size::Size;

/// Largest share of the machine's CPU time that the hypervisor may give to others without a
/// warning.
pub const STEAL_SHARE: f64 = 0.01;

/// Why the machine may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum HostWarning {
    /// The control group allows less CPU time than the threads can use.
    CpuQuota {
        /// CPU time per wall time.
        quota_cpus: f64,
        /// Worker threads.
        threads: usize,
    },
    /// Threads have to share CPUs.
    MoreThreadsThanCpus {
        /// Worker threads.
        threads: usize,
        /// CPUs that this process may run on.
        cpus: u32,
    },
    /// The CPU frequency governor is this one, not "performance".
    CpuGovernor(String),
    /// The test touches more memory than the control group allows.
    MemoryLimit {
        /// Memory that the control group allows.
        limit_bytes: u64,
        /// Memory that the test touches.
        needed_bytes: u64,
    },
    /// The hypervisor gave this share of the machine's CPU time to others.
    Steal(f64),
}

impl HostWarning {
    /// Returns the warnings of a machine before a run of this many threads.
    pub fn before(host: &Host, threads: usize) -> Vec<Self> {
        let quota = host
            .cgroup
            .cpu_quota_cpus
            .filter(|&quota_cpus| quota_cpus < threads as f64)
            .map(|quota_cpus| Self::CpuQuota {
                quota_cpus,
                threads,
            });
        let shared = (threads > host.cpus as usize).then_some(Self::MoreThreadsThanCpus {
            threads,
            cpus: host.cpus,
        });
        let governor = host
            .cpu_governor
            .clone()
            .filter(|governor| governor != "performance")
            .map(Self::CpuGovernor);
        [quota, shared, governor].into_iter().flatten().collect()
    }

    /// Returns a warning if the kernel may kill a test for its memory.
    pub fn of_memory(host: &Host, test: &Test, threads: usize) -> Option<Self> {
        Self::of_memory_need(host, test.buffer_bytes(threads))
    }

    fn of_memory_need(host: &Host, needed_bytes: u64) -> Option<Self> {
        let limit_bytes = host.cgroup.memory_limit_bytes?;
        (limit_bytes < needed_bytes).then_some(Self::MemoryLimit {
            limit_bytes,
            needed_bytes,
        })
    }

    /// Returns a warning if the hypervisor took CPUs of the machine during a run.
    pub fn of_steal(result: &RunResult) -> Option<Self> {
        let cpus = f64::from(result.host.cpus);
        steal_share(result.noise.steal_s, result.totals.wall_s, cpus).map(Self::Steal)
    }
}

/// Returns the share of the CPU time of all CPUs that was stolen, if it is above the threshold.
pub fn steal_share(steal_s: Option<f64>, wall_s: f64, cpus: f64) -> Option<f64> {
    share_above(STEAL_SHARE, steal_s, wall_s * cpus)
}

/// Returns the share of a time in another, if both are known and it is above a threshold.
pub(super) fn share_above(threshold: f64, part_s: Option<f64>, whole_s: f64) -> Option<f64> {
    part_s
        .filter(|_| whole_s > 0.0)
        .map(|part_s| part_s / whole_s)
        .filter(|&share| share > threshold)
}

impl Reason for HostWarning {
    fn code(&self) -> Code {
        match self {
            Self::CpuQuota { .. } => Code::CpuQuota,
            Self::MoreThreadsThanCpus { .. } => Code::MoreThreadsThanCpus,
            Self::CpuGovernor(_) => Code::CpuGovernor,
            Self::MemoryLimit { .. } => Code::MemoryLimit,
            Self::Steal(_) => Code::Steal,
        }
    }
}

impl fmt::Display for HostWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CpuQuota {
                quota_cpus,
                threads,
            } => write!(
                f,
                "the control group allows the time of {quota_cpus} CPUs, but the test has {}: the \
                 kernel throttles them",
                count(*threads as u64, "thread")
            ),
            Self::MoreThreadsThanCpus { threads, cpus } => write!(
                f,
                "{} share {}: latencies include the wait for a CPU",
                count(*threads as u64, "thread"),
                count(u64::from(*cpus), "CPU")
            ),
            Self::CpuGovernor(governor) => write!(
                f,
                "the CPU frequency governor is {governor}, not performance: the frequency may \
                 change during a run"
            ),
            Self::MemoryLimit {
                limit_bytes,
                needed_bytes,
            } => write!(
                f,
                "the control group allows {} of memory, but the test touches {}: the kernel may \
                 swap or kill it",
                Size(*limit_bytes),
                Size(*needed_bytes)
            ),
            Self::Steal(share) => write!(
                f,
                "steal time: the hypervisor gave {:.1} % of this machine's CPU time to others \
                 during the run",
                share * 100.0
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Cgroup;

    fn codes(warnings: &[HostWarning]) -> Vec<Code> {
        warnings.iter().map(Reason::code).collect()
    }

    fn host(cpus: u32, cpu_quota_cpus: Option<f64>, cpu_governor: Option<&str>) -> Host {
        Host {
            cpus,
            cgroup: Cgroup {
                cpu_quota_cpus,
                ..Cgroup::default()
            },
            cpu_governor: cpu_governor.map(Into::into),
            ..Host::default()
        }
    }

    #[test]
    fn a_machine_with_room_for_all_threads_gives_no_warning() {
        for governor in [None, Some("performance")] {
            let host = host(4, Some(4.0), governor);
            assert_eq!(HostWarning::before(&host, 4), []);
        }
    }

    #[test]
    fn a_quota_below_the_thread_count_is_a_warning_that_names_both() {
        let found = HostWarning::before(&host(4, Some(1.5), None), 2);
        assert_eq!(codes(&found), [Code::CpuQuota]);
        let sentence = found[0].to_string();
        assert!(sentence.contains("1.5 CPUs"), "{sentence}");
        assert!(sentence.contains("2 threads"), "{sentence}");
    }

    #[test]
    fn more_threads_than_cpus_is_a_warning() {
        let found = HostWarning::before(&host(4, None, None), 5);
        assert_eq!(codes(&found), [Code::MoreThreadsThanCpus]);
    }

    #[test]
    fn a_governor_other_than_performance_is_a_warning() {
        let found = HostWarning::before(&host(4, None, Some("powersave")), 1);
        assert_eq!(codes(&found), [Code::CpuGovernor]);
    }

    #[test]
    fn a_memory_limit_below_the_blocks_is_a_warning_that_names_both() {
        let limited = |memory_limit_bytes| Host {
            cgroup: Cgroup {
                memory_limit_bytes,
                ..Cgroup::default()
            },
            ..Host::default()
        };
        let of = |limit| HostWarning::of_memory_need(&limited(limit), 1 << 30);
        let found = of(Some(512 << 20)).unwrap();
        assert_eq!(found.code(), Code::MemoryLimit);
        let sentence = found.to_string();
        assert!(sentence.contains("512M"), "{sentence}");
        assert!(sentence.contains("1G"), "{sentence}");
        assert_eq!(of(Some(1 << 30)), None);
        assert_eq!(of(None), None);
    }

    #[test]
    fn steal_is_a_warning_above_its_share_of_the_time_of_all_cpus() {
        let (wall_s, cpus) = (10.0, 4.0);
        let threshold = STEAL_SHARE * wall_s * cpus;
        assert!(steal_share(Some(threshold * 1.01), wall_s, cpus).is_some());
        assert_eq!(steal_share(Some(threshold), wall_s, cpus), None);
        assert_eq!(steal_share(None, wall_s, cpus), None);
        assert_eq!(steal_share(Some(1.0), 0.0, cpus), None);
    }
}
