//! Merging of histograms from result files.

use anyhow::{Context, Result};

use super::buckets::{BucketCounts, values_at};
use super::encoding::decode;

/// Merges encoded histograms. Exact: the result is the histogram of all events.
#[derive(Debug, Clone, Default)]
pub struct Merger {
    counts: BucketCounts,
    histograms: usize,
    events: u64,
}

impl Merger {
    /// Adds an encoded histogram; adds nothing if it cannot be decoded.
    pub fn add(&mut self, encoded: &str) -> Result<()> {
        let buckets = decode(encoded)?;
        if buckets.is_empty() {
            return Ok(());
        }
        let events = buckets
            .iter()
            .try_fold(self.events, |sum, &(_, count)| sum.checked_add(count));
        self.events = events.context("more events than can be counted")?;
        for (bucket, count) in buckets {
            // Cannot overflow: the count of a bucket does not exceed the sum, checked above.
            *self.counts.grow_to(bucket) += count;
        }
        self.histograms += 1;
        Ok(())
    }

    /// Returns the number of histograms merged, without empty ones.
    pub fn histograms(&self) -> usize {
        self.histograms
    }

    /// Returns the number of events merged.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Returns the durations that these ascending shares (0 to 100 percent) of all events do not
    /// exceed, to 3 digits.
    pub fn values_at(&self, shares: &[f64]) -> Vec<u64> {
        values_at(self.counts.nonempty(), self.events, shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Nanoseconds;
    use crate::histogram::{LatencyHistogram, Percentile};
    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    fn histogram(durations: &[u64]) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::default();
        durations
            .iter()
            .for_each(|&ns| histogram.record(Nanoseconds(ns)));
        histogram
    }

    fn durations() -> impl Strategy<Value = Vec<u64>> {
        let of_any_size = (0u64..46).prop_flat_map(|bits| 0..1u64 << bits);
        proptest::collection::vec(of_any_size, 1..200)
    }

    proptest! {
        #[test]
        fn merged_percentiles_equal_those_of_one_histogram_of_all_durations(
            a in durations(), b in durations()
        ) {
            let mut merger = Merger::default();
            merger.add(&histogram(&a).encode()).unwrap();
            merger.add(&histogram(&b).encode()).unwrap();
            let mut library = Histogram::<u64>::new_with_bounds(1, 1 << 47, 3).unwrap();
            for ns in [a, b].concat() {
                library.record(ns).unwrap();
            }
            prop_assert_eq!((merger.histograms(), merger.events()), (2, library.len()));
            let shares = Percentile::ALL.map(Percentile::percent);
            let expected = shares.map(|share| library.value_at_percentile(share));
            prop_assert_eq!(merger.values_at(&shares), expected);
            prop_assert_eq!(merger.values_at(&[100.0]), [library.max()]);
        }
    }
}
