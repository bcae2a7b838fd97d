//! The time budget of a run, from the counters of its threads and of the machine.

use std::time::Duration;

use super::cpus::Steal;
use super::system::SystemActivity;
use super::thread::ThreadActivity;
use crate::result::Accounting;

/// Derives the time budget of a run.
///
/// `threads` has the time of each thread from the common start to its end, and what it did; `cpus`
/// is the number of CPUs that they may use.
///
/// CPU time and the time in run queues are exact. In the rest of its time a thread slept, or its
/// CPU was stolen: the kernel subtracts steal time from the CPU time of the running thread.
pub fn time_budget(
    threads: &[(Duration, ThreadActivity)],
    system: &SystemActivity,
    cpus: u32,
) -> Accounting {
    let sum = |value: fn(&ThreadActivity) -> Option<f64>| -> Option<f64> {
        threads.iter().map(|(_, thread)| value(thread)).sum()
    };
    let count = |value: fn(&ThreadActivity) -> Option<u64>| -> Option<u64> {
        threads.iter().map(|(_, thread)| value(thread)).sum()
    };
    let queued_s = sum(|thread| Some(thread.queued?.as_secs_f64()));
    let rest = Rest::of(threads, queued_s.is_some());
    let throttled_s = system.throttled.map(|throttled| {
        let threads_s = throttled.as_secs_f64() * threads_per_cpu(threads.len(), cpus);
        threads_s.min(queued_s.unwrap_or(rest.total_s().max(0.0)))
    });
    let mut budget = Accounting {
        thread_s: threads.iter().map(|(time, _)| time.as_secs_f64()).sum(),
        user_s: sum(|thread| Some(thread.cpu.as_secs_f64() * thread.user_share?)),
        system_s: sum(|thread| Some(thread.cpu.as_secs_f64() * (1.0 - thread.user_share?))),
        contended_s: queued_s
            .zip(throttled_s)
            .map(|(queued_s, throttled_s)| queued_s - throttled_s),
        throttled_s,
        blocked_s: rest.blocked_s(system.steal),
        stolen_s: system.steal.map(|steal| rest.stolen_s(steal)),
        unexplained_s: None,
        voluntary_switches: count(|thread| thread.voluntary_switches),
        involuntary_switches: count(|thread| thread.involuntary_switches),
        migrations: count(|thread| thread.migrations),
        minor_faults: count(|thread| thread.minor_faults),
        major_faults: count(|thread| thread.major_faults),
        pressure: system.pressure,
        device: system.device.clone(),
        cpu_ghz_before: None,
        cpu_ghz_after: None,
        cpu_ghz_error: None,
    };
    let components = budget.components();
    let known_s: f64 = components.iter().filter_map(|(_, seconds)| *seconds).sum();
    budget.unexplained_s = Some(budget.thread_s - known_s);
    budget
}

/// Returns how many threads wait for a CPU that a quota holds back: all that are queued there.
fn threads_per_cpu(threads: usize, cpus: u32) -> f64 {
    (threads as f64 / f64::from(cpus.max(1))).max(1.0)
}

/// The time of the threads besides CPU time and, if that is known, time in run queues.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Rest {
    /// Threads without a voluntary context switch, which did not sleep.
    awake: Group,
    /// The other threads.
    slept: Group,
    /// Whether there are such threads.
    any_slept: bool,
    /// Whether time in run queues is excluded.
    excludes_queues: bool,
}

/// Times of several threads, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Group {
    rest_s: f64,
    cpu_s: f64,
}

impl Rest {
    fn of(threads: &[(Duration, ThreadActivity)], excludes_queues: bool) -> Self {
        let mut rest = Self {
            excludes_queues,
            ..Self::default()
        };
        for (time, thread) in threads {
            let cpu_s = thread.cpu.as_secs_f64();
            let queued = thread.queued.filter(|_| excludes_queues);
            let group = match thread.voluntary_switches {
                Some(0) => &mut rest.awake,
                _ => {
                    rest.any_slept = true;
                    &mut rest.slept
                }
            };
            group.rest_s += time.as_secs_f64() - cpu_s - queued.unwrap_or_default().as_secs_f64();
            group.cpu_s += cpu_s;
        }
        rest
    }

    fn total_s(&self) -> f64 {
        self.awake.rest_s + self.slept.rest_s
    }

    /// Returns the part that was stolen.
    fn stolen_s(&self, steal: Steal) -> f64 {
        // A thread that neither slept nor waited was running: if the hypervisor reports steal at
        // all, what is missing was stolen.
        let awake_s = match self.excludes_queues {
            true => part(self.awake.rest_s, steal.seconds + steal.rounding_s),
            false => self.awake.stolen_s(steal),
        };
        awake_s + self.slept.stolen_s(steal)
    }

    /// Returns the part in which threads slept; `None` if it cannot be separated from the others.
    fn blocked_s(&self, steal: Option<Steal>) -> Option<f64> {
        match self.any_slept {
            true if !self.excludes_queues => None,
            true => Some((self.slept.rest_s - self.slept.stolen_s(steal?)).max(0.0)),
            false => Some(0.0),
        }
    }
}

impl Group {
    /// Returns the part that was stolen, from the ratio of steal time to the CPU time of all
    /// threads on these CPUs.
    fn stolen_s(self, steal: Steal) -> f64 {
        part(self.rest_s, self.cpu_s * steal.per_cpu_time)
    }
}

/// Returns how much of a time, which may be negative by errors of measurement, is explained.
fn part(of_s: f64, explained_s: f64) -> f64 {
    explained_s.min(of_s).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Pressure;

    const SECOND: Duration = Duration::from_secs(1);

    fn thread(cpu_ms: u64, queued_ms: u64, voluntary_switches: u64) -> (Duration, ThreadActivity) {
        let activity = ThreadActivity {
            cpu: Duration::from_millis(cpu_ms),
            user_share: Some(0.75),
            queued: Some(Duration::from_millis(queued_ms)),
            voluntary_switches: Some(voluntary_switches),
            involuntary_switches: Some(3),
            migrations: Some(2),
            minor_faults: Some(1),
            major_faults: Some(0),
        };
        (SECOND, activity)
    }

    fn system(throttled_ms: u64, steal_s: f64, per_cpu_time: f64) -> SystemActivity {
        SystemActivity {
            throttled: Some(Duration::from_millis(throttled_ms)),
            pressure: Pressure::default(),
            device: None,
            steal: Some(Steal {
                seconds: steal_s,
                rounding_s: if steal_s > 0.0 { 0.01 } else { 0.0 },
                per_cpu_time,
            }),
        }
    }

    fn quiet() -> SystemActivity {
        system(0, 0.0, 0.0)
    }

    #[track_caller]
    fn assert_near(found: Option<f64>, expected: f64) {
        let found = found.expect("a known value");
        assert!((found - expected).abs() < 1e-9, "{found} != {expected}");
    }

    #[test]
    fn cpu_time_and_waiting_are_summed_over_the_threads() {
        let threads = [thread(600, 400, 0), thread(800, 200, 0)];
        let budget = time_budget(&threads, &quiet(), 2);
        assert_eq!(budget.thread_s, 2.0);
        assert_near(budget.user_s, 1.05);
        assert_near(budget.system_s, 0.35);
        assert_near(budget.contended_s, 0.6);
        assert_near(budget.throttled_s, 0.0);
        assert_near(budget.blocked_s, 0.0);
        assert_near(budget.stolen_s, 0.0);
        assert_near(budget.unexplained_s, 0.0);
        assert_eq!(budget.involuntary_switches, Some(6));
        assert_eq!(budget.migrations, Some(4));
    }

    #[test]
    fn throttled_time_is_a_part_of_the_waiting() {
        let budget = time_budget(&[thread(200, 800, 0)], &system(700, 0.0, 0.0), 2);
        assert_near(budget.throttled_s, 0.7);
        assert_near(budget.contended_s, 0.1);
        // Other processes of the group were throttled on other CPUs.
        let budget = time_budget(&[thread(200, 800, 0)], &system(1500, 0.0, 0.0), 2);
        assert_near(budget.throttled_s, 0.8);
        assert_near(budget.contended_s, 0.0);
    }

    #[test]
    fn a_cpu_that_is_held_back_delays_all_threads_that_share_it() {
        let threads = [thread(100, 900, 0); 4];
        let budget = time_budget(&threads, &system(1600, 0.0, 0.0), 2);
        assert_near(budget.throttled_s, 3.2);
        assert_near(budget.contended_s, 0.4);
    }

    #[test]
    fn what_is_missing_from_a_thread_that_slept_was_blocked() {
        let budget = time_budget(&[thread(300, 100, 9)], &quiet(), 2);
        assert_near(budget.blocked_s, 0.6);
        assert_near(budget.unexplained_s, 0.0);
    }

    #[test]
    fn what_is_missing_from_a_thread_that_did_not_sleep_was_stolen_if_the_cpus_report_steal() {
        let threads = [thread(700, 100, 0)];
        // The clock ticks of /proc/stat are coarser than the thread's own times.
        let budget = time_budget(&threads, &system(0, 0.19, 0.2), 2);
        assert_near(budget.stolen_s, 0.2);
        assert_near(budget.unexplained_s, 0.0);
        let budget = time_budget(&threads, &system(0, 0.05, 0.05), 2);
        assert_near(budget.stolen_s, 0.06);
        assert_near(budget.unexplained_s, 0.14);
        let budget = time_budget(&threads, &quiet(), 2);
        assert_near(budget.stolen_s, 0.0);
        assert_near(budget.unexplained_s, 0.2);
    }

    #[test]
    fn of_a_thread_that_slept_the_share_of_its_cpu_time_was_stolen() {
        let budget = time_budget(&[thread(400, 0, 5)], &system(0, 1.0, 0.25), 2);
        assert_near(budget.stolen_s, 0.1);
        assert_near(budget.blocked_s, 0.5);
        assert_near(budget.unexplained_s, 0.0);
    }

    #[test]
    fn an_excess_of_the_components_is_reported_as_negative() {
        for switches in [0, 1] {
            let budget = time_budget(&[thread(800, 210, switches)], &system(0, 0.5, 0.5), 1);
            assert_near(budget.unexplained_s, -0.01);
            assert_near(budget.stolen_s, 0.0);
            assert_near(budget.blocked_s, 0.0);
        }
    }

    #[test]
    fn components_that_cannot_be_separated_are_unknown() {
        let unknown = |change: fn(&mut ThreadActivity), system: SystemActivity| {
            let mut threads = [thread(400, 0, 1), thread(400, 0, 0)];
            change(&mut threads[0].1);
            let budget = time_budget(&threads, &system, 2);
            let names = budget.components().into_iter();
            let unknown: Vec<_> = names.filter(|(_, s)| s.is_none()).map(|(n, _)| n).collect();
            unknown.join(", ")
        };
        assert_eq!(
            unknown(|thread| thread.queued = None, quiet()),
            "waiting for a CPU, blocked"
        );
        assert_eq!(
            unknown(|thread| thread.user_share = None, quiet()),
            "user, system"
        );
        let no_files = SystemActivity::default();
        assert_eq!(
            unknown(|_| (), no_files),
            "waiting for a CPU, throttled, blocked, stolen"
        );
    }

    #[test]
    fn threads_that_did_not_sleep_were_not_blocked_even_if_all_else_is_unknown() {
        let mut threads = [thread(400, 0, 0)];
        threads[0].1.queued = None;
        let budget = time_budget(&threads, &SystemActivity::default(), 2);
        assert_eq!(budget.blocked_s, Some(0.0));
        assert_near(budget.unexplained_s, 0.6);
    }
}
