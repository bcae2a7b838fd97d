//! The common start of a run's threads: as soon as all are ready, or at a given time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::recorder::Schedule;
use super::{Observer, Setup};
use crate::clock::{Clock, Ticks};

/// How long before the start time the main thread stops waiting, to finish its own preparation.
const HEADROOM: Duration = Duration::from_millis(20);

/// How often the main thread checks for a signal while the threads get ready.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);

/// Where all threads wait until they may begin together.
///
/// The last thread that gets ready wakes the main thread, which opens the gate. Waiting takes no
/// lock, so that thousands of threads that wake at once don't wait for each other again.
pub(super) struct Gate<C: Clock> {
    setup: Setup,
    clock: C,
    /// When the run began to get ready.
    began: Ticks,
    /// When the last thread was ready.
    ready_at: AtomicU64,
    /// Threads that are ready.
    ready: AtomicUsize,
    main: Thread,
    opened: OnceLock<()>,
    passed: OnceLock<Start>,
}

/// How a run started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub schedule: Schedule,
    /// Seconds after its start time; `None` if none was given, or it did not come.
    pub late_s: Option<f64>,
}

impl<C: Clock> Gate<C> {
    /// For a run that begins to get ready now; the calling thread will lead it.
    pub fn new(setup: Setup, clock: C) -> Self {
        Self {
            setup,
            clock,
            began: clock.start(),
            ready_at: AtomicU64::new(0),
            ready: AtomicUsize::new(0),
            main: thread::current(),
            opened: OnceLock::new(),
            passed: OnceLock::new(),
        }
    }

    /// A worker is ready. Returns when it may begin; early if `is_over` says that the run is.
    ///
    /// `read` runs before the last wait of the thread: what it reads includes how long the thread
    /// then waits for a CPU, but not the time to a start that was requested.
    pub fn pass<T>(&self, is_over: impl Fn() -> bool, read: impl FnOnce() -> T) -> (Start, T) {
        let Some(moment) = self.setup.start_at else {
            let reading = read();
            self.arrive();
            return (self.start(), reading);
        };
        self.arrive();
        // Each thread sleeps by itself: being woken by another would make it later.
        moment.sleep_until(HEADROOM, &is_over);
        let reading = read();
        moment.sleep_until(Duration::ZERO, is_over);
        let start = self.start();
        // If threads outnumber CPUs, others wait for this one: each of them starts before
        // any of them works, and not when one before it has used up its time slice.
        thread::yield_now();
        (start, reading)
    }

    /// The main thread's way through: opens the gate when all threads are ready, or early if
    /// `is_over` says that the run is, and informs the observer of what the threads are about to
    /// do. Returns how long it waited for the start time.
    pub fn lead(&self, is_over: impl Fn() -> bool, observer: &mut dyn Observer) -> Duration {
        while self.ready.load(Ordering::Acquire) < self.setup.threads && !is_over() {
            thread::park_timeout(SIGNAL_CHECK);
        }
        self.note_ready();
        self.open();
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

    /// Lets all threads through, those that come later, too.
    pub fn open(&self) {
        self.opened.get_or_init(|| ());
    }

    /// How the run started. The first caller starts it.
    pub fn start(&self) -> Start {
        *self.passed.get_or_init(|| {
            let moment = self.setup.start_at;
            let late_s = moment.map(|moment| moment.late_s());
            let began = match moment {
                None => self.began,
                // As if there had been no wait: only the time to get ready lies between the begin
                // of the run and its start, as without a start time.
                Some(_) => {
                    let ready_at = Ticks(self.ready_at.load(Ordering::Acquire));
                    Ticks(self.clock.start().0 - ready_at.since(self.began))
                }
            };
            Start {
                schedule: Schedule::beginning(began, self.setup, self.clock),
                late_s: late_s.filter(|&late_s| late_s >= 0.0),
            }
        })
    }

    /// A worker waits until the gate is open.
    fn arrive(&self) {
        self.note_ready();
        if self.ready.fetch_add(1, Ordering::AcqRel) + 1 == self.setup.threads {
            self.main.unpark();
        }
        self.opened.wait();
    }

    fn note_ready(&self) {
        self.ready_at
            .fetch_max(self.clock.stop().0, Ordering::Release);
    }
}
