//! Threads, the start barrier, deadline and interruption; generic over workload and clock, so
//! that the measured loop is compiled for each pair.
//!
//! An event costs two readings of the clock, a histogram increment, and what the workload
//! needs to claim it. The rest happens at checkpoints (the deadline, the end of an interval),
//! which the loop meets by one comparison with the time it has just read.

mod ledger;
pub mod overhead;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, ensure};
use nix::time::{ClockId, clock_gettime};

use crate::clock::{Clock, Nanoseconds, Scale, Ticks};
use crate::measure::{Measure, Pending, Transfer};
use crate::result::{EndedBy, Interval};
use crate::signal;

use ledger::Ledger;

/// How often a lane hands its figures over where the run may have to be given up.
const FORCED_SHUTDOWN_HANDOVER: Duration = Duration::from_millis(100);

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
    /// Claims and does events until none is left or [`Lane::is_open`] says no.
    fn run<C: Clock>(&mut self, lane: &mut Lane<C>) -> Result<()>;
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
}

/// Who watches a run from outside. None of it is called on a measuring thread.
pub trait Observer {
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
    /// From before the workload was opened and the threads created to after the last one ended.
    pub wall: Nanoseconds,
    /// Each thread's events.
    pub threads: Vec<Measure>,
    /// CPU time of the threads between the start barrier and their end.
    pub cpu_time: Nanoseconds,
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

/// A thread's place in a run: its clock, its records, and whether it may go on.
pub struct Lane<C: Clock> {
    clock: C,
    scale: Scale,
    thread: usize,
    pending: Pending,
    measure: Measure,
    /// The next moment at which more than recording is due.
    checkpoint: Ticks,
    schedule: Schedule,
    open: bool,
    shared: Arc<Shared>,
}

/// The moments at which a lane does more than record.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    began: Ticks,
    deadline: Ticks,
    handover_every: Option<Duration>,
    interval: Option<Duration>,
}

struct Shared {
    /// A thread failed: the others need not go on.
    stopped: AtomicBool,
    /// The time limit was met.
    timed_out: AtomicBool,
    ledger: Ledger,
}

impl<C: Clock> Lane<C> {
    fn new(clock: C, thread: usize, schedule: Schedule, shared: Arc<Shared>) -> Self {
        let mut lane = Self {
            clock,
            scale: clock.scale(),
            thread,
            pending: Pending::default(),
            measure: Measure::ready(),
            checkpoint: Ticks::NEVER,
            schedule,
            open: true,
            shared,
        };
        lane.checkpoint = lane.next_checkpoint(schedule.began);
        lane
    }

    /// Another event may begin.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.open && !self.shared.stopped.load(Ordering::Relaxed) && !signal::is_caught()
    }

    /// Times one event.
    #[inline(always)]
    pub fn event<E>(
        &mut self,
        transfer: Transfer,
        work: impl FnOnce() -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let start = self.start();
        work()?;
        let end = self.stop();
        self.record_event(start, end, transfer);
        Ok(())
    }

    /// Reads the clock before timed work.
    #[inline(always)]
    pub fn start(&self) -> Ticks {
        self.clock.start()
    }

    /// Reads the clock after timed work.
    #[inline(always)]
    pub fn stop(&self) -> Ticks {
        self.clock.stop()
    }

    /// Counts an event that has ended just now.
    #[inline(always)]
    pub fn record_event(&mut self, start: Ticks, end: Ticks, transfer: Transfer) {
        if end >= self.checkpoint {
            self.pass_checkpoint(end);
        }
        self.measure.add_transfer(transfer);
        if self.pending.push(end.since(start)) {
            self.count_pending();
        }
    }

    /// Counts an fsync that has ended just now; it is no event.
    #[inline(always)]
    pub fn record_fsync(&mut self, start: Ticks, end: Ticks) {
        if end >= self.checkpoint {
            self.pass_checkpoint(end);
        }
        self.measure.fsyncs.record(self.scale.between(start, end));
    }

    #[inline(never)]
    fn count_pending(&mut self) {
        self.pending
            .count_into(&mut self.measure.events, self.scale);
    }

    #[cold]
    fn pass_checkpoint(&mut self, now: Ticks) {
        self.count_pending();
        if now >= self.schedule.deadline {
            self.open = false;
            self.shared.timed_out.store(true, Ordering::Relaxed);
        }
        let interval = self.schedule.interval_at(now, self.scale);
        self.shared
            .ledger
            .hand_over(self.thread, interval, &mut self.measure);
        self.checkpoint = self.next_checkpoint(now);
    }

    fn next_checkpoint(&self, now: Ticks) -> Ticks {
        let deadline = match self.open {
            true => self.schedule.deadline,
            false => Ticks::NEVER,
        };
        let boundary = self.schedule.next_boundary(now, self.scale);
        let handover = self
            .schedule
            .handover_every
            .map_or(Ticks::NEVER, |every| self.scale.after(now, every));
        deadline.min(boundary).min(handover)
    }

    /// Hands over what is left. The lane records nothing after this.
    fn finish(&mut self) {
        self.count_pending();
        self.shared.ledger.finish(self.thread, &mut self.measure);
    }
}

impl Schedule {
    /// The number of the interval that a moment lies in; 0 without intervals.
    fn interval_at(&self, now: Ticks, scale: Scale) -> usize {
        self.interval.map_or(0, |interval| {
            let since = scale.between(self.began, now).0 as u128;
            (since / interval.as_nanos().max(1)) as usize
        })
    }

    fn next_boundary(&self, now: Ticks, scale: Scale) -> Ticks {
        self.interval.map_or(Ticks::NEVER, |interval| {
            let number = self.interval_at(now, scale) as f64 + 1.0;
            let boundary = scale.after(self.began, interval.mul_f64(number));
            // A rounding that put the boundary at this very moment would repeat it for ever.
            boundary.max(Ticks(now.0 + 1))
        })
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
    let schedule = Schedule::starting_now(setup, clock);
    let started = Instant::now();
    let workload = Arc::new(open()?);
    let pool = Pool::new(setup)?;
    let shared = Arc::new(Shared {
        stopped: AtomicBool::new(false),
        timed_out: AtomicBool::new(false),
        ledger: Ledger::new(setup.threads, setup.interval),
    });
    let barrier = Arc::new(Barrier::new(setup.threads + 1));
    let cpus = cpus_to_pin_to(setup.pin)?;
    let (sender, ended) = mpsc::channel();
    {
        let (workload, shared, barrier) = (workload.clone(), shared.clone(), barrier.clone());
        pool.pool.spawn_broadcast(move |context| {
            let thread = context.index();
            let lane = Lane::new(clock, thread, schedule, shared.clone());
            let cpu = cpus.as_ref().map(|cpus| cpus[thread % cpus.len()]);
            let end = work_through(workload.clone(), lane, cpu, &barrier);
            // The receiver is gone only where the run was given up.
            let _ = sender.send(end);
        });
    }
    barrier.wait();
    observer.started();
    let mut watch = Watch {
        setup,
        started,
        workload: &*workload,
        shared: &shared,
        observer,
        intervals_shown: 0,
    };
    let end = watch.until_the_end(&ended);
    let wall = clock
        .scale()
        .between(schedule.began, end.last.unwrap_or_else(|| clock.stop()));
    let intervals = shared.ledger.intervals(Some(wall));
    watch.show_intervals(&intervals);
    // Threads that hang in the kernel are not waited for: that is what was given up.
    if !end.given_up {
        pool.join();
    }
    Ok(Measurement {
        wall,
        threads: shared.ledger.threads(),
        cpu_time: end.cpu_time,
        intervals,
        ended_by: if end.given_up {
            EndedBy::ForcedShutdown
        } else if end.error.is_some() {
            EndedBy::Error
        } else if signal::is_caught() {
            EndedBy::Signal
        } else if shared.timed_out.load(Ordering::Relaxed) {
            EndedBy::Time
        } else {
            EndedBy::Work
        },
        error: end.error,
    })
}

impl Schedule {
    fn starting_now<C: Clock>(setup: Setup, clock: C) -> Self {
        let began = clock.start();
        let deadline = setup
            .max_time
            .map_or(Ticks::NEVER, |time| clock.scale().after(began, time));
        Self {
            began,
            deadline,
            handover_every: setup.forced_shutdown.map(|_| FORCED_SHUTDOWN_HANDOVER),
            interval: setup.interval,
        }
    }
}

/// A pool of threads that can be waited for: rayon's own are left to end some time.
struct Pool {
    pool: rayon::ThreadPool,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    fn new(setup: Setup) -> Result<Self> {
        let most = rayon::max_num_threads();
        ensure!(
            setup.threads <= most,
            "{} worker threads were asked for, at most {most} are possible",
            setup.threads
        );
        let mut threads = Vec::with_capacity(setup.threads);
        let built = rayon::ThreadPoolBuilder::new()
            .num_threads(setup.threads)
            .spawn_handler(|thread| {
                let mut builder =
                    std::thread::Builder::new().name(format!("worker-{}", thread.index()));
                if let Some(bytes) = setup.stack_size {
                    builder = builder.stack_size(bytes);
                }
                threads.push(builder.spawn(|| thread.run())?);
                Ok(())
            })
            .build();
        let pool = built.with_context(|| {
            format!(
                "creating {} worker threads; take fewer --threads, or raise the limit of processes \
                 (ulimit -u, pids.max of the control group)",
                setup.threads
            )
        })?;
        Ok(Self { pool, threads })
    }

    /// Waits until every thread is gone, so that none disturbs what is measured next.
    fn join(self) {
        drop(self.pool);
        for thread in self.threads {
            // A worker that panicked has ended the process already.
            let _ = thread.join();
        }
    }
}

fn cpus_to_pin_to(pin: bool) -> Result<Option<Vec<core_affinity::CoreId>>> {
    if !pin {
        return Ok(None);
    }
    core_affinity::get_core_ids()
        .filter(|cpus| !cpus.is_empty())
        .map(Some)
        .context("--pin: the CPUs that this process may use can't be read; run without --pin")
}

/// How a thread's part of a run ended.
struct ThreadEnd {
    at: Ticks,
    cpu_time: Nanoseconds,
    result: Result<()>,
}

/// A thread's part of a run, from before the barrier to its last event.
fn work_through<W: Workload, C: Clock>(
    workload: Arc<W>,
    mut lane: Lane<C>,
    cpu: Option<core_affinity::CoreId>,
    barrier: &Barrier,
) -> ThreadEnd {
    let prepared = bind_to(cpu).and_then(|()| workload.worker(lane.thread));
    if prepared.is_err() {
        lane.shared.stopped.store(true, Ordering::Relaxed);
    }
    // Every thread comes here, whatever befell it: the others wait for it.
    barrier.wait();
    let cpu_before = thread_cpu_time();
    let result = prepared.and_then(|mut worker| worker.run(&mut lane));
    let cpu_time = Nanoseconds(thread_cpu_time().saturating_sub(cpu_before));
    if result.is_err() {
        lane.shared.stopped.store(true, Ordering::Relaxed);
    }
    let at = lane.stop();
    lane.finish();
    ThreadEnd {
        at,
        cpu_time,
        result,
    }
}

fn bind_to(cpu: Option<core_affinity::CoreId>) -> Result<()> {
    if let Some(cpu) = cpu {
        ensure!(
            core_affinity::set_for_current(cpu),
            "--pin: a worker can't be bound to CPU {}; run without --pin",
            cpu.id
        );
    }
    Ok(())
}

fn thread_cpu_time() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |t| {
        t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64
    })
}

/// The main thread's part: it waits, and looks after whoever observes.
struct Watch<'a, W: Workload> {
    setup: Setup,
    started: Instant,
    workload: &'a W,
    shared: &'a Shared,
    observer: &'a mut dyn Observer,
    intervals_shown: usize,
}

/// How a run ended.
struct End {
    /// When the last thread ended; None where some still hang.
    last: Option<Ticks>,
    cpu_time: Nanoseconds,
    error: Option<Error>,
    given_up: bool,
}

impl<W: Workload> Watch<'_, W> {
    fn until_the_end(&mut self, ended: &mpsc::Receiver<ThreadEnd>) -> End {
        let mut end = End {
            last: None,
            cpu_time: Nanoseconds(0),
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

    fn show_intervals(&mut self, complete: &[Interval]) {
        for interval in &complete[self.intervals_shown.min(complete.len())..] {
            self.observer.interval(interval);
        }
        self.intervals_shown = complete.len();
    }
}

#[cfg(test)]
mod tests;
