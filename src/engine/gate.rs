//! The common start of a run's threads: as soon as all are ready, or at a moment that was named.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, OnceLock};
use std::time::{Duration, Instant};

use super::recorder::Schedule;
use super::{Observer, Setup};
use crate::clock::{Clock, Ticks};

/// So long before the moment the main thread's wait ends, to have done what remains to be done.
const HEADROOM: Duration = Duration::from_millis(20);

/// Where all threads wait until they may begin together.
pub(super) struct Gate<C: Clock> {
    setup: Setup,
    clock: C,
    /// When the run began to get ready.
    began: Ticks,
    /// When the last thread was ready.
    ready: AtomicU64,
    barrier: Barrier,
    passed: OnceLock<Start>,
}

/// How a run started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub schedule: Schedule,
    /// How long after its moment, in seconds; None where none was named, or it did not come.
    pub late_s: Option<f64>,
}

impl<C: Clock> Gate<C> {
    /// For a run that begins to get ready now.
    pub fn new(setup: Setup, clock: C) -> Self {
        Self {
            setup,
            clock,
            began: clock.start(),
            ready: AtomicU64::new(0),
            // More threads than the pool has are refused before any of them comes here.
            barrier: Barrier::new(setup.threads.saturating_add(1)),
            passed: OnceLock::new(),
        }
    }

    /// A worker is ready. Returns when it may begin; early where `is_over` says that the run is.
    ///
    /// `read` runs before the last wait of the thread: what it reads includes how long the thread
    /// then waits for a CPU, but not the time to a start that was requested.
    pub fn pass<T>(&self, is_over: impl Fn() -> bool, read: impl FnOnce() -> T) -> (Start, T) {
        let Some(moment) = self.setup.start_at else {
            let reading = read();
            self.all_are_ready();
            return (self.start(), reading);
        };
        self.all_are_ready();
        // Each thread sleeps by itself: being woken by another would make it later.
        moment.sleep_until(HEADROOM, &is_over);
        let reading = read();
        moment.sleep_until(Duration::ZERO, is_over);
        let start = self.start();
        // Where threads outnumber CPUs, others wait for this one: each of them starts before
        // any of them works, and not when one before it has used up its time slice.
        std::thread::yield_now();
        (start, reading)
    }

    /// The main thread's way through: it tells the observer what the threads are about to do.
    /// Returns how long it waited for the moment.
    pub fn lead(&self, is_over: impl Fn() -> bool, observer: &mut dyn Observer) -> Duration {
        self.all_are_ready();
        let ready = Instant::now();
        let mut waited = Duration::ZERO;
        if let Some(moment) = self.setup.start_at
            && moment.is_ahead_by(2 * HEADROOM)
        {
            observer.waits();
            moment.sleep_until(HEADROOM, &is_over);
            observer.wait_ends();
            moment.sleep_until(Duration::ZERO, is_over);
            waited = ready.elapsed();
        }
        observer.started();
        waited
    }

    /// How the run started. The first who asks starts it.
    pub fn start(&self) -> Start {
        *self.passed.get_or_init(|| {
            let moment = self.setup.start_at;
            let late_s = moment.map(|moment| moment.late_s());
            let began = match moment {
                None => self.began,
                // As if the wait had not been: the time to get ready is all that lies between the
                // begin of the run and its start, as without a moment to wait for.
                Some(_) => {
                    let ready = Ticks(self.ready.load(Ordering::Acquire));
                    Ticks(self.clock.start().0 - ready.since(self.began))
                }
            };
            Start {
                schedule: Schedule::beginning(began, self.setup, self.clock),
                late_s: late_s.filter(|&late_s| late_s >= 0.0),
            }
        })
    }

    fn all_are_ready(&self) {
        self.ready.fetch_max(self.clock.stop().0, Ordering::Release);
        self.barrier.wait();
    }
}
