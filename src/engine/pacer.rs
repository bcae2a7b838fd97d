//! Per-thread pacer of an open loop: claims arrivals, and pauses until they are due.

use std::fmt;
use std::hint;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::prctl::set_timerslack;

use super::Setup;
use super::arrival_schedule::ArrivalSchedule;
use super::statistics::TickBuffer;
use crate::clock::{Scale, Ticks};

/// How long before an arrival a thread stops sleeping and begins to poll the clock: more than the
/// kernel usually takes to wake a thread, also in a VM whose idle CPU has exited to the hypervisor.
const POLL_BEFORE: Duration = Duration::from_micros(250);

/// Longest sleep, after which a thread checks whether the run is over.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// How a thread waits for the last part of the time until an arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Polling {
    /// Without pause: for threads that each have a CPU, with another one left for the kernel.
    Spin,
    /// Yields the CPU between two readings of the clock, so that other threads can use it.
    #[default]
    Yield,
}

/// More events wait for a thread than the plan allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BacklogExceeded;

impl fmt::Display for BacklogExceeded {
    /// Formats the message of sysbench 1.0, which has such a limit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "The event queue is full. This means the worker threads are unable to keep up with the \
             specified event generation rate",
        )
    }
}

impl std::error::Error for BacklogExceeded {}

/// Makes the kernel wake the calling thread as soon as the time of a sleep is over. By default it may
/// wait for 50 microseconds more, to wake several threads at once. Without effect if it is forbidden.
pub(super) fn wake_promptly() {
    let _ = set_timerslack(1);
}

/// Pacer of one thread.
#[derive(Debug)]
pub(super) struct Pacer {
    schedule: Arc<ArrivalSchedule>,
    /// Number of threads of the run.
    pub threads: u64,
    polling: Polling,
    /// Ticks before an arrival at which polling begins.
    poll_before: u64,
    /// Delay of an arrival in ticks at which more events wait than are allowed.
    max_delay: u64,
    /// When the schedule began.
    start: Ticks,
    /// An arrival that was claimed, but has not started.
    claimed: Option<Ticks>,
    /// Durations of the events without their wait, parallel to the recorder's buffer of latencies.
    pub service: TickBuffer,
}

impl Pacer {
    /// Creates the pacer of a thread.
    pub fn new(setup: &Setup, schedule: Arc<ArrivalSchedule>, scale: Scale) -> Self {
        let max_backlog = setup.arrivals.and_then(|arrivals| arrivals.max_backlog);
        Self {
            threads: setup.threads as u64,
            polling: setup.polling,
            poll_before: scale.after(Ticks(0), POLL_BEFORE).0,
            max_delay: max_backlog.map_or(u64::MAX, |events| schedule.ticks_of(events)),
            start: Ticks::default(),
            claimed: None,
            service: TickBuffer::default(),
            schedule,
        }
    }

    /// Begins a schedule at this reading.
    pub fn start(&mut self, start: Ticks) {
        self.start = start;
        self.claimed = None;
        self.service.clear();
    }

    /// Returns the arrival that this thread starts next. Fails if too many wait.
    #[inline(always)]
    pub fn next_arrival(&mut self, now: Ticks) -> Result<Ticks> {
        if let Some(claimed) = self.claimed {
            return Ok(claimed);
        }
        let arrival = Ticks(self.start.0.saturating_add(self.schedule.claim()));
        self.claimed = Some(arrival);
        if now.since(arrival) > self.max_delay {
            bail!(BacklogExceeded);
        }
        Ok(arrival)
    }

    /// Notes that the claimed arrival has started.
    #[inline(always)]
    pub fn start_claimed(&mut self) {
        self.claimed = None;
    }

    /// Returns whether an arrival was claimed and is due, but has not started.
    pub fn has_unstarted(&self, now: Ticks) -> bool {
        self.claimed.is_some_and(|arrival| arrival <= now)
    }

    /// Returns the expected number of events that have arrived and that no thread has claimed.
    pub fn backlog(&self, now: Ticks) -> u64 {
        self.schedule.expected_unclaimed(now.since(self.start))
    }

    /// Returns how long to sleep with this many ticks left; zero to poll.
    pub fn sleep(&self, left: u64, scale: Scale) -> Duration {
        let ticks = left.saturating_sub(self.poll_before);
        Duration::from_nanos(scale.nanoseconds(ticks).0).min(LONGEST_SLEEP)
    }

    /// Pauses between two polls.
    #[inline]
    pub fn pause(&self) {
        match self.polling {
            Polling::Spin => hint::spin_loop(),
            Polling::Yield => thread::yield_now(),
        }
    }
}
