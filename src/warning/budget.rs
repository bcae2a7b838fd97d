//! The time budget of a run: where the time of the worker threads went instead of into the test.

use std::fmt;

use super::host::share_above;
use super::{Code, Reason, STEAL_SHARE};
use crate::result::{Accounting, RunResult};

/// Largest share of their time that worker threads may wait for a CPU without a warning.
pub const RUNQUEUE_WAIT_SHARE: f64 = 0.05;

/// Largest share of their time that a CPU quota may hold worker threads back without a warning.
pub const THROTTLED_SHARE: f64 = 0.01;

/// Largest share of their time that worker threads of a test that never waits may sleep without a
/// warning.
pub const BLOCKED_SHARE: f64 = 0.05;

/// Why the time of the worker threads may mislead; each has the share of their time.
#[derive(Debug, Clone, PartialEq)]
pub enum BudgetWarning {
    /// They waited for a CPU.
    RunqueueWait(f64),
    /// A CPU quota of the control group held them back.
    Throttled(f64),
    /// The hypervisor gave their CPU to other guests.
    Stolen(f64),
    /// They slept in the test of this name, which never waits.
    Blocked(f64, &'static str),
}

impl BudgetWarning {
    /// Returns the warnings of a run.
    pub fn of(result: &RunResult) -> Vec<Self> {
        let test = &result.workload.params.test;
        // With --rate, threads sleep until their next event.
        let is_closed_loop = result.workload.params.rate_per_s.is_none();
        let never_waits = (test.never_waits() && is_closed_loop).then(|| test.name());
        result.accounting.as_ref().map_or_else(Vec::new, |budget| {
            Self::of_budget(budget, result.noise.runqueue_wait_s, never_waits)
        })
    }

    /// `never_waits` is the name of the test if its events never wait.
    fn of_budget(
        budget: &Accounting,
        runqueue_wait_s: Option<f64>,
        never_waits: Option<&'static str>,
    ) -> Vec<Self> {
        let share = |threshold, seconds| share_above(threshold, seconds, budget.thread_s);
        // If it is unknown whether a quota caused the wait, all of it counts.
        let waited_s = budget.contended_s.or(runqueue_wait_s);
        let blocked = share(BLOCKED_SHARE, budget.blocked_s);
        [
            share(STEAL_SHARE, budget.stolen_s).map(Self::Stolen),
            share(RUNQUEUE_WAIT_SHARE, waited_s).map(Self::RunqueueWait),
            share(THROTTLED_SHARE, budget.throttled_s).map(Self::Throttled),
            blocked
                .zip(never_waits)
                .map(|(share, test)| Self::Blocked(share, test)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Reason for BudgetWarning {
    fn code(&self) -> Code {
        match self {
            Self::RunqueueWait(_) => Code::RunqueueWait,
            Self::Throttled(_) => Code::Throttled,
            Self::Stolen(_) => Code::Steal,
            Self::Blocked(..) => Code::Blocked,
        }
    }
}

impl fmt::Display for BudgetWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunqueueWait(share) => write!(
                f,
                "worker threads waited {:.1} % of the time for a CPU that other processes or \
                 threads used: this is not the speed of an idle machine",
                share * 100.0
            ),
            Self::Throttled(share) => write!(
                f,
                "a CPU quota of the control group held worker threads back for {:.1} % of the time: \
                 this is the speed of the quota, not of the CPU",
                share * 100.0
            ),
            Self::Stolen(share) => write!(
                f,
                "steal time: the hypervisor gave the CPUs of worker threads to other guests for \
                 {:.1} % of the time",
                share * 100.0
            ),
            Self::Blocked(share, test) => write!(
                f,
                "worker threads slept {:.1} % of the time, but the {test} test never waits: the \
                 process was stopped or frozen, or its memory was swapped",
                share * 100.0
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Accounting {
        Accounting {
            thread_s: 100.0,
            ..Accounting::default()
        }
    }

    fn shares(budget: &Accounting, queued_s: Option<f64>, never_waits: bool) -> Vec<BudgetWarning> {
        let test = never_waits.then_some("cpu");
        BudgetWarning::of_budget(budget, queued_s, test)
    }

    #[test]
    fn a_component_is_a_warning_above_its_share_of_the_time_of_all_threads() {
        let with = |change: fn(&mut Accounting, f64), threshold: f64| {
            let found = |seconds| {
                let mut budget = budget();
                change(&mut budget, seconds);
                shares(&budget, None, true)
            };
            assert_eq!(found(100.0 * threshold), []);
            found(100.0 * threshold + 0.01)
                .into_iter()
                .map(|it| it.code())
                .collect::<Vec<_>>()
        };
        let contended = with(|it, s| it.contended_s = Some(s), RUNQUEUE_WAIT_SHARE);
        assert_eq!(contended, [Code::RunqueueWait]);
        let throttled = with(|it, s| it.throttled_s = Some(s), THROTTLED_SHARE);
        assert_eq!(throttled, [Code::Throttled]);
        let stolen = with(|it, s| it.stolen_s = Some(s), STEAL_SHARE);
        assert_eq!(stolen, [Code::Steal]);
        let blocked = with(|it, s| it.blocked_s = Some(s), BLOCKED_SHARE);
        assert_eq!(blocked, [Code::Blocked]);
    }

    #[test]
    fn sleep_is_no_warning_in_a_test_that_waits() {
        let slept = Accounting {
            blocked_s: Some(90.0),
            ..budget()
        };
        assert_eq!(shares(&slept, None, false), []);
        assert_eq!(
            shares(&slept, None, true),
            [BudgetWarning::Blocked(0.9, "cpu")]
        );
    }

    #[test]
    fn the_whole_wait_counts_if_the_throttled_part_is_unknown() {
        let found = shares(&budget(), Some(20.0), true);
        assert_eq!(found, [BudgetWarning::RunqueueWait(0.2)]);
        let known = Accounting {
            contended_s: Some(1.0),
            ..budget()
        };
        assert_eq!(shares(&known, Some(20.0), true), []);
    }

    #[test]
    fn nothing_is_known_of_a_run_that_did_not_begin() {
        let nothing = Accounting::default();
        assert_eq!(shares(&nothing, Some(1.0), true), []);
    }
}
