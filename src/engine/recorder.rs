//! Per-thread recorder: times events, and flushes statistics at checkpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Setup;
use super::collector::Collector;
use super::snapshots::Snapshots;
use super::statistics::{Statistics, TickBuffer, Transfer};
use crate::clock::{Clock, Scale, Ticks};
use crate::signal;

/// How often a recorder flushes its statistics, so that they are not lost if a signal ends the run
/// while the thread is in a long event.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// How often a recorder flushes its statistics if the run may have to be abandoned.
const FORCED_SHUTDOWN_FLUSH_INTERVAL: Duration = Duration::from_millis(100);

/// Statistics and clock of one worker thread, and whether it may begin another event.
pub struct Recorder<C: Clock> {
    clock: C,
    scale: Scale,
    pub(super) thread: usize,
    /// Start of the current event.
    began: Ticks,
    buffer: TickBuffer,
    statistics: Statistics,
    /// Time of the next action other than recording.
    checkpoint: Ticks,
    schedule: Schedule,
    open: bool,
    pub(super) shared: Arc<RunState>,
}

/// The times at which a recorder does more than record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Schedule {
    pub began: Ticks,
    deadline: Ticks,
    flush_interval: Duration,
    interval: Option<Duration>,
}

pub(super) struct RunState {
    /// A thread failed, so the others stop.
    pub stopped: AtomicBool,
    /// The time limit was reached.
    pub timed_out: AtomicBool,
    pub collector: Collector,
    /// `None` if the observer wants none.
    pub snapshots: Option<Snapshots>,
}

impl RunState {
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

impl<C: Clock> Recorder<C> {
    /// Creates a recorder that accepts no events until [`Recorder::open`].
    pub(super) fn new(clock: C, thread: usize, shared: Arc<RunState>) -> Self {
        Self {
            clock,
            scale: clock.scale(),
            thread,
            began: Ticks::default(),
            buffer: TickBuffer::default(),
            statistics: Statistics::ready(),
            checkpoint: Ticks::NEVER,
            schedule: Schedule::default(),
            open: false,
            shared,
        }
    }

    /// Accepts events from now until the schedule ends the run.
    pub(super) fn open(&mut self, schedule: Schedule) {
        self.schedule = schedule;
        self.open = true;
        self.checkpoint = self.next_checkpoint(schedule.began);
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
    /// Without this call, an event begins at the reading that ended the previous one.
    #[inline(always)]
    pub fn begin_event(&mut self) -> Ticks {
        self.began = self.clock.start();
        self.began
    }

    /// Reads the clock after timed work.
    #[inline(always)]
    pub fn now(&self) -> Ticks {
        self.clock.stop()
    }

    /// Ends the current event. The same reading begins the next one.
    #[inline(always)]
    pub(super) fn end_event(&mut self, transfer: Transfer) {
        let began = self.began;
        self.began = self.now();
        self.record_event(began, self.began, transfer);
    }

    /// Ends a flush of a file, which is not an event. The same reading begins the next event.
    pub(super) fn end_flush(&mut self) {
        let began = self.began;
        self.began = self.now();
        self.record_fsync(began, self.began);
    }

    /// Ends a flush of a file that is an event, too. The same reading begins the next event.
    pub(super) fn end_flush_event(&mut self) {
        let (began, ended) = (self.began, self.now());
        self.began = ended;
        self.record_fsync(began, ended);
        self.record_event(began, ended, Transfer::None);
    }

    /// Records an event that has just ended.
    #[inline(always)]
    pub fn record_event(&mut self, start: Ticks, end: Ticks, transfer: Transfer) {
        self.pass(end);
        self.statistics.add_transfer(transfer);
        if self.buffer.push(end.since(start)) {
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
        self.buffer
            .record_into(&mut self.statistics.events, self.scale);
        self.begin_event();
    }

    /// Performs what is due. The next event begins after that.
    #[cold]
    fn pass_checkpoint(&mut self, now: Ticks) {
        self.record_buffered();
        if now >= self.schedule.deadline {
            self.open = false;
            self.shared.timed_out.store(true, Ordering::Relaxed);
        }
        if let Some(snapshots) = &self.shared.snapshots {
            let passed = snapshots.passed(self.since_start(now));
            snapshots.flush(self.thread, Some(passed), &self.statistics);
        }
        let interval = self.schedule.interval_at(now, self.scale);
        self.shared
            .collector
            .flush(self.thread, interval, &mut self.statistics);
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
        if let Some(snapshots) = &self.shared.snapshots {
            snapshots.flush(self.thread, None, &self.statistics);
        }
        self.shared
            .collector
            .finish(self.thread, &mut self.statistics);
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
    pub fn beginning<C: Clock>(began: Ticks, setup: Setup, clock: C) -> Self {
        let deadline = setup
            .max_time
            .map_or(Ticks::NEVER, |time| clock.scale().after(began, time));
        Self {
            began,
            deadline,
            flush_interval: match setup.forced_shutdown {
                Some(_) => FORCED_SHUTDOWN_FLUSH_INTERVAL,
                None => FLUSH_INTERVAL,
            },
            interval: setup.interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::statistics::TickBuffer;
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

    fn recorder(setup: Setup) -> Recorder<StepClock> {
        let shared = RunState {
            stopped: AtomicBool::new(false),
            timed_out: AtomicBool::new(false),
            collector: Collector::new(1, setup.interval, 95.0),
            snapshots: None,
        };
        let mut recorder = Recorder::new(StepClock, 0, Arc::new(shared));
        recorder.open(Schedule::beginning(StepClock.start(), setup, StepClock));
        recorder
    }

    #[test]
    fn an_event_costs_one_reading_and_excludes_the_work_of_the_recorder() {
        let setup = Setup {
            interval: Some(Duration::from_micros(777)),
            ..Setup::default()
        };
        let mut recorder = recorder(setup);
        let events = 10 * TickBuffer::CAPACITY as u64;
        let began = recorder.begin_event().0 / 1000;
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
