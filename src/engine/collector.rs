//! Collects the statistics of all recorders: totals of the run and of each thread, and the
//! statistics of each interval.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::snapshots::ThreadSums;
use super::statistics::Statistics;
use crate::clock::Nanoseconds;
use crate::histogram::{LatencyHistogram, Percentile};
use crate::result::{Interval, Rates};

pub(super) struct Collector {
    interval: Option<Duration>,
    /// Percentile of each interval for the observer.
    percentile: f64,
    state: Mutex<CollectorState>,
}

struct CollectorState {
    all: Statistics,
    threads: Vec<ThreadSums>,
    /// The interval each thread is in; its earlier intervals are final. `None` if the thread has
    /// ended.
    reached: Vec<Option<usize>>,
    /// Complete intervals, which every thread has left, in order from the first.
    closed: Vec<ClosedInterval>,
    /// Later intervals for which a thread has delivered statistics.
    open: Vec<IntervalTotals>,
}

/// State of an open loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queue {
    /// Number of events that have arrived but not started.
    pub backlog: u64,
    /// Number of threads that do not wait for an arrival.
    pub busy_threads: u64,
}

/// A complete interval.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ClosedInterval {
    pub summary: Interval,
    /// The percentile that the observer asked for; `None` without events.
    pub percentile_ns: Option<u64>,
}

#[derive(Default)]
struct IntervalTotals {
    events: LatencyHistogram,
    bytes: u64,
    reads: u64,
    writes: u64,
    fsyncs: u64,
}

impl Collector {
    pub fn new(threads: usize, interval: Option<Duration>, percentile: f64) -> Self {
        Self {
            interval,
            percentile,
            state: Mutex::new(CollectorState {
                all: Statistics::default(),
                threads: vec![ThreadSums::default(); threads],
                reached: vec![Some(0); threads],
                closed: Vec::new(),
                open: Vec::new(),
            }),
        }
    }

    /// Adds what a thread recorded since its last call, all of it in the interval it was in. Clears
    /// `statistics` and moves the thread to interval `now_in`.
    /// `queue` is the state of an open loop now.
    pub fn flush(
        &self,
        thread: usize,
        now_in: usize,
        queue: Option<Queue>,
        statistics: &mut Statistics,
    ) {
        self.take(thread, Some(now_in), queue, statistics);
    }

    /// Adds the final statistics of a thread; `queue` as for [`Self::flush`].
    pub fn finish(&self, thread: usize, queue: Option<Queue>, statistics: &mut Statistics) {
        self.take(thread, None, queue, statistics);
    }

    fn take(
        &self,
        thread: usize,
        now_in: Option<usize>,
        queue: Option<Queue>,
        statistics: &mut Statistics,
    ) {
        let mut state = self.state();
        // A thread that was abandoned reports too late.
        let Some(was_in) = state.reached[thread] else {
            return;
        };
        state.threads[thread].add(statistics);
        state.all.add(statistics);
        state.reached[thread] = now_in;
        if let Some(interval) = self.interval {
            state.totals_of(was_in).add(statistics);
            // Once all threads have ended, the end of the run closes the remaining intervals.
            if let Some(left_by_all) = state.reached.iter().copied().flatten().min() {
                state.close(interval, self.percentile, left_by_all, queue);
            }
        }
        statistics.clear();
    }

    /// Returns the totals of all threads together and of each thread.
    pub fn totals(&self) -> (Statistics, Vec<ThreadSums>) {
        let state = self.state();
        (state.all.clone(), state.threads.clone())
    }

    /// Returns the complete intervals from this number on, counted from 0.
    pub fn complete_from(&self, number: usize) -> Vec<ClosedInterval> {
        let state = self.state();
        state.closed.get(number..).unwrap_or_default().to_vec()
    }

    /// Completes all intervals at the end of the run, the last one cut off there, and returns them.
    pub fn close_all(&self, end: Nanoseconds, queue: Option<Queue>) -> Vec<ClosedInterval> {
        let Some(interval) = self.interval else {
            return Vec::new();
        };
        let mut state = self.state();
        let whole = (u128::from(end.0) / interval.as_nanos().max(1)) as usize;
        state.reached.fill(None);
        state.close(interval, self.percentile, whole, queue);
        let began = interval.as_secs_f64() * whole as f64;
        let rest = state.totals_of(whole);
        let rest = rest.closed(began, end.as_secs_f64(), self.percentile, queue);
        state.open.clear();
        if end.as_secs_f64() > began {
            state.closed.push(rest);
        }
        state.closed.clone()
    }

    fn state(&self) -> MutexGuard<'_, CollectorState> {
        // A thread that panicked leaves consistent sums: each is added separately.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CollectorState {
    fn totals_of(&mut self, number: usize) -> &mut IntervalTotals {
        let at = number - self.closed.len();
        if self.open.len() <= at {
            self.open.resize_with(at + 1, IntervalTotals::default);
        }
        &mut self.open[at]
    }

    /// Closes the intervals before `left_by_all`, which every thread has left.
    fn close(
        &mut self,
        interval: Duration,
        percentile: f64,
        left_by_all: usize,
        queue: Option<Queue>,
    ) {
        while self.closed.len() < left_by_all {
            let number = self.closed.len() as f64;
            let length = interval.as_secs_f64();
            let totals = match self.open.is_empty() {
                true => IntervalTotals::default(),
                false => self.open.remove(0),
            };
            let (from_s, to_s) = (number * length, (number + 1.0) * length);
            self.closed
                .push(totals.closed(from_s, to_s, percentile, queue));
        }
    }
}

impl IntervalTotals {
    fn add(&mut self, statistics: &Statistics) {
        self.events.add(&statistics.events);
        self.bytes += statistics.bytes_read + statistics.bytes_written;
        self.reads += statistics.reads;
        self.writes += statistics.writes;
        self.fsyncs += statistics.fsyncs.count();
    }

    fn closed(
        &self,
        from_s: f64,
        to_s: f64,
        percentile: f64,
        queue: Option<Queue>,
    ) -> ClosedInterval {
        ClosedInterval {
            summary: Interval {
                backlog_events: queue.map(|queue| queue.backlog),
                busy_threads: queue.map(|queue| queue.busy_threads),
                ..self.summary(from_s, to_s)
            },
            percentile_ns: self.events.percentile(percentile),
        }
    }

    fn summary(&self, from_s: f64, to_s: f64) -> Interval {
        let Rates {
            events_per_s,
            mib_per_s,
        } = Rates::over(self.events.count(), self.bytes, to_s - from_s);
        let rate = |count| Some(Rates::over(count, 0, to_s - from_s).events_per_s);
        Interval {
            at_s: to_s,
            events_per_s,
            mib_per_s,
            p95_ns: self.events.percentile(Percentile::P95.percent()),
            reads_per_s: rate(self.reads),
            writes_per_s: rate(self.writes),
            fsyncs_per_s: rate(self.fsyncs),
            backlog_events: None,
            busy_threads: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Transfer;

    const SECOND: Duration = Duration::from_secs(1);

    fn events(n: u64) -> Statistics {
        let mut statistics = Statistics::default();
        for _ in 0..n {
            statistics.events.record(Nanoseconds(1000));
            statistics.add_transfer(Transfer::Read(1 << 20));
            statistics.fsyncs.record(Nanoseconds(500));
        }
        statistics
    }

    #[test]
    fn an_interval_is_complete_when_every_thread_has_left_it() {
        let collector = Collector::new(2, Some(SECOND), 95.0);
        collector.flush(0, 1, None, &mut events(10));
        assert!(collector.complete_from(0).is_empty());
        collector.flush(1, 1, None, &mut events(5));
        let complete = collector.complete_from(0);
        assert_eq!(complete.len(), 1);
        assert_eq!(
            (
                complete[0].summary.events_per_s,
                complete[0].summary.mib_per_s
            ),
            (15.0, 15.0)
        );
        assert_eq!(complete[0].summary.p95_ns, Some(1000));
        assert_eq!(complete[0].summary.reads_per_s, Some(15.0));
        assert_eq!(complete[0].summary.writes_per_s, Some(0.0));
        assert_eq!(complete[0].summary.fsyncs_per_s, Some(15.0));
    }

    #[test]
    fn a_thread_that_has_ended_does_not_keep_intervals_open() {
        let collector = Collector::new(2, Some(SECOND), 95.0);
        collector.finish(0, None, &mut events(1));
        collector.flush(1, 3, None, &mut events(2));
        assert_eq!(collector.complete_from(0).len(), 3);
        let later = collector.complete_from(1);
        let ends: Vec<f64> = later.iter().map(|it| it.summary.at_s).collect();
        assert_eq!(ends, [2.0, 3.0]);
        assert!(collector.complete_from(3).is_empty());
        assert!(collector.complete_from(4).is_empty());
    }

    #[test]
    fn statistics_of_a_thread_that_was_abandoned_are_ignored() {
        let collector = Collector::new(1, Some(SECOND), 95.0);
        collector.flush(0, 1, None, &mut events(3));
        let at_the_end = collector.close_all(Nanoseconds(2_500_000_000), None);
        collector.flush(0, 9, None, &mut events(100));
        assert_eq!(collector.complete_from(0), at_the_end);
        let (all, threads) = collector.totals();
        assert_eq!((all.events.count(), threads[0].events), (3, 3));
    }

    #[test]
    fn a_thread_that_hangs_across_two_intervals_leaves_an_empty_one() {
        let collector = Collector::new(1, Some(SECOND), 95.0);
        collector.flush(0, 2, None, &mut events(3));
        let rates: Vec<f64> = collector
            .complete_from(0)
            .iter()
            .map(|i| i.summary.events_per_s)
            .collect();
        assert_eq!(rates, [3.0, 0.0]);
    }

    #[test]
    fn each_event_is_in_one_interval_and_the_last_interval_ends_with_the_run() {
        let collector = Collector::new(2, Some(SECOND), 95.0);
        collector.flush(0, 1, None, &mut events(4));
        collector.finish(0, None, &mut events(2));
        collector.finish(1, None, &mut events(7));
        let all = collector.close_all(Nanoseconds(1_500_000_000), None);
        assert_eq!(all.len(), 2);
        assert_eq!(
            all[0].summary.events_per_s * 1.0 + all[1].summary.events_per_s * 0.5,
            13.0
        );
        assert_eq!(all[1].summary.at_s, 1.5);
        let (all, threads) = collector.totals();
        let threads: Vec<u64> = threads.iter().map(|thread| thread.events).collect();
        assert_eq!((all.events.count(), threads), (13, vec![6, 7]));
    }
}
