//! Counts of durations in the buckets of an HdrHistogram.

use std::ops::Range;

/// Longest duration that has its own bucket, in nanoseconds: a day. Longer ones are counted as a
/// day.
pub(super) const MAX_NS: u64 = 24 * 3600 * 1_000_000_000;

/// Significant decimal digits.
pub(super) const DIGITS: u8 = 3;

/// Values below this have one bucket each; 3 digits need 2 * 10^3 of them, rounded up to a power of
/// two (HdrHistogram's sub-bucket count).
const SUB_BUCKETS: u64 = 2048;

/// Number of buckets up to [`MAX_NS`].
pub(super) const LEN: usize = index(MAX_NS) + 1;

/// Number of buckets up to `u64::MAX`, which other programs may have used.
pub(super) const MAX_LEN: usize = index(u64::MAX) + 1;

/// Returns the bucket of a value: above the sub-buckets, each doubling has half as many.
#[inline(always)]
pub(super) const fn index(ns: u64) -> usize {
    let width = (ns | (SUB_BUCKETS - 1)).ilog2() - (SUB_BUCKETS - 1).ilog2();
    ((width as u64 * (SUB_BUCKETS / 2)) + (ns >> width)) as usize
}

/// Returns the values of a bucket as the smallest, and the number of them as a power of two.
const fn lowest_and_width(bucket: usize) -> (u64, u64) {
    let bucket = bucket as u64;
    let width = (bucket / (SUB_BUCKETS / 2)).saturating_sub(1);
    ((bucket - width * (SUB_BUCKETS / 2)) << width, width)
}

/// Returns the smallest value of a bucket.
pub(super) const fn lowest(bucket: usize) -> u64 {
    lowest_and_width(bucket).0
}

/// Returns the largest value of a bucket.
pub(super) const fn highest(bucket: usize) -> u64 {
    let (lowest, width) = lowest_and_width(bucket);
    lowest + ((1 << width) - 1)
}

/// A count per bucket.
///
/// Recording is a single increment: the other fields that the library's histogram maintains would
/// cost more than the count.
///
/// Counts that record have all buckets; counts that others are added to have only those needed, so
/// that thousands of threads do not take gigabytes.
#[derive(Debug, Clone, Default)]
pub(super) struct BucketCounts(Vec<u64>);

impl BucketCounts {
    /// Creates counts that have all buckets up to [`MAX_NS`].
    pub fn with_all_buckets() -> Self {
        // The kernel maps zeroed memory on demand, so that only used parts take memory.
        Self(vec![0; LEN])
    }

    /// Counts a value.
    #[inline(always)]
    pub fn record(&mut self, ns: u64) {
        match self.0.get_mut(index(ns)) {
            Some(count) => *count += 1,
            None => self.record_beyond(ns),
        }
    }

    /// Counts a value that has no bucket yet, or that exceeds [`MAX_NS`].
    #[cold]
    fn record_beyond(&mut self, ns: u64) {
        let bucket = index(ns).min(LEN - 1);
        *self.grow_to(bucket) += 1;
    }

    /// Returns the count of a bucket, which is created if missing.
    pub fn grow_to(&mut self, bucket: usize) -> &mut u64 {
        if self.0.len() <= bucket {
            self.0.resize(bucket + 1, 0);
        }
        &mut self.0[bucket]
    }

    /// Adds the counts of another, which are in these buckets.
    pub fn add(&mut self, other: &Self, used: Range<usize>) {
        if self.0.len() < used.end {
            self.0.resize(used.end, 0);
        }
        for (mine, theirs) in self.0[used.clone()].iter_mut().zip(&other.0[used]) {
            *mine += theirs;
        }
    }

    /// Resets the counts of these buckets to 0.
    pub fn clear(&mut self, used: Range<usize>) {
        self.0[used].fill(0);
    }

    /// Returns the nonempty buckets and their counts, ascending.
    pub fn nonempty(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = self.0.iter().copied().enumerate();
        counts.filter(|&(_, count)| count > 0)
    }
}

/// Returns, for each of these ascending shares (0 to 100 percent), the largest value of the bucket
/// with which the share of the `total` values is reached.
pub(super) fn values_at(
    buckets: impl Iterator<Item = (usize, u64)>,
    total: u64,
    shares: &[f64],
) -> Vec<u64> {
    let mut buckets = buckets;
    let (mut bucket, mut cumulative) = (0, 0);
    // As in HdrHistogram: at least one value, rounded up.
    let rank = |share: f64| ((share / 100.0 * total as f64).ceil() as u64).max(1);
    shares
        .iter()
        .map(|&share| {
            while cumulative < rank(share).min(total) {
                let Some((next, count)) = buckets.next() else {
                    break;
                };
                (bucket, cumulative) = (next, cumulative + count);
            }
            highest(bucket)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_any_size() -> impl Strategy<Value = u64> {
        (0u64..47).prop_flat_map(|bits| 0..1u64 << bits)
    }

    proptest! {
        #[test]
        fn a_bucket_contains_its_smallest_and_its_largest_value_and_none_beyond_them(ns in of_any_size()) {
            let bucket = index(ns);
            let (lowest, highest) = (lowest(bucket), highest(bucket));
            prop_assert!((lowest..=highest).contains(&ns) && highest - lowest <= ns / 1000);
            prop_assert_eq!((index(lowest), index(highest)), (bucket, bucket));
            prop_assert_eq!(index(highest + 1), bucket + 1);
            prop_assert!(lowest == 0 || index(lowest - 1) == bucket - 1);
        }
    }
}
