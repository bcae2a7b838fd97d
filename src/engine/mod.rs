//! Threads, the start barrier, deadline and interruption; generic over workload and clock, so
//! that the measured loop is compiled for each pair.
//!
//! The engine owns the event loop ([`EventLoop`]). An event costs one reading of the clock, which
//! ends it and begins the next, a histogram increment, and what the workload needs to claim it. The
//! rest happens at checkpoints (the deadline, the end of an interval), which the loop detects by one
//! comparison with the time it has just read.

mod collector;
mod event_loop;
mod pin;
mod priority;
mod recorder;
mod snapshots;
mod start_barrier;
pub mod statistics;
mod supervisor;
mod threads;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use nix::sched::sched_getcpu;

use crate::clock::{Clock, Nanoseconds, Scale, Ticks};
use crate::host::accounting::{ReadyThread, ThreadActivity};
use crate::result::{EndedBy, Interval};
use crate::signal;
use crate::start::StartAt;

pub use event_loop::{EventLoop, Events, Issued};
pub use pin::first_pinned_cpu;
pub use recorder::Recorder;
pub use snapshots::{Snapshot, ThreadSums};
pub use statistics::{Statistics, Transfer};

use collector::Collector;
use pin::{bind_to, cpus_to_pin_to};
use priority::RaisedPriority;
use recorder::RunState;
use snapshots::Snapshots;
use start_barrier::StartBarrier;
use supervisor::{AbandonReason, Supervisor};
use threads::WorkerThreads;

/// A workload that several threads run.
pub trait EventSource: Send + Sync + 'static {
    /// State of one worker thread.
    type Worker: Worker;

    /// Creates the worker of a thread, on that thread, before the common start.
    fn worker(self: Arc<Self>, thread: usize) -> Result<Self::Worker>;

    /// Returns the progress of the work, for display only.
    fn progress(&self) -> Progress;
}

/// One thread's part of a workload.
pub trait Worker {
    /// Runs the engine's loop over this thread's events.
    ///
    /// A worker with several kinds of events selects one here, once, so that the loop is compiled
    /// for each kind.
    fn run<C: Clock>(&mut self, events: EventLoop<'_, C>) -> Result<()>;
}

/// Requests claimed so far, and the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Claimed so far.
    pub done: u64,
    /// Total; `None` if only the time limits the run.
    pub total: Option<u64>,
}

/// Parameters of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup {
    /// Number of worker threads.
    pub threads: usize,
    /// Minimum stack size of each thread, in bytes.
    pub stack_size: Option<usize>,
    /// Whether to bind worker i to the i-th allowed CPU.
    pub pin: bool,
    /// No event begins later than this after the start.
    pub max_time: Option<Duration>,
    /// A run that has not ended this long after the start is abandoned.
    pub forced_shutdown: Option<Duration>,
    /// Length of a statistics interval.
    pub interval: Option<Duration>,
    /// Start time of the threads; `None` to start as soon as all are ready.
    pub start_at: Option<StartAt>,
    /// Whether the time of the run begins when the threads start, rather than with the preparation.
    pub timed_from_start: bool,
}

/// Observes a run from outside. No method is called on a worker thread.
pub trait Observer {
    /// All threads are ready and wait for the start time.
    fn waiting(&mut self) {}

    /// The start time is some milliseconds ahead, or the wait was canceled.
    fn wait_ended(&mut self) {}

    /// All threads are ready and wait. The time that this takes is not part of the run.
    fn ready(&mut self) {}

    /// All threads are about to begin.
    fn started(&mut self) {}

    /// All threads have ended, or the run was abandoned.
    fn ended(&mut self) {}

    /// Returns how often to call [`Observer::progress`]; `None` for never.
    fn progress_interval(&self) -> Option<Duration> {
        None
    }

    /// Receives the progress of the run.
    fn progress(&mut self, _elapsed: Duration, _progress: Progress) {}

    /// Percentile of event durations that [`Observer::interval`] receives, 0 to 100.
    fn interval_percentile(&self) -> f64 {
        95.0
    }

    /// An interval is complete. `percentile_ns` is `None` without events.
    fn interval(&mut self, _interval: &Interval, _percentile_ns: Option<u64>) {}

    /// Returns the times after the start at which to call [`Observer::snapshot`], ascending; `None`
    /// for no snapshots, not even at the end.
    fn snapshot_times(&self) -> Option<Vec<Duration>> {
        None
    }

    /// Receives what was recorded before a snapshot time, since the previous one or the start.
    fn snapshot(&mut self, _snapshot: &Snapshot) {}

    /// Receives what was recorded after the last snapshot time that the run reached.
    fn rest(&mut self, _rest: &Snapshot) {}
}

/// An observer that ignores everything.
pub struct Unobserved;

impl Observer for Unobserved {}

/// What a run measured.
#[derive(Debug)]
pub struct RunOutcome {
    /// Time from before the workload was opened and the threads were created, or from the common
    /// start, until the last thread ended, excluding the wait for a start time.
    pub wall: Nanoseconds,
    /// Delay of the first thread after the start time, in seconds; `None` without a start time, or
    /// if a signal arrived before it.
    pub late_s: Option<f64>,
    /// Statistics of all threads together.
    pub all: Statistics,
    /// Totals of each thread.
    pub threads: Vec<ThreadSums>,
    /// What each thread did, and for how long, from the common start to its last event; `None` if
    /// the run was abandoned or a thread panicked.
    pub activity: Option<Vec<(Duration, ThreadActivity)>>,
    /// The CPU on which the last thread ended; `None` if unknown.
    pub last_cpu: Option<usize>,
    /// The intervals, in order.
    pub intervals: Vec<Interval>,
    /// What ended the run.
    pub ended_by: EndedBy,
    /// The error that ended the run, if any.
    pub error: Option<Error>,
}

impl RunOutcome {
    /// Returns the CPU time of the threads from the common start to their end, if it is known.
    pub fn cpu_time(&self) -> Option<Duration> {
        let threads = self.activity.as_ref()?.iter();
        Some(threads.map(|(_, thread)| thread.cpu).sum())
    }

    /// Returns the time that the threads waited in run queues, if it is known.
    pub fn queued_time(&self) -> Option<Duration> {
        let threads = self.activity.as_ref()?.iter();
        threads.map(|(_, thread)| thread.queued).sum()
    }

    /// Runs `verify` after a run that ended normally; its error fails the run.
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
/// An error in the workload, or a signal, is part of the measurement. `Err` means that the run
/// never began: the workload could not be opened, or a thread could not be created.
pub fn run<W: EventSource, C: Clock>(
    setup: Setup,
    clock: C,
    open: impl FnOnce() -> Result<W>,
    observer: &mut dyn Observer,
) -> Result<RunOutcome> {
    let barrier = Arc::new(StartBarrier::new(setup, clock));
    let opening = Instant::now();
    let workload = Arc::new(open()?);
    let shared = Arc::new(RunState {
        stopped: AtomicBool::new(false),
        timed_out: AtomicBool::new(false),
        collector: Collector::new(
            setup.threads,
            setup.interval,
            observer.interval_percentile(),
        ),
        snapshots: observer
            .snapshot_times()
            .map(|times| Snapshots::new(setup.threads, times)),
    });
    let cpus = cpus_to_pin_to(setup.pin)?;
    let (sender, ended) = mpsc::channel();
    let abandon = || {
        shared.stopped.store(true, Ordering::Relaxed);
        barrier.open();
    };
    let threads = {
        let (workload, shared, barrier) = (workload.clone(), shared.clone(), barrier.clone());
        let work = move |thread| {
            let _guard = shared.stop_on_panic();
            let recorder = Recorder::new(clock, thread, shared.clone());
            let cpu = cpus.as_ref().map(|cpus| cpus[thread % cpus.len()]);
            let end = run_worker(workload.clone(), recorder, cpu, &barrier);
            // The receiver is gone only if the run was abandoned.
            let _ = sender.send(end);
        };
        WorkerThreads::spawn(setup, work, abandon)?
    };
    let _prompt = RaisedPriority::of_this_thread();
    let waited = barrier.open_when_ready(|| shared.is_over(), observer);
    let mut supervisor = Supervisor {
        setup,
        started: opening + waited,
        workload: &*workload,
        shared: &shared,
        observer,
        intervals_reported: 0,
    };
    let end = supervisor.wait_for_end(&ended);
    supervisor.observer.ended();
    let start = barrier.start();
    let wall = clock.scale().between(
        start.schedule.began,
        end.last.unwrap_or_else(|| clock.stop()),
    );
    let intervals = shared.collector.close_all(wall);
    supervisor.report_rest(wall);
    supervisor.report_intervals();
    // If the run was abandoned, threads that hang are not joined.
    if end.abandoned.is_none() {
        threads.join();
    }
    let (all, threads) = shared.collector.totals();
    Ok(RunOutcome {
        wall,
        late_s: start.late_s,
        all,
        threads,
        last_cpu: end.last_cpu,
        activity: end
            .activity
            .map(|threads| since(start.opened, clock.scale(), threads)),
        intervals: intervals.into_iter().map(|it| it.summary).collect(),
        ended_by: match end.abandoned {
            Some(AbandonReason::ForcedShutdown) => EndedBy::ForcedShutdown,
            Some(AbandonReason::Signal) => EndedBy::Signal,
            _ if end.error.is_some() => EndedBy::Error,
            _ if signal::is_caught() => EndedBy::Signal,
            _ if shared.timed_out.load(Ordering::Relaxed) => EndedBy::Time,
            _ => EndedBy::Work,
        },
        error: end.error,
    })
}

/// Creates the threads of a run and ends them at once, so that a run whose threads cannot be
/// created is refused before anything is prepared for it.
pub fn try_threads(setup: Setup) -> Result<()> {
    let release = Arc::new(OnceLock::new());
    let held = release.clone();
    let hold = move |_| _ = held.wait();
    let threads = WorkerThreads::spawn(setup, hold, || _ = release.set(()))?;
    let _ = release.set(());
    threads.join();
    Ok(())
}

/// Converts the time at which each thread ended to the time since the common start.
fn since(
    start: Ticks,
    scale: Scale,
    ends: Vec<(Ticks, ThreadActivity)>,
) -> Vec<(Duration, ThreadActivity)> {
    let elapsed = |at| Duration::from_nanos(scale.between(start, at).0);
    ends.into_iter()
        .map(|(at, activity)| (elapsed(at), activity))
        .collect()
}

/// How a thread's part of a run ended.
struct ThreadEnd {
    at: Ticks,
    activity: ThreadActivity,
    cpu: Option<usize>,
    result: Result<()>,
}

/// Runs one thread's part of a run, from before the common start to its last event.
fn run_worker<W: EventSource, C: Clock>(
    workload: Arc<W>,
    mut recorder: Recorder<C>,
    cpu: Option<core_affinity::CoreId>,
    barrier: &StartBarrier<C>,
) -> ThreadEnd {
    let prepared = bind_to(cpu).and_then(|()| workload.worker(recorder.thread));
    if prepared.is_err() {
        recorder.stop();
    }
    // Every thread must get here, even after an error: the others wait for it.
    let is_over = || recorder.shared.is_over();
    let (start, counters) = barrier.wait(is_over, ReadyThread::read);
    recorder.open(start.schedule);
    let counters = counters.start();
    let result = prepared.and_then(|mut worker| worker.run(EventLoop::new(&mut recorder)));
    if result.is_err() {
        recorder.stop();
    }
    let at = recorder.now();
    let activity = counters.end();
    recorder.finish();
    ThreadEnd {
        at,
        activity,
        cpu: sched_getcpu().ok(),
        result,
    }
}

#[cfg(test)]
mod tests;
