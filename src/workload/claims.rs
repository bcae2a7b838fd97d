//! Identical events, handed out from a shared counter without a lock.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Result;

use crate::engine::Transfer;
use crate::engine::{Events, Issued, Phase, Progress, Recorder, Timing, Upcoming};

/// A counter of events, on its own cache line (and the adjacent one, which CPUs prefetch).
#[derive(Debug)]
#[repr(align(128))]
pub struct Claims {
    next: AtomicU64,
    /// Whether events do not run out.
    is_warm_up: AtomicBool,
    total: Option<u64>,
    threads: u64,
    batch: u64,
}

impl Claims {
    /// Hands out `total` events (`None`: unlimited) to `threads` threads, up to `batch` at once.
    ///
    /// A batch above 1 keeps short events from contending for the counter. Batches shrink toward
    /// the end, down to single events, so that no thread is left with many.
    pub fn new(total: Option<u64>, threads: usize, batch: u64) -> Self {
        Self {
            next: AtomicU64::new(0),
            is_warm_up: AtomicBool::new(false),
            total,
            threads: threads as u64,
            batch,
        }
    }

    /// Returns a claimant for one thread.
    pub fn claimant(&self) -> Claimant<'_> {
        self.claimant_of(0..0)
    }

    /// Returns a claimant that already holds these events.
    pub fn claimant_of(&self, held: Range<u64>) -> Claimant<'_> {
        Claimant { claims: self, held }
    }

    /// Claims one thread's equal share of all events; none without a total.
    pub fn share(&self) -> Range<u64> {
        let share = self.total.map_or(0, |total| total / self.threads);
        let first = self.next.fetch_add(share, Ordering::Relaxed);
        first..first + share
    }

    /// Hands out the events of a phase, from the first.
    pub fn begin(&self, phase: Phase) {
        self.is_warm_up
            .store(phase == Phase::WarmUp, Ordering::Relaxed);
        self.next.store(0, Ordering::Relaxed);
    }

    /// Returns how many events were claimed.
    pub fn progress(&self) -> Progress {
        let claimed = self.next.load(Ordering::Relaxed);
        Progress {
            done: self.total.map_or(claimed, |total| claimed.min(total)),
            total: self.total,
        }
    }

    #[cold]
    fn claim(&self) -> Range<u64> {
        let unlimited = self.is_warm_up.load(Ordering::Relaxed);
        let Some(total) = self.total.filter(|_| !unlimited) else {
            let first = self.next.fetch_add(self.batch, Ordering::Relaxed);
            return first..first + self.batch;
        };
        let rest = total.saturating_sub(self.next.load(Ordering::Relaxed));
        if rest == 0 {
            return 0..0;
        }
        let batch = (rest / (8 * self.threads)).clamp(1, self.batch);
        let first = self.next.fetch_add(batch, Ordering::Relaxed);
        first.min(total)..(first + batch).min(total)
    }
}

/// Claims events for one thread.
#[derive(Debug)]
pub struct Claimant<'a> {
    claims: &'a Claims,
    held: Range<u64>,
}

impl Claimant<'_> {
    /// Returns whether an event is left for this thread, which the next call of [`Self::take`] returns.
    pub fn upcoming(&mut self) -> Upcoming {
        if self.held.is_empty() {
            self.held = self.claims.claim();
        }
        match self.held.is_empty() {
            true => Upcoming::Exhausted,
            false => Upcoming::Event,
        }
    }

    /// Takes the next event and returns its number, from 0; `None` if none are left.
    #[inline(always)]
    pub fn take(&mut self) -> Option<u64> {
        if self.held.is_empty() {
            self.held = self.claims.claim();
        }
        self.held.next()
    }
}

/// Events that repeat the same infallible work.
pub struct Repeated<'a, F> {
    claimant: Claimant<'a>,
    transfer: Transfer,
    work: F,
}

impl<'a, F: FnMut()> Repeated<'a, F> {
    /// Creates events from these claims, each of which moves `transfer`.
    pub fn new(claims: &'a Claims, transfer: Transfer, work: F) -> Self {
        Self::of(claims.claimant(), transfer, work)
    }

    /// Creates events of this claimant, each of which moves `transfer`.
    pub fn of(claimant: Claimant<'a>, transfer: Transfer, work: F) -> Self {
        Self {
            claimant,
            transfer,
            work,
        }
    }
}

impl<F: FnMut()> Events for Repeated<'_, F> {
    #[inline(always)]
    fn issue<T: Timing>(&mut self, _recorder: &mut Recorder<T>) -> Result<Issued> {
        if self.claimant.take().is_none() {
            return Ok(Issued::Exhausted);
        }
        (self.work)();
        Ok(Issued::Done(self.transfer))
    }

    fn upcoming(&mut self) -> Upcoming {
        self.claimant.upcoming()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn each_event_is_handed_out_once(total in 0u64..5000, threads in 1usize..6, batch in 1u64..100) {
            let claims = Claims::new(Some(total), threads, batch);
            let given: u64 = std::thread::scope(|scope| {
                let count = || {
                    let mut claimant = claims.claimant();
                    std::iter::from_fn(|| claimant.take()).count() as u64
                };
                let workers: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
                workers.into_iter().map(|w| w.join().unwrap()).sum()
            });
            prop_assert_eq!(given, total);
            prop_assert_eq!(claims.progress(), Progress { done: total, total: Some(total) });
        }
    }

    #[test]
    fn after_a_warm_up_all_events_are_handed_out_again() {
        let claims = Claims::new(Some(10), 2, 8);
        claims.begin(Phase::WarmUp);
        let mut claimant = claims.claimant();
        assert!((0..1000).all(|_| claimant.take().is_some()));
        claims.begin(Phase::Measured);
        let mut claimant = claims.claimant();
        let taken: Vec<u64> = std::iter::from_fn(|| claimant.take()).collect();
        assert_eq!(taken, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn an_event_that_is_known_to_be_left_is_the_next_one_taken() {
        let claims = Claims::new(Some(2), 1, 8);
        let mut claimant = claims.claimant();
        for number in [0, 1] {
            assert_eq!(claimant.upcoming(), Upcoming::Event);
            assert_eq!(claimant.take(), Some(number));
        }
        assert_eq!(claimant.upcoming(), Upcoming::Exhausted);
    }

    #[test]
    fn equal_shares_leave_no_event_to_claim() {
        let claims = Claims::new(Some(12), 3, 64);
        let shares: Vec<_> = (0..3).map(|_| claims.share()).collect();
        assert_eq!(shares, [0..4, 4..8, 8..12]);
        let mut claimant = claims.claimant_of(shares[1].clone());
        assert_eq!((0..9).filter_map(|_| claimant.take()).count(), 4);
    }

    #[test]
    fn the_last_events_are_handed_out_one_by_one() {
        let claims = Claims::new(Some(1000), 2, 64);
        let mut last = 0;
        while claims.progress().done < 1000 {
            let claimed = claims.claim();
            last = claimed.end - claimed.start;
        }
        assert_eq!(last, 1);
    }

    #[test]
    fn without_a_total_the_events_never_run_out() {
        let claims = Claims::new(None, 1, 8);
        let mut claimant = claims.claimant();
        assert!((0..1000).all(|number| claimant.take() == Some(number)));
    }
}
