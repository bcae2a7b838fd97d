//! The start barrier: a run's threads start as soon as all are ready, or at a given time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::dyn_clock::DynClock;
use super::recorder::Schedule;
use super::{Observer, Setup};
use crate::clock::Ticks;

/// How long before the start time the main thread stops waiting, to finish its own preparation.
const HEADROOM: Duration = Duration::from_millis(20);

/// How often the main thread checks for a signal while the threads get ready.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);

/// The start barrier of a run's threads.
///
/// The last thread to become ready wakes the main thread, which opens the barrier. Waiting takes no
/// lock, so that thousands of threads that wake at once do not contend.
pub(super) struct StartBarrier {
    setup: Setup,
    clock: DynClock,
    /// When preparation began.
    began: Ticks,
    /// When the last thread became ready.
    ready_at: AtomicU64,
    /// Number of threads that are ready.
    ready: AtomicUsize,
    main: Thread,
    /// Ticks for which the threads were ready and the observer was not.
    held: AtomicU64,
    /// When the barrier opened.
    opened: OnceLock<Ticks>,
    start: OnceLock<CommonStart>,
}

/// How a run started.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommonStart {
    pub schedule: Schedule,
    /// When the threads could begin: the barrier opened, or the start time came. The first of them
    /// begins as soon as it gets a CPU.
    pub opened: Ticks,
    /// Delay after the start time, in seconds; `None` without a start time, or if the run ended
    /// before it.
    pub late_s: Option<f64>,
}

impl StartBarrier {
    /// Creates the barrier of a run whose preparation begins now; the calling thread must open it.
    pub fn new(setup: Setup, clock: &DynClock) -> Self {
        Self {
            setup,
            began: clock.now(),
            clock: clock.clone(),
            ready_at: AtomicU64::new(0),
            ready: AtomicUsize::new(0),
            main: thread::current(),
            held: AtomicU64::new(0),
            opened: OnceLock::new(),
            start: OnceLock::new(),
        }
    }

    /// Waits on a worker thread until it may start; returns early if `is_over` reports the end of
    /// the run.
    pub fn wait(&self, is_over: impl Fn() -> bool) -> CommonStart {
        self.arrive();
        let Some(start_at) = self.setup.start_at else {
            return self.start();
        };
        // Each thread sleeps on its own: a wakeup by another thread would delay it.
        start_at.sleep_until(Duration::ZERO, is_over);
        let start = self.start();
        // If threads outnumber CPUs, others wait for this one: each of them starts before any of
        // them works, and not when an earlier one has used up its time slice.
        thread::yield_now();
        start
    }

    /// Opens the barrier on the main thread when all threads are ready, or early if `is_over`
    /// reports the end of the run. Notifies the observer before the threads start. Returns the time
    /// spent waiting for the observer and for the start time, which is not part of the run.
    pub fn open_when_ready(
        &self,
        is_over: impl Fn() -> bool,
        observer: &mut dyn Observer,
    ) -> Duration {
        self.wait_until_ready(&is_over);
        self.mark_ready();
        let ready = Instant::now();
        if let Some(start_at) = self.setup.start_at
            && start_at.is_ahead_by(2 * HEADROOM)
        {
            self.open();
            observer.waiting();
            start_at.sleep_until(HEADROOM, &is_over);
            observer.wait_ended();
            observer.ready();
            start_at.sleep_until(Duration::ZERO, is_over);
        } else {
            let began = self.clock.now();
            observer.ready();
            self.held
                .store(self.clock.now().since(began), Ordering::Release);
            self.open();
        }
        let waited = ready.elapsed();
        observer.started();
        waited
    }

    /// Waits on the main thread until all threads are ready, or `is_over` reports the end of the run.
    pub fn wait_until_ready(&self, is_over: impl Fn() -> bool) {
        while self.ready.load(Ordering::Acquire) < self.setup.threads && !is_over() {
            thread::park_timeout(SIGNAL_CHECK);
        }
    }

    /// Lets all threads through, including those that arrive later.
    pub fn open(&self) {
        self.opened.get_or_init(|| self.clock.now());
    }

    /// Returns how the run started. The first call starts it.
    pub fn start(&self) -> CommonStart {
        *self.start.get_or_init(|| {
            let start_at = self.setup.start_at;
            let late_s = start_at
                .map(|start_at| start_at.late_s())
                .filter(|&late_s| late_s >= 0.0);
            let now = self.clock.now();
            let began = match start_at {
                _ if self.setup.timed_from_start => now,
                None => Ticks(self.began.0 + self.held.load(Ordering::Acquire)),
                // Excludes the wait: only the preparation lies between the beginning of the run and
                // its start, as without a start time.
                Some(_) => {
                    let ready_at = Ticks(self.ready_at.load(Ordering::Acquire));
                    Ticks(now.0 - ready_at.since(self.began))
                }
            };
            let opened = self.opened.get().copied().unwrap_or(now);
            let scale = self.clock.scale();
            let came = late_s.map(|late_s| {
                let late = scale.after(Ticks(0), Duration::from_secs_f64(late_s));
                Ticks(now.since(late))
            });
            CommonStart {
                schedule: Schedule::beginning(began, self.setup, self.clock.scale()),
                opened: came.map_or(opened, |came| opened.max(came)),
                late_s,
            }
        })
    }

    /// Waits on a worker thread until the barrier opens.
    fn arrive(&self) {
        self.mark_ready();
        if self.ready.fetch_add(1, Ordering::AcqRel) + 1 == self.setup.threads {
            self.main.unpark();
        }
        self.opened.wait();
    }

    fn mark_ready(&self) {
        self.ready_at
            .fetch_max(self.clock.now().0, Ordering::Release);
    }
}
