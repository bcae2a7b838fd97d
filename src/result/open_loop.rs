//! How the events of an open loop kept up with their arrivals.

use serde::{Deserialize, Serialize};

use crate::engine::Statistics;

/// Arrivals, waits and backlog of an open loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OpenLoop {
    /// Number of events that arrived before the run ended: those that started and the backlog. Of a
    /// backlog above a million, the expected number.
    pub arrived_events: u64,
    /// Number of events that had arrived but not started when the run ended.
    pub backlog_events: u64,
    /// Longest time from the arrival of an event to its start.
    pub longest_wait_ns: u64,
    /// Mean time from the arrival of an event to its start, over the events that a thread was waiting
    /// for: how late the threads noticed arrivals; null if no thread waited.
    pub mean_start_delay_ns: Option<f64>,
    /// Whether waiting threads kept their CPU for the last part of the wait (true), or yielded it
    /// because there were not more CPUs than threads (false).
    pub spins: bool,
}

impl OpenLoop {
    /// Describes a run with these statistics and this backlog.
    pub fn of(all: &Statistics, backlog: u64, spins: bool) -> Self {
        let waits = &all.waits;
        Self {
            arrived_events: all.events.count() + backlog,
            backlog_events: backlog,
            longest_wait_ns: waits.longest.0,
            mean_start_delay_ns: (waits.awaited > 0)
                .then(|| waits.late.0 as f64 / waits.awaited as f64),
            spins,
        }
    }
}
