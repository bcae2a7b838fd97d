//! Events without work, which leave only the cost of the harness.

use std::sync::Arc;

use anyhow::Result;

use super::claims::{Claims, Repeated};
use crate::engine::Transfer;
use crate::engine::{EventLoop, EventSource, Phase, Progress, Timing, Worker};

/// Events claimed at once if an event takes nanoseconds: two threads that claim one by one would
/// spend more time on the counter's cache line than on the events.
pub(super) const SHORT_EVENT_BATCH: u64 = 1024;

/// A fixed number of empty events.
#[derive(Debug)]
pub struct Empty {
    claims: Claims,
}

impl Empty {
    /// Creates `events` events in total, for `threads` threads.
    pub fn new(events: u64, threads: usize) -> Self {
        Self {
            claims: Claims::new(Some(events), threads, SHORT_EVENT_BATCH),
        }
    }
}

impl EventSource for Empty {
    type Worker = EmptyWorker;

    fn worker(self: Arc<Self>, _thread: usize) -> Result<EmptyWorker> {
        Ok(EmptyWorker { shared: self })
    }

    fn progress(&self) -> Progress {
        self.claims.progress()
    }

    fn begin(&self, phase: Phase) -> Result<()> {
        self.claims.begin(phase);
        Ok(())
    }
}

/// One worker thread.
#[derive(Debug)]
pub struct EmptyWorker {
    shared: Arc<Empty>,
}

impl Worker for EmptyWorker {
    fn run<T: Timing>(&mut self, events: EventLoop<'_, T>) -> Result<()> {
        events.run(&mut Repeated::new(
            &self.shared.claims,
            Transfer::None,
            || {},
        ))
    }
}
