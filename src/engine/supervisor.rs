//! The supervisor: the main thread during a run, which waits and serves the observer.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Error, anyhow};

use super::recorder::{FLUSH_INTERVAL, RunState};
use super::{Observer, Progress, Setup, ThreadEnd, ThreadSpan};
use crate::clock::{Nanoseconds, Ticks};
use crate::signal;

/// How often the supervisor checks for a signal. Worker threads check at each event; this covers
/// long events.
const SIGNAL_CHECK: Duration = Duration::from_millis(250);

/// Longest time, after a signal or the end of the previous thread, to wait for a thread to end.
const GRACE_PERIOD: Duration = Duration::from_secs(1);

/// Longest time to wait for threads after a signal, in total.
const MAX_GRACE_PERIOD: Duration = Duration::from_secs(3);

/// The supervisor of a run.
pub(super) struct Supervisor<'a> {
    pub setup: Setup,
    pub started: Instant,
    /// Returns the progress of the work.
    pub progress: &'a dyn Fn() -> Progress,
    pub shared: &'a RunState,
    pub observer: &'a mut dyn Observer,
    pub intervals_reported: usize,
}

/// How a run ended.
pub(super) struct RunEnd {
    /// When the last thread ended; `None` if some hang.
    pub last: Option<Ticks>,
    /// The CPU that this thread ran on.
    pub last_cpu: Option<usize>,
    /// What each thread did; `None` unless all have ended.
    pub activity: Option<Vec<ThreadSpan>>,
    pub error: Option<Error>,
    pub abandoned: Option<AbandonReason>,
}

/// Why the supervisor stopped waiting for threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AbandonReason {
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

impl Supervisor<'_> {
    pub fn wait_for_end(&mut self, ended: &mpsc::Receiver<ThreadEnd>) -> RunEnd {
        let mut end = RunEnd {
            last: None,
            last_cpu: None,
            activity: None,
            error: None,
            abandoned: None,
        };
        let mut last = Ticks(0);
        let mut activity = Vec::with_capacity(self.setup.threads);
        let mut running = self.setup.threads;
        let mut interruption = None;
        let mut next_update = self
            .update_interval()
            .map(|interval| self.started + interval);
        while running > 0 {
            let event = self.wait(ended, next_update);
            let now = Instant::now();
            if signal::is_caught() {
                let interruption: &mut Interruption =
                    interruption.get_or_insert(Interruption::at(now));
                if event.is_ok() {
                    interruption.last_end = now;
                }
            }
            match event {
                Ok(thread) => {
                    running -= 1;
                    if thread.at >= last {
                        last = thread.at;
                        end.last_cpu = thread.cpu;
                    }
                    activity.push(ThreadSpan {
                        began: thread.began,
                        ended: thread.at,
                        activity: thread.activity,
                    });
                    end.error = end.error.or(thread.result.err());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    end.error = end
                        .error
                        .or_else(|| Some(anyhow!("a worker thread panicked")));
                    return end;
                }
            }
            if running > 0
                && let Some(reason) = self.abandon_reason(now, interruption)
            {
                end.abandoned = Some(reason);
                if reason == AbandonReason::Signal {
                    let missing = missing_statistics(running, self.setup.threads);
                    end.error = end.error.or(Some(missing));
                }
                return end;
            }
            if next_update.is_some_and(|update| update <= now) {
                next_update = self
                    .update_interval()
                    .map(|interval| Instant::now() + interval);
                self.update_observer();
            }
        }
        end.last = Some(last);
        end.activity = Some(activity);
        end
    }

    /// Waits for a thread to end, or until the next action is due. Fails with `Disconnected` if no
    /// thread runs any more: one has panicked, as each other sends its end first.
    fn wait(
        &self,
        ended: &mpsc::Receiver<ThreadEnd>,
        next_update: Option<Instant>,
    ) -> Result<ThreadEnd, RecvTimeoutError> {
        let now = Instant::now();
        let shutdown = self.setup.forced_shutdown.map(|after| self.started + after);
        let until = [shutdown, next_update]
            .into_iter()
            .flatten()
            .fold(now + SIGNAL_CHECK, Instant::min);
        ended.recv_timeout(until.saturating_duration_since(now))
    }

    fn abandon_reason(
        &self,
        now: Instant,
        interruption: Option<Interruption>,
    ) -> Option<AbandonReason> {
        let hangs = |after| now.saturating_duration_since(self.started) >= after;
        if self.setup.forced_shutdown.is_some_and(hangs) {
            return Some(AbandonReason::ForcedShutdown);
        }
        interruption
            .is_some_and(|interruption| interruption.is_expired(now))
            .then_some(AbandonReason::Signal)
    }

    /// Returns how often to call the observer: as often as it asks, and whenever an interval may be
    /// complete.
    fn update_interval(&self) -> Option<Duration> {
        let due = self.setup.interval.is_some() || self.shared.snapshots.is_some();
        let prompt = due.then(|| {
            self.setup
                .interval
                .unwrap_or(SIGNAL_CHECK)
                .min(SIGNAL_CHECK)
        });
        [self.observer.progress_interval(), prompt]
            .into_iter()
            .flatten()
            .min()
    }

    fn update_observer(&mut self) {
        if let Some(snapshots) = &self.shared.snapshots {
            for snapshot in snapshots.take_complete() {
                self.observer.snapshot(&snapshot);
            }
        }
        self.report_intervals();
        self.observer
            .progress(self.started.elapsed(), (self.progress)());
    }

    /// Reports what was recorded since the last snapshot of a run that took this long.
    pub fn report_rest(&mut self, wall: Nanoseconds) {
        if let Some(snapshots) = &self.shared.snapshots {
            let (complete, rest) = snapshots.take_rest(Duration::from_nanos(wall.0));
            for snapshot in complete {
                self.observer.snapshot(&snapshot);
            }
            self.observer.rest(&rest);
        }
    }

    /// Reports the intervals that were completed since the last call.
    pub fn report_intervals(&mut self) {
        let collector = &self.shared.collector;
        for interval in collector.complete_from(self.intervals_reported) {
            self.observer
                .interval(&interval.summary, interval.percentile_ns);
            self.intervals_reported += 1;
        }
    }
}

impl Interruption {
    fn at(now: Instant) -> Self {
        Self {
            seen: now,
            last_end: now,
        }
    }

    /// Returns whether no thread has ended for [`GRACE_PERIOD`], or [`MAX_GRACE_PERIOD`] has
    /// passed.
    fn is_expired(self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_end) >= GRACE_PERIOD
            || now.saturating_duration_since(self.seen) >= MAX_GRACE_PERIOD
    }
}

fn missing_statistics(running: usize, threads: usize) -> Error {
    anyhow!(
        "{running} of {threads} threads were still in an event {} s after the signal: what they \
         measured in the last {} s before that event is missing",
        GRACE_PERIOD.as_secs(),
        FLUSH_INTERVAL.as_secs()
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
