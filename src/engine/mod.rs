//! Threads, the start barrier, deadline and interruption; generic over workload and clock, so
//! that the measured loop is compiled for each pair.
//!
//! The engine owns the event loop ([`EventLoop`]), and starts events when the previous one has ended or,
//! in an open loop, when they arrive ([`Timing`]). An event costs one reading of the clock, which
//! ends it and begins the next, a histogram increment, and what the workload needs to claim it. The
//! rest happens at checkpoints (the deadline, the end of an interval), which the loop detects by one
//! comparison with the time it has just read.

mod arrival_schedule;
mod collector;
mod dyn_clock;
mod event_loop;
mod pacer;
mod pin;
mod priority;
mod recorder;
mod snapshots;
mod start_barrier;
pub mod statistics;
mod supervisor;
mod threads;
mod timing;

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use nix::sched::sched_getcpu;

use crate::clock::{Nanoseconds, Scale, Ticks};
use crate::host::accounting::{ReadyThread, ThreadActivity};
use crate::plan::{Arrivals, Seed};
use crate::result::{EndedBy, Interval};
use crate::signal;
use crate::start::StartAt;

pub use event_loop::{EventLoop, Events, Issued, Upcoming};
pub use pacer::{BacklogExceeded, Polling};
pub use pin::first_pinned_cpu;
pub use recorder::{EventStart, Recorder};
pub use snapshots::{Snapshot, ThreadSums};
pub use statistics::{Statistics, Transfer};
pub use timing::{Closed, Open, Timing};

use collector::Queue;
use dyn_clock::DynClock;
use pin::{bind_to, cpus_to_pin_to};
use priority::RaisedPriority;
use recorder::{RunState, Schedule};
use start_barrier::{CommonStart, StartBarrier};
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

    /// Begins a phase of a run with a warm-up. No thread is in an event.
    fn begin(&self, phase: Phase) -> Result<()>;
}

/// Phase of a run with a warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is recorded, and the work has no end.
    WarmUp,
    /// The work begins anew, with its limits.
    Measured,
}

/// One thread's part of a workload.
pub trait Worker {
    /// Runs the engine's loop over this thread's events.
    ///
    /// A worker with several kinds of events selects one here, once, so that the loop is compiled
    /// for each kind.
    fn run<T: Timing>(&mut self, events: EventLoop<'_, T>) -> Result<()>;
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
    /// Arrivals of the events, for [`Open`]; `None` for [`Closed`].
    pub arrivals: Option<Arrivals>,
    /// Seed of the arrivals.
    pub seed: Seed,
    /// How threads wait for arrivals.
    pub polling: Polling,
    /// Time before the run in which the threads work, but nothing is recorded.
    pub warmup: Option<Duration>,
}

/// Observes a run from outside. No method is called on a worker thread.
pub trait Observer {
    /// All threads are ready and wait for the start time.
    fn waiting(&mut self) {}

    /// The start time is some milliseconds ahead, or the wait was canceled.
    fn wait_ended(&mut self) {}

    /// All threads are ready and wait. The time that this takes is not part of the run. Called again
    /// after a warm-up.
    fn ready(&mut self) {}

    /// The warm-up has ended, and the run is about to begin.
    fn warmed_up(&mut self) {}

    /// All threads are about to begin the run or, if it has a warm-up, have begun that.
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
    /// Number of events that had arrived but not started when the run ended; `None` in a closed loop.
    pub backlog: Option<u64>,
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
pub fn run<W: EventSource, T: Timing>(
    setup: Setup,
    timing: T,
    open: impl FnOnce() -> Result<W>,
    observer: &mut dyn Observer,
) -> Result<RunOutcome> {
    let clock = DynClock::of(timing.clock());
    let opening = Instant::now();
    let barriers = Arc::new(Barriers::new(setup, &clock));
    let workload = Arc::new(open()?);
    let shared = Arc::new(RunState::new(setup, clock.scale(), observer));
    let cpus = cpus_to_pin_to(setup.pin)?;
    let (sender, ended) = mpsc::channel();
    let work = {
        let (workload, shared, barriers) = (workload.clone(), shared.clone(), barriers.clone());
        move |thread: usize| {
            let _guard = shared.stop_on_panic();
            let recorder = Recorder::new(&setup, timing, thread, shared.clone());
            let cpu = cpus.as_ref().map(|cpus| cpus[thread % cpus.len()]);
            let end = run_worker(workload.clone(), recorder, cpu, &barriers);
            // The receiver is gone only if the run was abandoned.
            let _ = sender.send(end);
        }
    };
    let opened = Opened {
        setup,
        clock,
        opening,
        barriers,
        shared,
        begin: &|phase| workload.begin(phase),
        progress: &|| workload.progress(),
    };
    opened.run_threads(Arc::new(work), &ended, observer)
}

/// A run whose workload is open, without the types of workload and clock: the compiler would make a copy
/// of its functions for each pair.
struct Opened<'a> {
    setup: Setup,
    clock: DynClock,
    /// When the workload was opened.
    opening: Instant,
    barriers: Arc<Barriers>,
    shared: Arc<RunState>,
    /// [`EventSource::begin`] of the workload.
    begin: &'a dyn Fn(Phase) -> Result<()>,
    /// [`EventSource::progress`] of the workload.
    progress: &'a dyn Fn() -> Progress,
}

impl Opened<'_> {
    /// Runs the threads, of which thread `i` calls `work(i)` and sends how it ended.
    fn run_threads(
        self,
        work: Arc<dyn Fn(usize) + Send + Sync>,
        ended: &mpsc::Receiver<ThreadEnd>,
        observer: &mut dyn Observer,
    ) -> Result<RunOutcome> {
        let Self {
            setup,
            clock,
            barriers,
            shared,
            ..
        } = &self;
        let abandon = || {
            shared.stopped.store(true, Ordering::Relaxed);
            barriers.open();
        };
        if setup.warmup.is_some() {
            (self.begin)(Phase::WarmUp)?;
        }
        let threads = WorkerThreads::spawn(*setup, work, &abandon)?;
        let _prompt = RaisedPriority::of_this_thread();
        let is_over = || shared.is_over();
        let mut started = self.opening + barriers.start.open_when_ready(is_over, observer);
        let mut failed = None;
        if let Some((_, measured)) = &barriers.measured {
            failed = self.end_warm_up(measured, observer).err();
            started = Instant::now();
        }
        let mut supervisor = Supervisor {
            setup: *setup,
            started,
            progress: self.progress,
            shared,
            observer,
            intervals_reported: 0,
        };
        let mut end = supervisor.wait_for_end(ended);
        supervisor.observer.ended();
        end.error = failed.or(end.error);
        let start = barriers.common_start();
        let last = end.last.unwrap_or_else(|| clock.now());
        let wall = clock.scale().between(start.schedule.began, last);
        let backlog = shared.backlog(start.schedule, last);
        let queue = backlog.map(|backlog| Queue {
            backlog,
            busy_threads: 0,
        });
        let intervals = shared.collector.close_all(wall, queue);
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
                .map(|threads| since_start(start.opened, clock.scale(), threads)),
            backlog,
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

    /// Waits until all threads have ended their warm-up, and starts the run proper. An error ends the
    /// run.
    fn end_warm_up(&self, measured: &StartBarrier, observer: &mut dyn Observer) -> Result<()> {
        let shared = &self.shared;
        measured.wait_until_ready(|| shared.is_over());
        let begun = match shared.is_over() {
            // Threads may still be in an event of the warm-up.
            true => Ok(()),
            false => (self.begin)(Phase::Measured),
        };
        if begun.is_err() {
            shared.stopped.store(true, Ordering::Relaxed);
        }
        if let Some(arrivals) = &shared.arrivals {
            arrivals.restart();
        }
        observer.warmed_up();
        observer.ready();
        measured.open();
        begun
    }
}

/// Creates the threads of a run and ends them at once, so that a run whose threads cannot be
/// created is refused before anything is prepared for it.
pub fn try_threads(setup: Setup) -> Result<()> {
    let release = Arc::new(OnceLock::new());
    let held = release.clone();
    let hold = Arc::new(move |_| _ = held.wait());
    let threads = WorkerThreads::spawn(setup, hold, &|| _ = release.set(()))?;
    let _ = release.set(());
    threads.join();
    Ok(())
}

/// Returns what each thread did since the common start, and for how long.
///
/// The kernel's count of the wait for a CPU before a thread first ran may include some of the time
/// before the start: this part of the wait is that of the clock.
fn since_start(
    start: Ticks,
    scale: Scale,
    ends: Vec<ThreadSpan>,
) -> Vec<(Duration, ThreadActivity)> {
    let elapsed = |at| Duration::from_nanos(scale.between(start, at).0);
    ends.into_iter()
        .map(|span| {
            let mut activity = span.activity;
            activity.queued = activity.queued.map(|queued| queued + elapsed(span.began));
            (elapsed(span.ended), activity)
        })
        .collect()
}

/// What a thread did between two times.
struct ThreadSpan {
    began: Ticks,
    ended: Ticks,
    activity: ThreadActivity,
}

/// How a thread's part of a run ended.
struct ThreadEnd {
    /// When the thread first ran after the common start.
    began: Ticks,
    at: Ticks,
    activity: ThreadActivity,
    cpu: Option<usize>,
    result: Result<()>,
}

/// Where the threads of a run wait for each other.
struct Barriers {
    start: StartBarrier,
    /// Length of the warm-up, and the barrier after it.
    measured: Option<(Duration, StartBarrier)>,
}

impl Barriers {
    fn new(setup: Setup, clock: &DynClock) -> Self {
        let after_warm_up = Setup {
            start_at: None,
            ..setup
        };
        let measured = setup.warmup;
        Self {
            start: StartBarrier::new(setup, clock),
            measured: measured.map(|length| (length, StartBarrier::new(after_warm_up, clock))),
        }
    }

    /// Lets all threads through.
    fn open(&self) {
        self.start.open();
        if let Some((_, measured)) = &self.measured {
            measured.open();
        }
    }

    /// Returns how the run proper started, and its delay after the start time.
    fn common_start(&self) -> CommonStart {
        let start = self.start.start();
        match &self.measured {
            None => start,
            Some((_, measured)) => CommonStart {
                late_s: start.late_s,
                ..measured.start()
            },
        }
    }
}

/// Runs one thread's part of a run, from before the common start to its last event.
fn run_worker<W: EventSource, T: Timing>(
    workload: Arc<W>,
    mut recorder: Recorder<T>,
    cpu: Option<core_affinity::CoreId>,
    barriers: &Barriers,
) -> ThreadEnd {
    if T::OPEN_LOOP {
        pacer::wake_promptly();
    }
    let mut prepared = bind_to(cpu).and_then(|()| workload.worker(recorder.thread));
    if prepared.is_err() {
        recorder.stop();
    }
    // Every thread must get here, even after an error: the others wait for it.
    let shared = recorder.shared.clone();
    let is_over = || shared.is_over();
    let mut counters = ReadyThread::read();
    let mut start = barriers.start.wait(is_over);
    if let Some((length, measured)) = &barriers.measured {
        prepared = prepared.and_then(|mut worker| {
            warm_up(&mut worker, &mut recorder, start.schedule, *length)?;
            Ok(worker)
        });
        // As above.
        counters = ReadyThread::read();
        start = measured.wait(is_over);
    }
    recorder.open(start.schedule);
    let began = recorder.now();
    let counters = counters.start();
    let result = prepared.and_then(|mut worker| worker.run(EventLoop::new(&mut recorder)));
    if result.is_err() {
        recorder.stop();
    }
    let at = recorder.now();
    let activity = counters.end();
    recorder.finish();
    ThreadEnd {
        began,
        at,
        activity,
        cpu: sched_getcpu().ok(),
        result,
    }
}

/// Runs events for the length of the warm-up, longer if the last one takes longer.
fn warm_up<W: Worker, T: Timing>(
    worker: &mut W,
    recorder: &mut Recorder<T>,
    schedule: Schedule,
    length: Duration,
) -> Result<()> {
    recorder.open_warm_up(schedule, length);
    // A worker with a limited number of events of its own ends early.
    while recorder.is_open() {
        worker.run(EventLoop::new(recorder))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
