//! A thread's place in a run: what it does at each event, and at the few moments between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Setup;
use super::ledger::Ledger;
use crate::clock::{Clock, Scale, Ticks};
use crate::measure::{Measure, Pending, Transfer};
use crate::signal;

/// How often a lane hands its figures over where the run may have to be given up.
const FORCED_SHUTDOWN_HANDOVER: Duration = Duration::from_millis(100);

/// A thread's place in a run: its clock, its records, and whether it may go on.
pub struct Lane<C: Clock> {
    clock: C,
    scale: Scale,
    pub(super) thread: usize,
    pending: Pending,
    measure: Measure,
    /// The next moment at which more than recording is due.
    checkpoint: Ticks,
    schedule: Schedule,
    open: bool,
    pub(super) shared: Arc<Shared>,
}

/// The moments at which a lane does more than record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Schedule {
    pub began: Ticks,
    deadline: Ticks,
    handover_every: Option<Duration>,
    interval: Option<Duration>,
}

pub(super) struct Shared {
    /// A thread failed: the others need not go on.
    pub stopped: AtomicBool,
    /// The time limit was met.
    pub timed_out: AtomicBool,
    pub ledger: Ledger,
}

impl Shared {
    /// A thread failed, or a signal asks for the end.
    #[inline(always)]
    pub fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || signal::is_caught()
    }
}

impl<C: Clock> Lane<C> {
    /// A lane that is ready; [`Lane::begin`] opens it.
    pub(super) fn new(clock: C, thread: usize, shared: Arc<Shared>) -> Self {
        Self {
            clock,
            scale: clock.scale(),
            thread,
            pending: Pending::default(),
            measure: Measure::ready(),
            checkpoint: Ticks::NEVER,
            schedule: Schedule::default(),
            open: false,
            shared,
        }
    }

    /// From here on the lane takes events, until this schedule closes it.
    pub(super) fn begin(&mut self, schedule: Schedule) {
        self.schedule = schedule;
        self.open = true;
        self.checkpoint = self.next_checkpoint(schedule.began);
    }

    /// Another event may begin.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.open && !self.shared.is_over()
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
    pub(super) fn finish(&mut self) {
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

impl Schedule {
    /// The schedule of a run that began at this reading.
    pub fn beginning<C: Clock>(began: Ticks, setup: Setup, clock: C) -> Self {
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
