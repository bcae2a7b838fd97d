//! Threads, the start barrier, deadline and interruption; generic over workload and clock, so
//! that the measured loop is compiled for each pair.
//!
//! The engine owns the event loop ([`EventLoop`]). An event costs one reading of the clock, which
//! ends it and begins the next, a histogram increment, and what the workload needs to claim it. The
//! rest happens at checkpoints (the deadline, the end of an interval), which the loop detects by one
//! comparison with the time it has just read.

mod event_loop;
mod gate;
mod ledger;
mod pin;
mod recorder;
mod threads;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use nix::time::{ClockId, clock_gettime};

use crate::clock::{Clock, Nanoseconds, Ticks};
use crate::host::thread_runqueue_wait;
use crate::measure::Measure;
use crate::result::{EndedBy, Interval};
use crate::signal;
use crate::start::StartAt;

pub use event_loop::{EventLoop, Events, Issued};
pub use ledger::ThreadSums;
pub use recorder::Recorder;

use gate::Gate;
use ledger::Ledger;
use pin::{bind_to, cpus_to_pin_to};
use recorder::Shared;
use threads::WorkerThreads;
use watch::{GivenUp, Watch};

/// Work for threads.
pub trait Workload: Send + Sync + 'static {
    /// What one thread needs to do its part.
    type Worker: Worker;

    /// Makes the worker of a thread, on that thread, before the common start.
    fn worker(self: Arc<Self>, thread: usize) -> Result<Self::Worker>;

    /// How far the work has come; for the eyes of a user only.
    fn progress(&self) -> Progress;
}

/// One thread's part of a workload.
pub trait Worker {
    /// Has the engine's loop run over this thread's events.
    ///
    /// A worker whose events are of several kinds chooses here, once, so that the loop is compiled
    /// for each kind.
    fn run<C: Clock>(&mut self, events: EventLoop<'_, C>) -> Result<()>;
}

/// Requests claimed so far, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Claimed so far.
    pub done: u64,
    /// In all; None where only the time limits the run.
    pub total: Option<u64>,
}

/// How a run is to be done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup {
    /// Worker threads.
    pub threads: usize,
    /// A smallest stack for each, in bytes.
    pub stack_size: Option<usize>,
    /// Bind worker i to the i-th CPU allowed.
    pub pin: bool,
    /// Events stop this long after the start.
    pub max_time: Option<Duration>,
    /// A run that still hangs this long after the start is given up.
    pub forced_shutdown: Option<Duration>,
    /// Length of an interval of the statistics.
    pub interval: Option<Duration>,
    /// The threads begin at this moment; None for as soon as they are ready.
    pub start_at: Option<StartAt>,
}

/// Who watches a run from outside. None of it is called on a measuring thread.
pub trait Observer {
    /// All threads are ready, and wait for the moment at which they are to begin.
    fn waits(&mut self) {}

    /// That moment is some milliseconds ahead, or the wait was given up.
    fn wait_ends(&mut self) {}

    /// All threads are about to begin.
    fn started(&mut self) {}

    /// How often [`Observer::progress`] is to be called; None for never.
    fn pace(&self) -> Option<Duration> {
        None
    }

    /// How far the run has come.
    fn progress(&mut self, _elapsed: Duration, _progress: Progress) {}

    /// An interval is complete.
    fn interval(&mut self, _interval: &Interval) {}
}

/// Nobody watches.
pub struct Unobserved;

impl Observer for Unobserved {}

/// What a run measured.
#[derive(Debug)]
pub struct Measurement {
    /// From before the workload was opened and the threads created to after the last one ended,
    /// without the wait for a moment to start at.
    pub wall: Nanoseconds,
    /// How long after that moment the first thread began, in seconds; None where there was none,
    /// or a signal came before it.
    pub late_s: Option<f64>,
    /// The events of all threads.
    pub all: Measure,
    /// Each thread's events.
    pub threads: Vec<ThreadSums>,
    /// CPU time of the threads between the start barrier and their end.
    pub cpu_time: Nanoseconds,
    /// Time that the threads waited in run queues for a CPU, from just before the common start to
    /// their last event; None if unknown for a thread.
    pub runqueue_wait: Option<Duration>,
    /// Each interval, in order.
    pub intervals: Vec<Interval>,
    /// What ended the run.
    pub ended_by: EndedBy,
    /// The error that ended it, if one did.
    pub error: Option<Error>,
}

impl Measurement {
    /// Looks at what a run that came to its own end has left; an error there fails the run.
    pub fn verify(&mut self, verify: impl FnOnce() -> Result<()>) {
        if !matches!(self.ended_by, EndedBy::Work | EndedBy::Time) {
            return;
        }
        if let Err(error) = verify() {
            self.ended_by = match error.is::<signal::Interrupted>() {
                true => EndedBy::Signal,
                false => EndedBy::Error,
            };
            self.error = Some(error);
        }
    }
}

/// Opens a workload and runs it to its end.
///
/// An error in the workload is part of the measurement, as is a signal; `Err` means that the
/// run never began: the workload could not be opened, or a thread not be created.
pub fn run<W: Workload, C: Clock>(
    setup: Setup,
    clock: C,
    open: impl FnOnce() -> Result<W>,
    observer: &mut dyn Observer,
) -> Result<Measurement> {
    let gate = Arc::new(Gate::new(setup, clock));
    let opening = Instant::now();
    let workload = Arc::new(open()?);
    let shared = Arc::new(Shared {
        stopped: AtomicBool::new(false),
        timed_out: AtomicBool::new(false),
        ledger: Ledger::new(setup.threads, setup.interval),
    });
    let cpus = cpus_to_pin_to(setup.pin)?;
    let (sender, ended) = mpsc::channel();
    let abandon = || {
        shared.stopped.store(true, Ordering::Relaxed);
        gate.open();
    };
    let threads = {
        let (workload, shared, gate) = (workload.clone(), shared.clone(), gate.clone());
        let work = move |thread| {
            let recorder = Recorder::new(clock, thread, shared.clone());
            let cpu = cpus.as_ref().map(|cpus| cpus[thread % cpus.len()]);
            let end = work_through(workload.clone(), recorder, cpu, &gate);
            // The receiver is gone only if the run was given up.
            let _ = sender.send(end);
        };
        WorkerThreads::spawn(setup, work, abandon)?
    };
    let waited = gate.lead(|| shared.is_over(), observer);
    let mut watch = Watch {
        setup,
        started: opening + waited,
        workload: &*workload,
        shared: &shared,
        observer,
        intervals_shown: 0,
    };
    let end = watch.until_the_end(&ended);
    let start = gate.start();
    let wall = clock.scale().between(
        start.schedule.began,
        end.last.unwrap_or_else(|| clock.stop()),
    );
    let intervals = shared.ledger.intervals(Some(wall));
    watch.show_intervals(&intervals);
    // Threads that hang are not waited for: that is what was given up.
    if end.given_up.is_none() {
        threads.join();
    }
    let (all, threads) = shared.ledger.totals();
    Ok(Measurement {
        wall,
        late_s: start.late_s,
        all,
        threads,
        cpu_time: end.cpu_time,
        runqueue_wait: end.runqueue_wait.filter(|_| end.given_up.is_none()),
        intervals,
        ended_by: match end.given_up {
            Some(GivenUp::ForcedShutdown) => EndedBy::ForcedShutdown,
            Some(GivenUp::Signal) => EndedBy::Signal,
            _ if end.error.is_some() => EndedBy::Error,
            _ if signal::is_caught() => EndedBy::Signal,
            _ if shared.timed_out.load(Ordering::Relaxed) => EndedBy::Time,
            _ => EndedBy::Work,
        },
        error: end.error,
    })
}

/// Creates the threads of a run and lets them end at once, so that a run which cannot have them
/// is refused before anything is prepared for it.
pub fn try_threads(setup: Setup) -> Result<()> {
    let release = Arc::new(OnceLock::new());
    let held = release.clone();
    let hold = move |_| _ = held.wait();
    let threads = WorkerThreads::spawn(setup, hold, || _ = release.set(()))?;
    let _ = release.set(());
    threads.join();
    Ok(())
}

/// How a thread's part of a run ended.
struct ThreadEnd {
    at: Ticks,
    cpu_time: Nanoseconds,
    runqueue_wait: Option<Duration>,
    result: Result<()>,
}

/// A thread's part of a run, from before the common start to its last event.
fn work_through<W: Workload, C: Clock>(
    workload: Arc<W>,
    mut recorder: Recorder<C>,
    cpu: Option<core_affinity::CoreId>,
    gate: &Gate<C>,
) -> ThreadEnd {
    let prepared = bind_to(cpu).and_then(|()| workload.worker(recorder.thread));
    if prepared.is_err() {
        recorder.shared.stopped.store(true, Ordering::Relaxed);
    }
    // Every thread comes here, whatever befell it: the others wait for it.
    let is_over = || recorder.shared.is_over();
    let (start, wait_before) = gate.pass(is_over, thread_runqueue_wait);
    recorder.open(start.schedule);
    let cpu_before = thread_cpu_time();
    let result = prepared.and_then(|mut worker| worker.run(EventLoop::new(&mut recorder)));
    let cpu_time = Nanoseconds(thread_cpu_time().saturating_sub(cpu_before));
    if result.is_err() {
        recorder.shared.stopped.store(true, Ordering::Relaxed);
    }
    let at = recorder.now();
    let runqueue_wait = thread_runqueue_wait()
        .zip(wait_before)
        .map(|(after, before)| after.saturating_sub(before));
    recorder.finish();
    ThreadEnd {
        at,
        cpu_time,
        runqueue_wait,
        result,
    }
}

fn thread_cpu_time() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |t| {
        t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64
    })
}

#[cfg(test)]
mod tests;
