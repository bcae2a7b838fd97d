//! The supervisor: the main thread during a run, which waits and serves the observer.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Error, anyhow};

use super::recorder::{HANDOVER, Shared};
use super::{Observer, Setup, ThreadEnd, Workload};
use crate::clock::{Nanoseconds, Ticks};
use crate::result::Interval;
use crate::signal;

/// How often the supervisor checks for a signal. Worker threads check at each event; this covers
/// long events.
const SIGNAL_CHECK: Duration = Duration::from_millis(250);

/// Longest time, after a signal or the end of the previous thread, to wait for a thread to end.
const GRACE: Duration = Duration::from_secs(1);

/// Longest time to wait for threads after a signal, in total.
const LONGEST_GRACE: Duration = Duration::from_secs(3);

/// The supervisor of a run.
pub(super) struct Watch<'a, W: Workload> {
    pub setup: Setup,
    pub started: Instant,
    pub workload: &'a W,
    pub shared: &'a Shared,
    pub observer: &'a mut dyn Observer,
    pub intervals_shown: usize,
}

/// How a run ended.
pub(super) struct End {
    /// When the last thread ended; `None` if some hang.
    pub last: Option<Ticks>,
    pub cpu_time: Nanoseconds,
    /// `None` if unknown for a thread.
    pub runqueue_wait: Option<Duration>,
    pub error: Option<Error>,
    pub given_up: Option<GivenUp>,
}

/// Why the supervisor stopped waiting for threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// The `--forced-shutdown` time has passed.
    ForcedShutdown,
    /// A signal requested the end of the run.
    Signal,
}

/// When a signal was seen, and when a thread last ended after it.
#[derive(Debug, Clone, Copy)]
struct Interruption {
    seen: Instant,
    last_end: Instant,
}

impl<W: Workload> Watch<'_, W> {
    pub fn until_the_end(&mut self, ended: &mpsc::Receiver<ThreadEnd>) -> End {
        let mut end = End {
            last: None,
            cpu_time: Nanoseconds(0),
            runqueue_wait: Some(Duration::ZERO),
            error: None,
            given_up: None,
        };
        let mut last = Ticks(0);
        let mut running = self.setup.threads;
        let mut interruption = None;
        let mut next_look = self.pace().map(|pace| self.started + pace);
        while running > 0 {
            let event = self.wait(ended, next_look);
            let now = Instant::now();
            if signal::is_caught() {
                let so_far: &mut Interruption = interruption.get_or_insert(Interruption::at(now));
                if event.is_ok() {
                    so_far.last_end = now;
                }
            }
            match event {
                Ok(thread) => {
                    running -= 1;
                    last = last.max(thread.at);
                    end.cpu_time.0 += thread.cpu_time.0;
                    let waited = end.runqueue_wait.zip(thread.runqueue_wait);
                    end.runqueue_wait = waited.map(|(all, one)| all + one);
                    end.error = end.error.or(thread.result.err());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    unreachable!("each thread sends its end before it drops its sender")
                }
            }
            if running > 0
                && let Some(reason) = self.reason_to_give_up(now, interruption)
            {
                end.given_up = Some(reason);
                if reason == GivenUp::Signal {
                    let missing = missing_figures(running, self.setup.threads);
                    end.error = end.error.or(Some(missing));
                }
                return end;
            }
            if next_look.is_some_and(|look| look <= now) {
                next_look = self.pace().map(|pace| Instant::now() + pace);
                self.look();
            }
        }
        end.last = Some(last);
        end
    }

    /// Waits for a thread to end, or until the next action is due.
    fn wait(
        &self,
        ended: &mpsc::Receiver<ThreadEnd>,
        next_look: Option<Instant>,
    ) -> Result<ThreadEnd, RecvTimeoutError> {
        let now = Instant::now();
        let give_up = self.setup.forced_shutdown.map(|after| self.started + after);
        let until = [give_up, next_look]
            .into_iter()
            .flatten()
            .fold(now + SIGNAL_CHECK, Instant::min);
        ended.recv_timeout(until.saturating_duration_since(now))
    }

    fn reason_to_give_up(
        &self,
        now: Instant,
        interruption: Option<Interruption>,
    ) -> Option<GivenUp> {
        let hangs = |after| now.saturating_duration_since(self.started) >= after;
        if self.setup.forced_shutdown.is_some_and(hangs) {
            return Some(GivenUp::ForcedShutdown);
        }
        interruption
            .is_some_and(|since| since.is_expired(now))
            .then_some(GivenUp::Signal)
    }

    /// Returns how often to look: at the observer's pace, or whenever an interval may be complete.
    fn pace(&self) -> Option<Duration> {
        [self.observer.pace(), self.setup.interval]
            .into_iter()
            .flatten()
            .min()
    }

    fn look(&mut self) {
        if self.setup.interval.is_some() {
            self.show_intervals(&self.shared.ledger.intervals(None));
        }
        self.observer
            .progress(self.started.elapsed(), self.workload.progress());
    }

    pub fn show_intervals(&mut self, complete: &[Interval]) {
        for interval in &complete[self.intervals_shown.min(complete.len())..] {
            self.observer.interval(interval);
        }
        self.intervals_shown = complete.len();
    }
}

impl Interruption {
    fn at(now: Instant) -> Self {
        Self {
            seen: now,
            last_end: now,
        }
    }

    /// Returns whether no thread has ended for [`GRACE`], or [`LONGEST_GRACE`] has passed.
    fn is_expired(self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_end) >= GRACE
            || now.saturating_duration_since(self.seen) >= LONGEST_GRACE
    }
}

fn missing_figures(running: usize, threads: usize) -> Error {
    anyhow!(
        "{running} of {threads} threads were still in an event {} s after the signal: what they \
         measured in the last {} s before that event is missing",
        GRACE.as_secs(),
        HANDOVER.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_signal_the_wait_continues_while_threads_keep_ending() {
        let seen = Instant::now();
        let after = |ms| seen + Duration::from_millis(ms);
        let hangs = Interruption::at(seen);
        assert!(!hangs.is_expired(after(999)));
        assert!(hangs.is_expired(after(1000)));
        let ends = Interruption {
            last_end: after(2500),
            ..hangs
        };
        assert!(!ends.is_expired(after(2900)));
        assert!(ends.is_expired(after(3000)));
    }
}
