//! What about the machine may mislead, with the sentence that says so.

use std::fmt;

use crate::result::{Host, Noise, Warning};
use crate::size::Size;

/// A share of the machine's CPU time given to others above which a figure is not about this
/// machine alone.
const STEAL_SHARE: f64 = 0.01;

/// Why the machine may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum HostWarning {
    /// The control group allows less CPU time than the threads can use.
    CpuQuota {
        /// CPU time per time.
        quota_cpus: f64,
        /// Worker threads.
        threads: usize,
    },
    /// The threads have to share CPUs.
    MoreThreadsThanCpus {
        /// Worker threads.
        threads: usize,
        /// CPUs that this process may run on.
        cpus: u32,
    },
    /// The CPUs' frequency follows this governor, not "performance".
    CpuGovernor(String),
    /// The test's memory is more than the control group allows.
    MemoryLimit {
        /// Memory that the control group allows.
        limit_bytes: u64,
        /// Memory that the test touches.
        needed_bytes: u64,
    },
    /// The hypervisor gave others this share of the machine's CPU time.
    Steal(f64),
}

/// All that a machine gives cause for before a run of so many threads.
pub fn warnings(host: &Host, threads: usize) -> Vec<Warning> {
    let quota = host
        .cgroup
        .cpu_quota_cpus
        .filter(|&quota_cpus| quota_cpus < threads as f64)
        .map(|quota_cpus| HostWarning::CpuQuota {
            quota_cpus,
            threads,
        });
    let crowd = (threads > host.cpus as usize).then_some(HostWarning::MoreThreadsThanCpus {
        threads,
        cpus: host.cpus,
    });
    let governor = host
        .cpu_governor
        .clone()
        .filter(|governor| governor != "performance")
        .map(HostWarning::CpuGovernor);
    [quota, crowd, governor]
        .into_iter()
        .flatten()
        .map(Warning::from)
        .collect()
}

/// What a test gives cause for that touches so much memory.
pub fn memory_warning(host: &Host, needed_bytes: u64) -> Option<Warning> {
    let limit = host.cgroup.memory_limit_bytes;
    limit
        .filter(|&limit| limit < needed_bytes)
        .map(|limit_bytes| {
            let warning = HostWarning::MemoryLimit {
                limit_bytes,
                needed_bytes,
            };
            warning.into()
        })
}

/// All that the noise of a run on so many CPUs gives cause for.
pub fn noise_warnings(noise: &Noise, wall_s: f64, cpus: u32) -> Vec<Warning> {
    let cpu_time_s = wall_s * f64::from(cpus);
    noise
        .steal_s
        .filter(|_| cpu_time_s > 0.0)
        .map(|steal_s| steal_s / cpu_time_s)
        .filter(|&share| share > STEAL_SHARE)
        .map(|share| HostWarning::Steal(share).into())
        .into_iter()
        .collect()
}

impl HostWarning {
    fn code(&self) -> &'static str {
        match self {
            Self::CpuQuota { .. } => "cpu-quota",
            Self::MoreThreadsThanCpus { .. } => "more-threads-than-cpus",
            Self::CpuGovernor(_) => "cpu-governor",
            Self::MemoryLimit { .. } => "memory-limit",
            Self::Steal(_) => "steal",
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
                "the control group allows {quota_cpus} CPUs' time and the test has {threads} \
                 threads: the kernel stops them for a part of each period"
            ),
            Self::MoreThreadsThanCpus { threads, cpus } => write!(
                f,
                "{threads} threads share {cpus} CPUs: latencies hold the time spent waiting for one"
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
                "the control group allows {} of memory and the test touches {}: the kernel swaps \
                 its blocks out, or kills it",
                Size(*limit_bytes),
                Size(*needed_bytes)
            ),
            Self::Steal(share) => write!(
                f,
                "the hypervisor gave {:.1} % of this machine's CPU time to others during the run",
                share * 100.0
            ),
        }
    }
}

impl From<HostWarning> for Warning {
    fn from(warning: HostWarning) -> Self {
        Self {
            code: warning.code().into(),
            message: warning.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Cgroup;

    fn codes(warnings: Vec<Warning>) -> Vec<String> {
        warnings.into_iter().map(|warning| warning.code).collect()
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
            assert_eq!(warnings(&host, 4), []);
        }
    }

    #[test]
    fn a_quota_below_the_threads_is_a_warning_that_says_both() {
        let found = warnings(&host(4, Some(1.5), None), 2);
        assert!(
            found[0].message.contains("1.5 CPUs"),
            "{}",
            found[0].message
        );
        assert!(
            found[0].message.contains("2 threads"),
            "{}",
            found[0].message
        );
        assert_eq!(codes(found), ["cpu-quota"]);
    }

    #[test]
    fn more_threads_than_cpus_is_a_warning() {
        assert_eq!(
            codes(warnings(&host(4, None, None), 5)),
            ["more-threads-than-cpus"]
        );
    }

    #[test]
    fn another_governor_than_performance_is_a_warning() {
        let host = host(4, None, Some("powersave"));
        assert_eq!(codes(warnings(&host, 1)), ["cpu-governor"]);
    }

    #[test]
    fn a_memory_limit_below_the_blocks_is_a_warning_that_says_both() {
        let limited = |memory_limit_bytes| Host {
            cgroup: Cgroup {
                memory_limit_bytes,
                ..Cgroup::default()
            },
            ..Host::default()
        };
        let found = memory_warning(&limited(Some(512 << 20)), 1 << 30).unwrap();
        assert_eq!(found.code, "memory-limit");
        assert!(found.message.contains("512M"), "{}", found.message);
        assert!(found.message.contains("1G"), "{}", found.message);
        assert_eq!(memory_warning(&limited(Some(1 << 30)), 1 << 30), None);
        assert_eq!(memory_warning(&limited(None), 1 << 30), None);
    }

    fn stolen(steal_s: Option<f64>, wall_s: f64) -> Vec<String> {
        let noise = Noise {
            steal_s,
            ..Noise::default()
        };
        codes(noise_warnings(&noise, wall_s, 4))
    }

    #[test]
    fn steal_is_a_warning_above_a_hundredth_of_all_cpus_time() {
        assert_eq!(stolen(Some(0.41), 10.0), ["steal"]);
        assert!(stolen(Some(0.39), 10.0).is_empty());
        assert!(stolen(None, 10.0).is_empty());
        assert!(stolen(Some(1.0), 0.0).is_empty());
    }
}
