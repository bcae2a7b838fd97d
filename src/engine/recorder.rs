//! Per-thread recorder: times events, and flushes statistics at checkpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::arrival_schedule::ArrivalSchedule;
use super::collector::{Collector, Queue};
use super::pacer::Pacer;
use super::snapshots::Snapshots;
use super::statistics::{Statistics, TickBuffer, Transfer};
use super::{Observer, Setup, Timing};
use crate::clock::{Clock, Scale, Ticks};
use crate::signal;

/// How often a recorder flushes its statistics, so that they are not lost if a signal ends the run
/// while the thread is in a long event.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// How often a recorder flushes its statistics if the run may have to be abandoned.
const FORCED_SHUTDOWN_FLUSH_INTERVAL: Duration = Duration::from_millis(100);

/// Statistics and clock of one worker thread, and whether it may begin another event.
pub struct Recorder<T: Timing> {
    clock: T::Clock,
    scale: Scale,
    pub(super) thread: usize,
    /// Start of the current event.
    began: Ticks,
    /// Arrival of the current event, in an open loop.
    arrived: Ticks,
    buffer: TickBuffer,
    statistics: Statistics,
    /// Time of the next action other than recording.
    checkpoint: Ticks,
    schedule: Schedule,
    open: bool,
    /// Only in an open loop.
    pacer: Option<Box<Pacer>>,
    pub(super) shared: Arc<RunState>,
}

/// When an event started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventStart {
    /// The clock reading at its start.
    pub began: Ticks,
    /// Its arrival, in an open loop; else its start.
    arrived: Ticks,
}

/// The times at which a recorder does more than record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Schedule {
    pub began: Ticks,
    pub deadline: Ticks,
    /// Whether what is recorded is discarded.
    is_warm_up: bool,
    flush_interval: Duration,
    interval: Option<Duration>,
}

pub(super) struct RunState {
    /// A thread failed, so the others stop.
    pub stopped: AtomicBool,
    /// The time limit was reached.
    pub timed_out: AtomicBool,
    pub collector: Collector,
    /// Arrivals of the events; `None` in a closed loop.
    pub arrivals: Option<Arc<ArrivalSchedule>>,
    /// Arrivals that a thread had claimed, and that were due but had not started, when it ended.
    pub unstarted: AtomicU64,
    /// Threads that wait for an arrival; counted only if there are report intervals.
    pub waiting: AtomicU64,
    /// `None` if the observer wants none.
    pub snapshots: Option<Snapshots>,
}

impl RunState {
    /// Creates the state of a run that has not begun.
    pub fn new(setup: Setup, scale: Scale, observer: &dyn Observer) -> Self {
        Self {
            stopped: AtomicBool::new(false),
            timed_out: AtomicBool::new(false),
            collector: Collector::new(
                setup.threads,
                setup.interval,
                observer.interval_percentile(),
            ),
            arrivals: setup
                .arrivals
                .map(|arrivals| Arc::new(ArrivalSchedule::new(arrivals, setup.seed, scale.hz()))),
            unstarted: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            snapshots: observer
                .snapshot_times()
                .map(|times| Snapshots::new(setup.threads, times)),
        }
    }

    /// Returns how many events had arrived but not started when the last thread ended; `None` in a
    /// closed loop. Arrivals end at the time limit.
    pub fn backlog(&self, schedule: Schedule, last: Ticks) -> Option<u64> {
        let until = last.min(schedule.deadline).since(schedule.began);
        let arrivals = self.arrivals.as_ref()?;
        Some(self.unstarted.load(Ordering::Relaxed) + arrivals.unclaimed(until))
    }

    /// Ends the run for all threads if the calling one panics while this guard lives.
    pub fn stop_on_panic(&self) -> impl Drop {
        StopOnPanic(self)
    }

    /// Whether a thread failed or a signal was caught.
    #[inline(always)]
    pub fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || signal::is_caught()
    }
}

struct StopOnPanic<'a>(&'a RunState);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stopped.store(true, Ordering::Relaxed);
        }
    }
}

impl<T: Timing> Recorder<T> {
    /// Creates a recorder that accepts no events until [`Recorder::open`].
    pub(super) fn new(setup: &Setup, timing: T, thread: usize, shared: Arc<RunState>) -> Self {
        let clock = timing.clock();
        let scale = clock.scale();
        let pacer = shared.arrivals.clone();
        let pacer = pacer.map(|schedule| Box::new(Pacer::new(setup, schedule, scale)));
        Self {
            clock,
            scale,
            thread,
            began: Ticks::default(),
            arrived: Ticks::default(),
            buffer: TickBuffer::default(),
            statistics: Statistics::ready(T::OPEN_LOOP),
            checkpoint: Ticks::NEVER,
            schedule: Schedule::default(),
            open: false,
            pacer,
            shared,
        }
    }

    /// Accepts events from now until the schedule ends the run, and discards what was recorded before.
    pub(super) fn open(&mut self, schedule: Schedule) {
        self.schedule = schedule;
        self.open = true;
        self.buffer.clear();
        self.statistics.clear();
        if let Some(pacer) = &mut self.pacer {
            pacer.start(schedule.began);
        }
        self.checkpoint = self.next_checkpoint(schedule.began);
    }

    /// Accepts events that are discarded, from now until the warm-up has this length.
    pub(super) fn open_warm_up(&mut self, schedule: Schedule, length: Duration) {
        self.open(schedule.warming_up(length, self.scale));
    }

    /// Returns whether another event may begin.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.open && !self.shared.is_over()
    }

    /// Returns whether a failure or a signal ended the run, rather than a limit.
    pub fn is_stopped(&self) -> bool {
        self.shared.is_over()
    }

    /// Ends the run for all threads after a failure.
    pub(super) fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }

    /// Begins the next event now, so that work done since the last one is not part of it.
    ///
    /// Without this call, an event begins at the reading that ended the previous one. In an open loop,
    /// such work is part of the latency, which begins with the arrival.
    #[inline(always)]
    pub fn begin_event(&mut self) -> EventStart {
        self.began = self.clock.start();
        self.event_start()
    }

    /// Begins the next event at a reading just taken.
    #[inline(always)]
    pub(super) fn begin_event_at(&mut self, now: Ticks) {
        self.began = now;
    }

    /// Returns when the current event started.
    #[inline(always)]
    fn event_start(&self) -> EventStart {
        EventStart {
            began: self.began,
            arrived: match T::OPEN_LOOP {
                true => self.arrived,
                false => self.began,
            },
        }
    }

    /// Returns the reading at which the current event begins.
    #[inline(always)]
    pub(super) fn began(&self) -> Ticks {
        self.began
    }

    /// Returns the next arrival that this thread starts; now in a closed loop. Fails if too many
    /// events wait.
    #[inline(always)]
    pub(super) fn next_arrival(&mut self) -> Result<Ticks> {
        let now = self.began;
        match &mut self.pacer {
            Some(pacer) => pacer.next_arrival(now),
            None => Ok(now),
        }
    }

    /// Starts the event that arrived at this time; `awaited` if the thread waited for it.
    #[inline(always)]
    pub(super) fn start_arrived(&mut self, arrived: Ticks, awaited: bool) {
        self.arrived = arrived;
        if let Some(pacer) = &mut self.pacer {
            pacer.start_claimed();
        }
        if awaited {
            let late = self.scale.between(arrived, self.began);
            self.statistics.waits.awaited += 1;
            self.statistics.waits.late.0 += late.0;
        }
    }

    /// Waits until this time, the next checkpoint or the end of the run. Returns the time when the
    /// wait ended.
    pub fn wait_until(&self, until: Ticks) -> Ticks {
        loop {
            let now = self.now();
            if now >= until.min(self.checkpoint) || self.shared.is_over() {
                return now;
            }
            match self.time_to_sleep(now, until) {
                Duration::ZERO => self.pause(),
                time => thread::sleep(time),
            }
        }
    }

    /// Returns how long a thread may sleep until this time or the next checkpoint; zero if it has to
    /// poll.
    pub fn time_to_sleep(&self, now: Ticks, until: Ticks) -> Duration {
        let left = until.min(self.checkpoint).since(now);
        let pacer = self.pacer.as_ref();
        pacer.map_or(Duration::ZERO, |pacer| pacer.sleep(left, self.scale))
    }

    /// Pauses between two polls.
    pub fn pause(&self) {
        if let Some(pacer) = &self.pacer {
            pacer.pause();
        }
    }

    /// Reads the clock after timed work.
    #[inline(always)]
    pub fn now(&self) -> Ticks {
        self.clock.stop()
    }

    /// Ends the current event. The same reading begins the next one.
    #[inline(always)]
    pub(super) fn end_event(&mut self, transfer: Transfer) {
        let start = self.event_start();
        self.began = self.now();
        self.record_event(start, self.began, transfer);
    }

    /// Ends a flush of a file, which is not an event. The same reading begins the next event.
    pub(super) fn end_flush(&mut self) {
        let began = self.began;
        self.began = self.now();
        self.record_fsync(began, self.began);
    }

    /// Ends a flush of a file that is an event, too. The same reading begins the next event.
    pub(super) fn end_flush_event(&mut self) {
        let (start, ended) = (self.event_start(), self.now());
        self.began = ended;
        self.record_fsync(start.began, ended);
        self.record_event(start, ended, Transfer::None);
    }

    /// Records an event that has just ended.
    #[inline(always)]
    pub fn record_event(&mut self, start: EventStart, end: Ticks, transfer: Transfer) {
        self.pass(end);
        self.statistics.add_transfer(transfer);
        if T::OPEN_LOOP
            && let Some(pacer) = &mut self.pacer
        {
            pacer.service.push(end.since(start.began));
        }
        if self.buffer.push(end.since(start.arrived)) {
            self.record_buffered();
        }
    }

    /// Records an fsync that has just ended, which is not an event.
    #[inline(always)]
    pub fn record_fsync(&mut self, start: Ticks, end: Ticks) {
        self.pass(end);
        self.statistics
            .fsyncs
            .record(self.scale.between(start, end));
    }

    /// Performs what is due at `now`, a reading just taken.
    #[inline(always)]
    pub fn pass(&mut self, now: Ticks) {
        if now >= self.checkpoint {
            self.pass_checkpoint(now);
        }
    }

    /// Returns the time until the next checkpoint; `None` if no more is due.
    pub fn until_checkpoint(&self) -> Option<Duration> {
        (self.checkpoint != Ticks::NEVER).then(|| {
            let left = self.scale.between(self.clock.start(), self.checkpoint);
            Duration::from_nanos(left.0)
        })
    }

    /// Counts the buffered events. The next event begins after that.
    #[inline(never)]
    fn record_buffered(&mut self) {
        if T::OPEN_LOOP {
            self.record_service();
        }
        self.buffer
            .record_into(&mut self.statistics.events, self.scale);
        self.begin_event();
    }

    /// Counts the buffered durations of events from their start, and their waits.
    fn record_service(&mut self) {
        let Some(pacer) = &mut self.pacer else {
            return;
        };
        let pairs = self.buffer.ticks().iter().zip(pacer.service.ticks());
        let longest = pairs.map(|(&latency, &service)| latency.saturating_sub(service));
        let longest = self.scale.nanoseconds(longest.max().unwrap_or(0));
        let waits = &mut self.statistics.waits;
        waits.longest = waits.longest.max(longest);
        pacer
            .service
            .record_into(&mut self.statistics.service, self.scale);
    }

    /// Performs what is due. The next event begins after that.
    #[cold]
    fn pass_checkpoint(&mut self, now: Ticks) {
        self.record_buffered();
        let is_over = now >= self.schedule.deadline;
        self.open &= !is_over;
        if self.schedule.is_warm_up {
            self.checkpoint = self.next_checkpoint(now);
            self.begin_event();
            return;
        }
        if is_over {
            self.shared.timed_out.store(true, Ordering::Relaxed);
        }
        if let Some(snapshots) = &self.shared.snapshots {
            let passed = snapshots.passed(self.since_start(now));
            snapshots.flush(self.thread, Some(passed), &self.statistics);
        }
        let interval = self.schedule.interval_at(now, self.scale);
        let queue = self.queue(now);
        self.shared
            .collector
            .flush(self.thread, interval, queue, &mut self.statistics);
        self.checkpoint = self.next_checkpoint(now);
        self.begin_event();
    }

    fn next_checkpoint(&self, now: Ticks) -> Ticks {
        let deadline = match self.open {
            true => self.schedule.deadline,
            false => Ticks::NEVER,
        };
        let boundary = self.schedule.next_boundary(now, self.scale);
        let flush = self.scale.after(now, self.schedule.flush_interval);
        let snapshot = self.next_snapshot(now);
        deadline.min(boundary).min(flush).min(snapshot)
    }

    fn next_snapshot(&self, now: Ticks) -> Ticks {
        let snapshots = self.shared.snapshots.as_ref();
        let next = snapshots.and_then(|snapshots| snapshots.next_after(self.since_start(now)));
        next.map_or(Ticks::NEVER, |time| {
            let at = self.scale.after(self.schedule.began, time);
            // A time rounded down to `now` would repeat forever.
            at.max(Ticks(now.0 + 1))
        })
    }

    fn since_start(&self, now: Ticks) -> Duration {
        Duration::from_nanos(self.scale.between(self.schedule.began, now).0)
    }

    /// Flushes the remaining statistics. Nothing is recorded after this.
    pub(super) fn finish(&mut self) {
        self.record_buffered();
        let end = self.began.min(self.schedule.deadline);
        if self
            .pacer
            .as_ref()
            .is_some_and(|pacer| pacer.has_unstarted(end))
        {
            self.shared.unstarted.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(snapshots) = &self.shared.snapshots {
            snapshots.flush(self.thread, None, &self.statistics);
        }
        self.shared
            .collector
            .finish(self.thread, self.queue(end), &mut self.statistics);
    }

    /// Returns the state of an open loop at this time; `None` in a closed loop.
    fn queue(&self, now: Ticks) -> Option<Queue> {
        let waiting = self.shared.waiting.load(Ordering::Relaxed);
        self.pacer.as_ref().map(|pacer| Queue {
            // Arrivals end with the run.
            backlog: pacer.backlog(now.min(self.schedule.deadline)),
            busy_threads: pacer.threads.saturating_sub(waiting),
        })
    }

    /// Counts this thread as waiting for an arrival, or not any more.
    pub(super) fn set_waiting(&self, waits: bool) {
        let waiting = &self.shared.waiting;
        _ = match (self.schedule.interval, waits) {
            (None, _) => 0,
            (Some(_), true) => waiting.fetch_add(1, Ordering::Relaxed),
            (Some(_), false) => waiting.fetch_sub(1, Ordering::Relaxed),
        };
    }
}

impl Schedule {
    /// Returns the number of the interval that contains `now`; 0 without intervals.
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
            // A boundary rounded down to `now` would repeat forever.
            boundary.max(Ticks(now.0 + 1))
        })
    }
}

impl Schedule {
    /// Creates the schedule of a run that began at this reading.
    pub fn beginning(began: Ticks, setup: Setup, scale: Scale) -> Self {
        let deadline = setup
            .max_time
            .map_or(Ticks::NEVER, |time| scale.after(began, time));
        Self {
            began,
            deadline,
            is_warm_up: false,
            flush_interval: match setup.forced_shutdown {
                Some(_) => FORCED_SHUTDOWN_FLUSH_INTERVAL,
                None => FLUSH_INTERVAL,
            },
            interval: setup.interval,
        }
    }

    /// Returns the schedule of a warm-up of this length before a run with this schedule.
    pub fn warming_up(self, length: Duration, scale: Scale) -> Self {
        Self {
            deadline: scale.after(self.began, length),
            is_warm_up: true,
            interval: None,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::statistics::TickBuffer;
    use super::super::{Closed, Unobserved};
    use super::*;

    thread_local!(static READINGS: Cell<u64> = const { Cell::new(0) });

    /// A clock on which every reading is a microsecond after the previous one.
    #[derive(Clone, Copy)]
    struct StepClock;

    impl Clock for StepClock {
        fn start(self) -> Ticks {
            READINGS.set(READINGS.get() + 1);
            Ticks(READINGS.get() * 1000)
        }

        fn stop(self) -> Ticks {
            self.start()
        }

        fn scale(self) -> Scale {
            Scale::from_hz(1e9)
        }
    }

    fn recorder(setup: Setup) -> Recorder<Closed<StepClock>> {
        let shared = RunState::new(setup, StepClock.scale(), &Unobserved);
        let mut recorder = Recorder::new(&setup, Closed(StepClock), 0, Arc::new(shared));
        recorder.open(Schedule::beginning(
            StepClock.start(),
            setup,
            StepClock.scale(),
        ));
        recorder
    }

    #[test]
    fn an_event_costs_one_reading_and_excludes_the_work_of_the_recorder() {
        let setup = Setup {
            threads: 1,
            interval: Some(Duration::from_micros(777)),
            ..Setup::default()
        };
        let mut recorder = recorder(setup);
        let events = 10 * TickBuffer::CAPACITY as u64;
        let began = recorder.begin_event().began.0 / 1000;
        (0..events).for_each(|_| recorder.end_event(Transfer::None));
        let readings = READINGS.get() - began;
        assert!((events + 10..events + 15).contains(&readings), "{readings}");
        recorder.finish();
        let (all, _) = recorder.shared.collector.totals();
        let microsecond = crate::clock::Nanoseconds(1000);
        assert_eq!(all.events.count(), events);
        assert_eq!(all.events.range(), Some((microsecond, microsecond)));
    }
}
