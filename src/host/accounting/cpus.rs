//! Time of the CPUs that this process may use, from /proc/stat.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::host::root::SystemRoot;

/// Busy and stolen time of some CPUs, in clock ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CpuTicks {
    /// Time in user mode and in the kernel.
    busy: u64,
    /// Time that the hypervisor gave to others while a CPU was ready to run.
    steal: u64,
    /// Number of CPUs.
    cpus: u64,
}

/// Steal time of the CPUs that this process may use, between two readings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Steal {
    /// Steal time of all these CPUs, in seconds.
    pub seconds: f64,
    /// Largest error of `seconds` that rounding to clock ticks can cause.
    pub rounding_s: f64,
    /// Steal time per CPU time of any thread.
    pub per_cpu_time: f64,
}

impl CpuTicks {
    /// Reads the counters; `None` if the kernel does not report them.
    pub fn read(root: &SystemRoot) -> Option<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).ok();
        let is_allowed =
            |cpu| allowed.is_none_or(|allowed: CpuSet| allowed.is_set(cpu).unwrap_or_default());
        Self::parse(&root.text("proc/stat")?, is_allowed)
    }

    fn parse(stat: &str, is_allowed: impl Fn(usize) -> bool) -> Option<Self> {
        let mut sum = Self::default();
        for line in stat.lines() {
            let Some((name, times)) = line.split_once(' ') else {
                continue;
            };
            let number = name.strip_prefix("cpu").and_then(|n| n.parse().ok());
            if number.is_some_and(&is_allowed) {
                let mut times = times.split_ascii_whitespace().map(str::parse::<u64>);
                let mut next = || times.next()?.ok();
                let (user, nice, system) = (next()?, next()?, next()?);
                let (_idle, _iowait, _irq, _softirq) = (next()?, next()?, next()?, next()?);
                sum.steal += next()?;
                sum.busy += user + nice + system;
                sum.cpus += 1;
            }
        }
        (sum.cpus > 0).then_some(sum)
    }

    /// Returns the steal time since an earlier reading; `None` if a counter went backward, as it
    /// can when a guest is migrated, or if CPUs came or went.
    pub fn steal_since(&self, before: &Self) -> Option<Steal> {
        let ticks_per_second = ticks_per_second()?;
        let steal = self.steal.checked_sub(before.steal)? as f64;
        let busy = self.busy.checked_sub(before.busy)? as f64;
        // Each counter is rounded down: up to one tick a CPU appears or is missing.
        let rounding = if steal > 0.0 { self.cpus as f64 } else { 0.0 };
        (self.cpus == before.cpus).then(|| Steal {
            seconds: steal / ticks_per_second,
            rounding_s: rounding / ticks_per_second,
            per_cpu_time: if steal > 0.0 {
                steal / busy.max(1.0)
            } else {
                0.0
            },
        })
    }
}

/// Returns the rate of the clock ticks in /proc/stat.
pub fn ticks_per_second() -> Option<f64> {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten()?;
    (ticks > 0).then_some(ticks as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "\
cpu  21788 3 7449 25077 598 0 116 277 0 0
cpu0 10362 1 2841 14230 47 0 12 129 0 0
cpu1 11426 2 4608 10847 551 0 104 148 0 0
intr 321994 0 0
ctxt 12";

    #[test]
    fn busy_and_stolen_time_are_those_of_the_allowed_cpus() {
        let one = CpuTicks::parse(STAT, |cpu| cpu == 1).unwrap();
        assert_eq!((one.busy, one.steal, one.cpus), (16036, 148, 1));
        let both = CpuTicks::parse(STAT, |_| true).unwrap();
        assert_eq!((both.busy, both.steal, both.cpus), (29240, 277, 2));
    }

    #[test]
    fn steal_is_unknown_if_the_kernel_does_not_report_it() {
        for stat in [
            "",
            "cpu  1 2 3 4 5 6 7 8",
            "cpu0 1 2 3 4 5 6 7",
            "cpu0 1 2 3 4 5 6 7 -8",
        ] {
            assert_eq!(CpuTicks::parse(stat, |_| true), None, "{stat}");
        }
        assert_eq!(CpuTicks::parse(STAT, |cpu| cpu == 7), None);
    }

    #[test]
    fn steal_is_the_increase_in_seconds_and_relative_to_the_busy_time() {
        let hz = ticks_per_second().unwrap();
        let at = |busy, steal| CpuTicks {
            busy,
            steal,
            cpus: 2,
        };
        let steal = at(400, 150).steal_since(&at(100, 50)).unwrap();
        assert_eq!(steal.seconds, 100.0 / hz);
        assert_eq!(steal.rounding_s, 2.0 / hz);
        assert_eq!(steal.per_cpu_time, 100.0 / 300.0);
        let none = at(400, 50).steal_since(&at(100, 50)).unwrap();
        assert_eq!(none, Steal::default());
    }

    #[test]
    fn a_counter_that_went_backward_is_unknown() {
        let at = |steal| CpuTicks {
            busy: 1,
            steal,
            cpus: 1,
        };
        assert_eq!(at(4).steal_since(&at(5)), None);
    }
}
