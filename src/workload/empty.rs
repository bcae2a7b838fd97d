//! Events without work: what remains is the harness.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;

use super::claims::Claims;
use crate::clock::Clock;
use crate::engine::{Lane, Progress, Worker, Workload};
use crate::measure::Transfer;

/// Events that a thread claims at once where an event takes nanoseconds: two threads that claim
/// one by one would spend more on the counter's cache line than on the events.
pub(super) const SHORT_EVENT_BATCH: u64 = 1024;

/// A number of empty events.
#[derive(Debug)]
pub struct Empty {
    claims: Claims,
}

impl Empty {
    /// `events` in all, for `threads` threads.
    pub fn new(events: u64, threads: usize) -> Self {
        Self {
            claims: Claims::new(Some(events), threads, SHORT_EVENT_BATCH),
        }
    }
}

impl Workload for Empty {
    type Worker = EmptyWorker;

    fn worker(self: Arc<Self>, _thread: usize) -> Result<EmptyWorker> {
        Ok(EmptyWorker { shared: self })
    }

    fn progress(&self) -> Progress {
        self.claims.progress()
    }
}

/// One thread's part.
#[derive(Debug)]
pub struct EmptyWorker {
    shared: Arc<Empty>,
}

impl Worker for EmptyWorker {
    fn run<C: Clock>(&mut self, lane: &mut Lane<C>) -> Result<()> {
        let mut claimant = self.shared.claims.claimant();
        while lane.is_open() && claimant.take() {
            let Ok(()) = lane.event(Transfer::None, || Ok::<(), Infallible>(()));
        }
        Ok(())
    }
}
