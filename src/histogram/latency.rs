//! A histogram with exact totals.

use std::ops::Range;

use super::buckets::{self, BucketCounts, values_at};
use super::{Percentile, Percentiles, encoding};
use crate::clock::Nanoseconds;

/// A distribution of durations: percentiles to 3 digits, everything else exact.
#[derive(Debug, Clone)]
pub struct LatencyHistogram {
    counts: BucketCounts,
    count: u64,
    min: u64,
    max: u64,
    /// In 128 bits: billions of durations may be long, as in an open loop beyond capacity.
    sum: u128,
    sum_of_squares: u128,
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self {
            counts: BucketCounts::default(),
            count: 0,
            min: u64::MAX,
            max: 0,
            sum: 0,
            sum_of_squares: 0,
        }
    }
}

impl LatencyHistogram {
    /// Number of short durations whose squares have a sum that fits in 64 bits.
    pub const MAX_BATCH: usize = {
        let square = Nanoseconds::MAX_SHORT.0 * Nanoseconds::MAX_SHORT.0;
        (u64::MAX / square) as usize
    };

    /// Memory of a histogram with all buckets in bytes, besides the value itself.
    pub const HEAP_BYTES: u64 = (buckets::LEN * size_of::<u64>()) as u64;

    /// Creates an empty histogram that already has the memory to record any duration.
    pub fn with_all_buckets() -> Self {
        Self {
            counts: BucketCounts::with_all_buckets(),
            ..Self::default()
        }
    }

    /// Records one duration.
    pub fn record(&mut self, Nanoseconds(ns): Nanoseconds) {
        self.counts.record(ns);
        self.count += 1;
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
        self.sum += u128::from(ns);
        self.sum_of_squares += u128::from(ns) * u128::from(ns);
    }

    /// Records several durations, at most [`Self::MAX_BATCH`], none above
    /// [`Nanoseconds::MAX_SHORT`].
    ///
    /// Their sums fit in 64-bit registers; arithmetic in 128 bits would triple the cost.
    #[inline]
    pub fn record_short(&mut self, durations: impl ExactSizeIterator<Item = Nanoseconds>) {
        debug_assert!(durations.len() <= Self::MAX_BATCH);
        self.count += durations.len() as u64;
        let (mut min, mut max) = (u64::MAX, 0);
        let (mut sum, mut sum_of_squares) = (0u64, 0u64);
        for Nanoseconds(ns) in durations {
            self.counts.record(ns);
            min = min.min(ns);
            max = max.max(ns);
            sum += ns;
            sum_of_squares += ns * ns;
        }
        self.min = self.min.min(min);
        self.max = self.max.max(max);
        self.sum += u128::from(sum);
        self.sum_of_squares += u128::from(sum_of_squares);
    }

    /// Adds all durations of another.
    pub fn add(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.counts.add(&other.counts, other.used());
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.sum_of_squares += other.sum_of_squares;
    }

    /// Removes all durations, but keeps the memory.
    pub fn clear(&mut self) {
        if self.is_empty() {
            return;
        }
        // The pages of other buckets have not been touched, and must not be.
        let used = self.used();
        let counts = std::mem::take(&mut self.counts);
        *self = Self {
            counts,
            ..Self::default()
        };
        self.counts.clear(used);
    }

    /// Returns the buckets from the shortest duration to the longest.
    fn used(&self) -> Range<usize> {
        if self.is_empty() {
            return 0..0;
        }
        let last = buckets::index(self.max).min(buckets::LEN - 1);
        buckets::index(self.min).min(last)..last + 1
    }

    /// Returns whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the sum of the durations in nanoseconds.
    pub fn total_ns(&self) -> u128 {
        self.sum
    }

    /// Returns the shortest and the longest duration; `None` if empty.
    pub fn range(&self) -> Option<(Nanoseconds, Nanoseconds)> {
        (!self.is_empty()).then_some((Nanoseconds(self.min), Nanoseconds(self.max)))
    }

    /// Returns the recorded durations, to the precision of a bucket, and how often each occurred.
    pub fn counts(&self) -> impl Iterator<Item = (Nanoseconds, u64)> {
        let counts = self.counts.nonempty();
        counts.map(|(bucket, count)| (Nanoseconds(buckets::lowest(bucket)), count))
    }

    /// Returns the mean in nanoseconds; not a number if empty.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.count as f64
    }

    /// Returns the standard deviation of the population in nanoseconds; not a number if empty.
    pub fn stddev(&self) -> f64 {
        let (n, mean) = (self.count as f64, self.mean());
        // n * sum of squares - sum^2, in integers if they fit: no cancellation.
        let variance = u128::from(self.count)
            .checked_mul(self.sum_of_squares)
            .and_then(|square| square.checked_sub(self.sum.checked_mul(self.sum)?))
            .map_or_else(
                || (self.sum_of_squares as f64 / n - mean * mean).max(0.0),
                |d| d as f64 / (n * n),
            );
        variance.sqrt()
    }

    /// Returns the duration that this percentage (0 to 100) of all does not exceed; `None` if
    /// empty.
    pub fn percentile(&self, percent: f64) -> Option<u64> {
        (!self.is_empty()).then(|| self.values_at([percent])[0])
    }

    /// Returns the percentiles of results; zeros if empty.
    pub fn percentiles(&self) -> Percentiles<u64> {
        let mut values = self
            .values_at(Percentile::ALL.map(Percentile::percent))
            .into_iter();
        Percentiles::from_fn(|_| values.next().unwrap_or_default())
    }

    fn values_at<const N: usize>(&self, shares: [f64; N]) -> [u64; N] {
        let values = values_at(self.counts.nonempty(), self.count, &shares);
        let mut values = values.into_iter();
        // The value of a bucket is its upper edge.
        shares.map(|_| values.next().unwrap_or_default().min(self.max))
    }

    /// Encodes the counts for a result file; see [`super::decode`].
    pub fn encode(&self) -> String {
        encoding::encode(&self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recorded(values: &[u64]) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::default();
        values
            .iter()
            .for_each(|&ns| histogram.record(Nanoseconds(ns)));
        histogram
    }

    /// Everything that a result file contains of a histogram.
    fn contents(histogram: &LatencyHistogram) -> impl PartialEq + std::fmt::Debug + use<> {
        (
            histogram.range(),
            (!histogram.is_empty()).then(|| (histogram.mean(), histogram.stddev())),
            histogram.percentiles(),
            histogram.encode(),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn merging_parts_equals_recording_everything_in_one(
            a in prop::collection::vec(0u64..10_000_000_000, 0..50),
            b in prop::collection::vec(0u64..10_000_000_000, 1..50),
        ) {
            let mut merged = recorded(&a);
            merged.add(&recorded(&b));
            let whole = recorded(&[a, b].concat());
            prop_assert_eq!(contents(&merged), contents(&whole));
        }

        #[test]
        fn min_mean_max_and_stddev_are_exact_and_percentiles_accurate_to_3_digits(
            mut values in prop::collection::vec(0u64..4_000_000_000_000, 1..60)
        ) {
            let histogram = recorded(&values);
            values.sort_unstable();
            let n = values.len() as f64;
            let mean = values.iter().sum::<u64>() as f64 / n;
            let variance = values.iter().map(|&v| (v as f64 - mean).powi(2)).sum::<f64>() / n;
            let (min, max) = histogram.range().unwrap();
            prop_assert_eq!((min.0, max.0), (values[0], *values.last().unwrap()));
            prop_assert!((histogram.mean() - mean).abs() <= mean * 1e-12);
            prop_assert!((histogram.stddev() - variance.sqrt()).abs() <= mean * 1e-9);
            for (percentile, &ns) in histogram.percentiles().iter() {
                let rank = (percentile.percent() / 100.0 * n).ceil().max(1.0) as usize - 1;
                let exact = values[rank] as f64;
                prop_assert!(ns <= max.0);
                prop_assert!((ns as f64 - exact).abs() <= exact * 1e-3, "{percentile}: {ns} for {exact}");
            }
        }
    }

    #[test]
    fn the_largest_batch_of_short_durations_does_not_overflow() {
        let longest = Nanoseconds::MAX_SHORT;
        let mut batch = LatencyHistogram::default();
        batch.record_short(vec![longest; LatencyHistogram::MAX_BATCH].into_iter());
        let one_by_one = recorded(&vec![longest.0; LatencyHistogram::MAX_BATCH]);
        assert_eq!(contents(&batch), contents(&one_by_one));
    }

    #[test]
    fn durations_of_an_hour_are_distinguished_to_3_digits() {
        let hour = 3_600_000_000_000;
        let p50 = recorded(&[hour, hour + hour / 100])
            .percentile(50.0)
            .unwrap();
        assert!(p50.abs_diff(hour) <= hour / 1000, "{p50}");
    }

    #[test]
    fn durations_beyond_the_longest_bucket_are_merged_and_cleared_like_others() {
        let max = buckets::MAX_NS;
        let mut long = recorded(&[max * 3, max * 2]);
        let mut merged = recorded(&[7]);
        merged.add(&long);
        let all = recorded(&[max * 3, max * 2, 7]);
        assert_eq!(contents(&merged), contents(&all));
        long.clear();
        assert_eq!(long.counts.nonempty().count(), 0);
    }

    #[test]
    fn a_cleared_histogram_equals_a_new_one() {
        let mut histogram = recorded(&[5, 7]);
        histogram.clear();
        assert_eq!(contents(&histogram), contents(&recorded(&[])));
        histogram.record(Nanoseconds(6));
        assert_eq!(contents(&histogram), contents(&recorded(&[6])));
    }
}
