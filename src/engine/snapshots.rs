//! Statistics of parts of a run, between the times that an observer asks for.

use std::ops::DerefMut;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::statistics::Statistics;
use crate::clock::Nanoseconds;

/// Totals of one thread. Distributions are kept for all threads together only: with thousands of
/// threads, histograms would take hundreds of megabytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadSums {
    /// Number of events.
    pub events: u64,
    /// Sum of event durations in nanoseconds.
    pub event_time_ns: u128,
    /// Shortest event; 0 without events.
    pub min: Nanoseconds,
    /// Longest event; 0 without events.
    pub max: Nanoseconds,
}

impl ThreadSums {
    /// Sum of event durations in seconds.
    pub fn event_time_s(&self) -> f64 {
        self.event_time_ns as f64 / 1e9
    }

    /// Adds the events of these statistics.
    pub(super) fn add(&mut self, statistics: &Statistics) {
        self.merge(&Self::of(statistics));
    }

    fn of(statistics: &Statistics) -> Self {
        let events = &statistics.events;
        let (min, max) = events.range().unwrap_or_default();
        Self {
            events: events.count(),
            event_time_ns: events.total_ns(),
            min,
            max,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.min = match (self.events, other.events) {
            (0, _) => other.min,
            (_, 0) => self.min,
            _ => self.min.min(other.min),
        };
        self.max = self.max.max(other.max);
        self.events += other.events;
        self.event_time_ns += other.event_time_ns;
    }
}

/// What was recorded between two times of a run.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Start of the part, in seconds after the start of the run.
    pub from_s: f64,
    /// End of the part, in seconds after the start of the run.
    pub to_s: f64,
    /// Statistics of all threads together.
    pub all: Statistics,
    /// Totals of each thread.
    pub threads: Vec<ThreadSums>,
    /// Threads that had not ended when the run was given up.
    pub unfinished: usize,
}

impl Snapshot {
    /// Creates an empty part of a run with this many threads.
    pub(super) fn empty(threads: usize, from_s: f64, to_s: f64) -> Self {
        Self {
            from_s,
            to_s,
            all: Statistics::default(),
            threads: vec![ThreadSums::default(); threads],
            unfinished: 0,
        }
    }

    /// Adds what a thread recorded.
    pub(super) fn add(&mut self, thread: usize, statistics: &Statistics) {
        self.all.add(statistics);
        self.threads[thread].add(statistics);
    }

    /// Adds the part that follows.
    pub(super) fn append(&mut self, next: &Self) {
        self.to_s = next.to_s;
        self.all.add(&next.all);
        for (thread, more) in self.threads.iter_mut().zip(&next.threads) {
            thread.merge(more);
        }
    }

    /// Length of the part in seconds.
    pub fn length_s(&self) -> f64 {
        self.to_s - self.from_s
    }
}

/// Collects the snapshots of a run.
pub(super) struct Snapshots {
    /// Times after the start, ascending.
    times: Vec<Duration>,
    state: Mutex<SnapshotState>,
}

struct SnapshotState {
    /// What was recorded before each time since the previous one, and after the last.
    parts: Vec<Snapshot>,
    /// The part each thread is in; its earlier parts are final. `None` if the thread has ended.
    reached: Vec<Option<usize>>,
    /// Number of parts that were taken.
    taken: usize,
}

impl Snapshots {
    pub fn new(threads: usize, times: Vec<Duration>) -> Self {
        let seconds = |index: usize| times.get(index).map_or(0.0, Duration::as_secs_f64);
        let parts = (0..=times.len())
            .map(|index| {
                let from_s = index.checked_sub(1).map_or(0.0, seconds);
                Snapshot::empty(threads, from_s, seconds(index))
            })
            .collect();
        Self {
            times,
            state: Mutex::new(SnapshotState {
                parts,
                reached: vec![Some(0); threads],
                taken: 0,
            }),
        }
    }

    /// Returns how many of the times are not after this one.
    pub fn passed(&self, elapsed: Duration) -> usize {
        self.times.partition_point(|&time| time <= elapsed)
    }

    /// Returns the next of the times.
    pub fn next_after(&self, elapsed: Duration) -> Option<Duration> {
        self.times.get(self.passed(elapsed)).copied()
    }

    /// Adds what a thread recorded in the part it was in, and moves it to the part after `passed`
    /// times; `None` if it has ended.
    pub fn flush(&self, thread: usize, passed: Option<usize>, statistics: &Statistics) {
        let mut state = self.state();
        // A thread that was given up reports too late.
        let Some(was_in) = state.reached[thread] else {
            return;
        };
        let taken = state.taken;
        state.parts[was_in - taken].add(thread, statistics);
        state.reached[thread] = passed;
    }

    /// Returns the parts that every thread has left since the last call.
    pub fn take_complete(&self) -> Vec<Snapshot> {
        let mut state = self.state();
        // Once all threads have ended, the end of the run determines which parts are complete.
        let left_by_all = state.reached.iter().copied().flatten().min().unwrap_or(0);
        state.take_before(left_by_all)
    }

    /// Returns the other parts that end within a run of this length, and the rest of the run.
    pub fn take_rest(&self, wall: Duration) -> (Vec<Snapshot>, Snapshot) {
        let mut state = self.state();
        let unfinished = state.reached.iter().flatten().count();
        state.reached.fill(None);
        let complete = state.take_before(self.passed(wall));
        let mut rest = state.parts.drain(..);
        let mut first = rest
            .next()
            .expect("the part after the last time is never taken");
        rest.for_each(|part| first.append(&part));
        first.to_s = wall.as_secs_f64();
        first.unfinished = unfinished;
        (complete, first)
    }

    fn state(&self) -> impl DerefMut<Target = SnapshotState> {
        // A thread that panicked leaves consistent sums: each is added separately.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SnapshotState {
    fn take_before(&mut self, part: usize) -> Vec<Snapshot> {
        let count = part.saturating_sub(self.taken);
        self.taken += count;
        self.parts.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(durations: &[u64]) -> Statistics {
        let mut statistics = Statistics::default();
        for &ns in durations {
            statistics.events.record(Nanoseconds(ns));
        }
        statistics
    }

    #[test]
    fn the_parts_of_a_run_add_up_to_the_whole() {
        let mut whole = Snapshot::empty(2, 0.0, 3.0);
        let mut first = Snapshot::empty(2, 0.0, 1.0);
        let mut rest = Snapshot::empty(2, 1.0, 3.0);
        first.add(1, &statistics(&[5, 9]));
        rest.add(0, &statistics(&[7]));
        rest.add(1, &statistics(&[2, 6]));
        for (thread, durations) in [(1, &[5, 9][..]), (0, &[7]), (1, &[2, 6])] {
            whole.add(thread, &statistics(durations));
        }
        first.append(&rest);
        assert_eq!(first.threads, whole.threads);
        assert_eq!(first.all.events.encode(), whole.all.events.encode());
        assert_eq!((first.threads[1].min.0, first.threads[1].max.0), (2, 9));
        assert_eq!(first.length_s(), 3.0);
    }

    #[test]
    fn a_snapshot_is_complete_when_every_thread_has_passed_its_time() {
        let second = Duration::from_secs(1);
        let snapshots = Snapshots::new(2, vec![second, 3 * second]);
        assert_eq!(snapshots.next_after(Duration::ZERO), Some(second));
        assert_eq!(snapshots.next_after(second), Some(3 * second));
        assert_eq!(snapshots.next_after(3 * second), None);
        snapshots.flush(0, Some(1), &statistics(&[5]));
        assert!(snapshots.take_complete().is_empty());
        snapshots.flush(1, Some(1), &statistics(&[6, 7]));
        let complete = snapshots.take_complete();
        assert_eq!(complete.len(), 1);
        assert_eq!((complete[0].from_s, complete[0].to_s), (0.0, 1.0));
        assert_eq!(complete[0].all.events.count(), 3);
        assert!(snapshots.take_complete().is_empty());
        // Thread 1 is in an event beyond the second time until the end.
        snapshots.flush(0, Some(2), &statistics(&[1]));
        snapshots.flush(0, None, &statistics(&[2]));
        snapshots.flush(1, None, &statistics(&[3, 4]));
        let (complete, rest) = snapshots.take_rest(second.mul_f64(3.5));
        assert_eq!(complete[0].all.events.count(), 3);
        assert_eq!(
            (rest.all.events.count(), rest.from_s, rest.to_s),
            (1, 3.0, 3.5)
        );
    }

    #[test]
    fn times_that_a_run_did_not_reach_belong_to_its_rest() {
        let times = [1, 2, 3].map(Duration::from_secs).to_vec();
        let snapshots = Snapshots::new(1, times);
        snapshots.flush(0, Some(1), &statistics(&[1]));
        snapshots.flush(0, None, &statistics(&[2, 3]));
        let (complete, rest) = snapshots.take_rest(Duration::from_millis(1500));
        assert_eq!(complete.len(), 1);
        assert_eq!(
            (rest.all.events.count(), rest.from_s, rest.to_s),
            (2, 1.0, 1.5)
        );
    }
}
