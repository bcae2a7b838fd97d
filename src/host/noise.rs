//! Noise: other activity of the machine during a measurement.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::accounting::ticks_per_second;
use super::root::SystemRoot;
use crate::result::Noise;

/// A snapshot of the kernel's counters.
#[derive(Debug, Clone)]
pub struct NoiseBefore(Counters);

/// Reads the kernel's counters before a measurement.
pub fn noise_start() -> NoiseBefore {
    NoiseBefore(Counters::read(&SystemRoot::default()))
}

impl NoiseBefore {
    /// Returns the noise since the snapshot.
    pub fn since(&self) -> Noise {
        Counters::read(&SystemRoot::default()).minus(&self.0)
    }
}

impl Noise {
    /// Returns the total noise of two time spans.
    pub fn plus(&self, other: &Self) -> Self {
        fn sum<T: std::ops::Add<Output = T>>(one: Option<T>, other: Option<T>) -> Option<T> {
            Some(one? + other?)
        }
        Self {
            steal_s: sum(self.steal_s, other.steal_s),
            user_s: sum(self.user_s, other.user_s),
            system_s: sum(self.system_s, other.system_s),
            involuntary_switches: sum(self.involuntary_switches, other.involuntary_switches),
            runqueue_wait_s: sum(self.runqueue_wait_s, other.runqueue_wait_s),
        }
    }
}

/// Counters that only grow; None if the kernel does not report them.
#[derive(Debug, Clone, Default)]
struct Counters {
    /// In clock ticks, over all CPUs.
    steal_ticks: Option<u64>,
    user_us: Option<u64>,
    system_us: Option<u64>,
    involuntary_switches: Option<u64>,
}

impl Counters {
    fn read(root: &SystemRoot) -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        let count = |value: i64| u64::try_from(value).ok();
        Self {
            steal_ticks: steal_ticks(root),
            user_us: usage.and_then(|usage| count(usage.user_time().num_microseconds())),
            system_us: usage.and_then(|usage| count(usage.system_time().num_microseconds())),
            involuntary_switches: usage
                .and_then(|usage| usage.involuntary_context_switches().try_into().ok()),
        }
    }

    fn minus(&self, before: &Self) -> Noise {
        let seconds = |us: u64| us as f64 / 1e6;
        Noise {
            steal_s: growth(before.steal_ticks, self.steal_ticks)
                .and_then(|ticks| Some(ticks as f64 / ticks_per_second()?)),
            user_s: growth(before.user_us, self.user_us).map(seconds),
            system_s: growth(before.system_us, self.system_us).map(seconds),
            involuntary_switches: growth(before.involuntary_switches, self.involuntary_switches),
            // Counted per thread: the engine fills it in.
            runqueue_wait_s: None,
        }
    }
}

/// Returns the increase of a counter; None if it is unknown or went backward, as steal can when
/// a guest is migrated to another host.
fn growth(before: Option<u64>, after: Option<u64>) -> Option<u64> {
    after?.checked_sub(before?)
}

/// Reads the eighth counter of the line of all CPUs in /proc/stat.
fn steal_ticks(root: &SystemRoot) -> Option<u64> {
    let stat = root.text("proc/stat")?;
    let all_cpus = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    all_cpus.split_whitespace().nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    fn steal_of(stat: &str) -> Option<u64> {
        steal_ticks(FakeRoot::new().file("proc/stat", stat).root())
    }

    #[test]
    fn steal_is_the_eighth_counter_of_all_cpus() {
        let stat = "cpu  2086 0 1694 383847 391 0 43 917 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10";
        assert_eq!(steal_of(stat), Some(917));
    }

    #[test]
    fn steal_is_unknown_if_the_kernel_does_not_report_it() {
        for stat in [
            "",
            "cpu  1 2 3 4",
            "cpu  1 2 3 4 5 6 7 -8",
            "cpu0 1 2 3 4 5 6 7 8",
        ] {
            assert_eq!(steal_of(stat), None, "{stat}");
        }
    }

    #[test]
    fn noise_is_the_increase_of_the_counters_in_seconds() {
        let counters = |n: u64| Counters {
            steal_ticks: Some(10 * n),
            user_us: Some(1_500_000 * n),
            system_us: None,
            involuntary_switches: Some(7 * n),
        };
        let noise = counters(3).minus(&counters(1));
        let hz = ticks_per_second().unwrap();
        assert_eq!(noise.steal_s, Some(20.0 / hz));
        assert_eq!(noise.user_s, Some(3.0));
        assert_eq!(noise.system_s, None);
        assert_eq!(noise.involuntary_switches, Some(14));
    }

    #[test]
    fn the_increase_of_a_counter_that_went_backward_is_unknown() {
        assert_eq!(growth(Some(5), Some(4)), None);
        assert_eq!(growth(Some(5), Some(5)), Some(0));
    }

    #[test]
    fn cpu_time_of_this_process_is_counted() {
        let before = noise_start();
        let used = || {
            let noise = before.since();
            noise.user_s.unwrap() + noise.system_s.unwrap()
        };
        while used() < 0.01 {
            std::hint::spin_loop();
        }
    }
}
