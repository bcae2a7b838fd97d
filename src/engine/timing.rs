//! How the events of a run follow each other. The event loop is compiled for each way, so that a closed
//! loop contains nothing of an open one.

use crate::clock::Clock;

/// The clock of a run, and what starts its events.
pub trait Timing: Copy + Send + Sync + 'static {
    /// Clock that times the events.
    type Clock: Clock;

    /// Whether events start when they arrive ([`Open`]), or when the previous one has ended.
    const OPEN_LOOP: bool;

    /// Returns the clock.
    fn clock(self) -> Self::Clock;
}

/// A closed loop: a thread starts its next event when the previous one has ended.
#[derive(Debug, Clone, Copy)]
pub struct Closed<C>(
    /// The clock.
    pub C,
);

/// An open loop: events start at the times of [`super::Setup::arrivals`], or as soon after them as a
/// thread is free. Latencies count from these times.
#[derive(Debug, Clone, Copy)]
pub struct Open<C>(
    /// The clock.
    pub C,
);

impl<C: Clock> Timing for Closed<C> {
    type Clock = C;
    const OPEN_LOOP: bool = false;

    fn clock(self) -> C {
        self.0
    }
}

impl<C: Clock> Timing for Open<C> {
    type Clock = C;
    const OPEN_LOOP: bool = true;

    fn clock(self) -> C {
        self.0
    }
}
