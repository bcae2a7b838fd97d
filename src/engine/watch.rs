//! The main thread during a run: it waits, and looks after whoever observes.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Error;

use super::recorder::Shared;
use super::{Observer, Setup, ThreadEnd, Workload};
use crate::clock::{Nanoseconds, Ticks};
use crate::result::Interval;

/// The main thread's part: it waits, and looks after whoever observes.
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
    /// When the last thread ended; None where some still hang.
    pub last: Option<Ticks>,
    pub cpu_time: Nanoseconds,
    /// None if a thread does not know its own.
    pub runqueue_wait: Option<Duration>,
    pub error: Option<Error>,
    pub given_up: bool,
}

impl<W: Workload> Watch<'_, W> {
    pub fn until_the_end(&mut self, ended: &mpsc::Receiver<ThreadEnd>) -> End {
        let mut end = End {
            last: None,
            cpu_time: Nanoseconds(0),
            runqueue_wait: Some(Duration::ZERO),
            error: None,
            given_up: false,
        };
        let mut last = Ticks(0);
        let mut running = self.setup.threads;
        let mut next_look = self.pace().map(|pace| self.started + pace);
        while running > 0 {
            match self.wait(ended, next_look) {
                Ok(thread) => {
                    running -= 1;
                    last = last.max(thread.at);
                    end.cpu_time.0 += thread.cpu_time.0;
                    let waited = end.runqueue_wait.zip(thread.runqueue_wait);
                    end.runqueue_wait = waited.map(|(all, one)| all + one);
                    end.error = end.error.or(thread.result.err());
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.is_to_be_given_up() {
                        end.given_up = true;
                        return end;
                    }
                    if next_look.is_some_and(|look| look <= Instant::now()) {
                        next_look = self.pace().map(|pace| Instant::now() + pace);
                        self.look();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    unreachable!("each thread sends its end before it drops its sender")
                }
            }
        }
        end.last = Some(last);
        end
    }

    fn wait(
        &self,
        ended: &mpsc::Receiver<ThreadEnd>,
        next_look: Option<Instant>,
    ) -> Result<ThreadEnd, RecvTimeoutError> {
        let give_up = self.setup.forced_shutdown.map(|after| self.started + after);
        match [give_up, next_look].into_iter().flatten().min() {
            Some(until) => ended.recv_timeout(until.saturating_duration_since(Instant::now())),
            None => ended.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn is_to_be_given_up(&self) -> bool {
        self.setup
            .forced_shutdown
            .is_some_and(|after| self.started.elapsed() >= after)
    }

    /// How often to look: as often as the observer wants, or an interval may be complete.
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
