//! The mutex test: each thread locks and unlocks mutexes chosen at random, in a single event.
//!
//! Before each lock the thread counts through a loop, so that threads rarely meet at a mutex: the
//! test measures mostly uncontended locks. A mutex is the standard library's: a futex.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::cache_padded::CachePadded;
use super::claims::{Claimant, Claims};
use crate::engine::{
    EventLoop, EventSource, Events, Issued, Phase, Progress, Recorder, Timing, Transfer, Upcoming,
    Worker,
};
use crate::plan::{MUTEX_BYTES, MutexParams, Seed};

/// One event per thread, in which the thread locks and unlocks mutexes of a common array.
#[derive(Debug)]
pub struct Mutexes {
    locks: u64,
    loops: AtomicU64,
    seed: Seed,
    mutexes: Vec<CachePadded<Mutex<()>>>,
    /// Incremented with a mutex locked, but not always the same one: some increments are lost.
    counter: CachePadded<AtomicU64>,
    claims: Claims,
}

impl Mutexes {
    /// Creates an event for each of `threads` threads, but at most `events`.
    ///
    /// Fails if the mutexes cannot be allocated.
    pub fn new(
        params: &MutexParams,
        seed: Seed,
        events: Option<u64>,
        threads: usize,
    ) -> Result<Self> {
        let events = events.unwrap_or(u64::MAX).min(threads as u64);
        Ok(Self {
            locks: params.locks.get(),
            loops: AtomicU64::new(params.loops),
            seed,
            mutexes: mutexes(params.mutexes)?,
            counter: CachePadded::default(),
            claims: Claims::new(Some(events), threads, 1),
        })
    }

    /// Locks and unlocks as often as an event does.
    fn lock_at_random(&self, choices: &mut Xoshiro256PlusPlus) {
        let CachePadded(counter) = &self.counter;
        for _ in 0..self.locks {
            let CachePadded(mutex) = &self.mutexes[choices.random_range(0..self.mutexes.len())];
            count_to(&self.loops);
            // The mutex protects nothing that a panic could leave inconsistent.
            let _held = mutex.lock().unwrap_or_else(PoisonError::into_inner);
            // Not an atomic increment, which would cost as much as the lock.
            counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }
}

const _: () = assert!(size_of::<CachePadded<Mutex<()>>>() as u64 == MUTEX_BYTES);

/// Allocates mutexes, each on its own cache line.
pub(super) fn mutexes(number: NonZeroU32) -> Result<Vec<CachePadded<Mutex<()>>>> {
    let number = number.get() as usize;
    let mut mutexes = Vec::new();
    mutexes
        .try_reserve_exact(number)
        .map_err(|error| anyhow!("cannot allocate {number} mutexes: {error}; use fewer"))?;
    mutexes.resize_with(number, CachePadded::default);
    Ok(mutexes)
}

/// Counts to `end`, which is loaded in each iteration, so that the compiler keeps the loop.
#[inline(always)]
fn count_to(end: &AtomicU64) {
    let mut count = 0;
    while count < end.load(Ordering::Relaxed) {
        count += 1;
    }
}

impl EventSource for Mutexes {
    type Worker = MutexesWorker;

    fn worker(self: Arc<Self>, thread: usize) -> Result<MutexesWorker> {
        let seed = (u64::from(self.seed.0.unwrap_or(0)) << 32) | thread as u64;
        Ok(MutexesWorker {
            choices: Xoshiro256PlusPlus::seed_from_u64(seed),
            shared: self,
        })
    }

    fn progress(&self) -> Progress {
        let events = self.claims.progress().total;
        let total = events.map(|events| events.saturating_mul(self.locks));
        let done = self.counter.0.load(Ordering::Relaxed);
        Progress {
            done: total.map_or(done, |total| done.min(total)),
            total,
        }
    }

    fn begin(&self, phase: Phase) -> Result<()> {
        self.claims.begin(phase);
        self.counter.0.store(0, Ordering::Relaxed);
        Ok(())
    }
}

/// One worker thread.
#[derive(Debug)]
pub struct MutexesWorker {
    shared: Arc<Mutexes>,
    choices: Xoshiro256PlusPlus,
}

impl Worker for MutexesWorker {
    fn run<T: Timing>(&mut self, events: EventLoop<'_, T>) -> Result<()> {
        events.run(&mut OneEvent {
            mutexes: &self.shared,
            claimant: Some(self.shared.claims.claimant()),
            choices: &mut self.choices,
        })
    }
}

/// The event of one thread.
struct OneEvent<'a> {
    mutexes: &'a Mutexes,
    /// `None` after the event.
    claimant: Option<Claimant<'a>>,
    choices: &'a mut Xoshiro256PlusPlus,
}

impl Events for OneEvent<'_> {
    fn issue<T: Timing>(&mut self, _recorder: &mut Recorder<T>) -> Result<Issued> {
        let claimed = self.claimant.take().and_then(|mut claims| claims.take());
        if claimed.is_none() {
            return Ok(Issued::Exhausted);
        }
        self.mutexes.lock_at_random(self.choices);
        Ok(Issued::Done(Transfer::None))
    }

    fn upcoming(&mut self) -> Upcoming {
        let claimant = self.claimant.as_mut();
        claimant.map_or(Upcoming::Exhausted, Claimant::upcoming)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn workload(mutexes: u32, locks: u64) -> Mutexes {
        let params = MutexParams {
            mutexes: NonZeroU32::new(mutexes).expect("not zero"),
            locks: NonZeroU64::new(locks).expect("not zero"),
            loops: 3,
        };
        Mutexes::new(&params, Seed(None), None, 2).unwrap()
    }

    fn choices() -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(7)
    }

    #[test]
    fn an_event_locks_as_often_as_asked_and_unlocks() {
        let mutexes = workload(4, 1000);
        mutexes.lock_at_random(&mut choices());
        assert_eq!(mutexes.counter.0.load(Ordering::Relaxed), 1000);
        assert!(
            mutexes
                .mutexes
                .iter()
                .all(|mutex| mutex.0.try_lock().is_ok())
        );
    }

    #[test]
    fn a_locked_mutex_is_waited_for() {
        let mutexes = workload(1, 1);
        let held = mutexes.mutexes[0].0.lock().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| mutexes.lock_at_random(&mut choices()));
            assert_eq!(mutexes.counter.0.load(Ordering::Relaxed), 0);
            drop(held);
            waiting.join().unwrap();
        });
        assert_eq!(mutexes.counter.0.load(Ordering::Relaxed), 1);
    }
}
