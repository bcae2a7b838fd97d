//! The threads test: each event locks a mutex, yields the CPU and unlocks the mutex, many times.
//!
//! Threads contend for a few mutexes, and yield while they hold one, so that the scheduler, sleeping
//! and waking determine the rate. A mutex is the standard library's: a futex, which spins for
//! about 100 iterations before it sleeps.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::yield_now;

use anyhow::Result;

use super::cache_padded::CachePadded;
use super::claims::{Claimant, Claims};
use super::mutex::mutexes;
use crate::engine::{
    EventLoop, EventSource, Events, Issued, Phase, Progress, Recorder, Timing, Transfer, Upcoming,
    Worker,
};
use crate::plan::ThreadsParams;

/// Events that yield the CPU with a mutex locked.
#[derive(Debug)]
pub struct Threads {
    yields: u64,
    locks: Vec<CachePadded<Mutex<()>>>,
    claims: Claims,
}

impl Threads {
    /// Creates `events` events in total (`None`: unlimited), for `threads` threads.
    ///
    /// Fails if the mutexes cannot be allocated.
    pub fn new(params: &ThreadsParams, events: Option<u64>, threads: usize) -> Result<Self> {
        Ok(Self {
            yields: params.yields,
            locks: mutexes(params.locks)?,
            claims: Claims::new(events, threads, 1),
        })
    }

    /// Locks, yields and unlocks as often as an event does. Event N uses mutex N modulo their number.
    fn yield_locked(&self, event: u64) {
        let CachePadded(lock) = &self.locks[(event % self.locks.len() as u64) as usize];
        for _ in 0..self.yields {
            // The mutex protects nothing that a panic could leave inconsistent.
            let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
            yield_now();
        }
    }
}

impl EventSource for Threads {
    type Worker = ThreadsWorker;

    fn worker(self: Arc<Self>, _thread: usize) -> Result<ThreadsWorker> {
        Ok(ThreadsWorker { shared: self })
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
pub struct ThreadsWorker {
    shared: Arc<Threads>,
}

impl Worker for ThreadsWorker {
    fn run<T: Timing>(&mut self, events: EventLoop<'_, T>) -> Result<()> {
        events.run(&mut Yields {
            threads: &self.shared,
            claimant: self.shared.claims.claimant(),
        })
    }
}

/// The events of one thread.
struct Yields<'a> {
    threads: &'a Threads,
    claimant: Claimant<'a>,
}

impl Events for Yields<'_> {
    fn issue<T: Timing>(&mut self, _recorder: &mut Recorder<T>) -> Result<Issued> {
        let Some(event) = self.claimant.take() else {
            return Ok(Issued::Exhausted);
        };
        self.threads.yield_locked(event);
        Ok(Issued::Done(Transfer::None))
    }

    fn upcoming(&mut self) -> Upcoming {
        self.claimant.upcoming()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn workload(yields: u64, locks: u32) -> Threads {
        let locks = NonZeroU32::new(locks).expect("not zero");
        Threads::new(&ThreadsParams { yields, locks }, Some(10), 2).unwrap()
    }

    #[test]
    fn consecutive_events_use_the_mutexes_in_turn() {
        let threads = workload(1, 3);
        let _held = threads.locks[1].0.lock().unwrap();
        // An event that used the locked mutex would not return.
        for event in [0, 2, 3, 5, 6, 8] {
            threads.yield_locked(event);
        }
    }

    #[test]
    fn an_event_without_yields_locks_nothing() {
        let threads = workload(0, 1);
        let _held = threads.locks[0].0.lock().unwrap();
        threads.yield_locked(0);
    }

    #[test]
    fn a_mutex_is_unlocked_after_its_event() {
        let threads = workload(5, 1);
        threads.yield_locked(0);
        assert!(threads.locks[0].0.try_lock().is_ok());
    }
}
