//! Statistics that a thread records of its events, and their aggregation.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use anyhow::{Context, Result, anyhow};

use crate::clock::{Nanoseconds, Scale};
use crate::compare::histogram;
use crate::result::Latency;

/// Longest duration that the histogram resolves, in nanoseconds: a day. Longer ones count as a day
/// in the percentiles; minimum, mean and maximum stay exact.
const LONGEST_NS: u64 = 24 * 3600 * 1_000_000_000;

/// Significant decimal digits of the histogram.
const DIGITS: u8 = 3;

/// Values below this have one bucket each; 3 digits need 2 * 10^3 of them, rounded up to a power of
/// two (HdrHistogram's sub-bucket count).
const SUB_BUCKETS: u64 = 2048;

/// Counts at the resolution of an HdrHistogram, which is created on demand.
///
/// Recording is a single increment: the other fields that the library's histogram maintains would
/// cost more than the count.
///
/// Counts that record have all buckets; counts that others are added to have only those needed, so
/// that thousands of threads do not take gigabytes.
#[derive(Debug, Clone, Default)]
struct Counts(Vec<u64>);

impl Counts {
    const LEN: usize = Self::index(LONGEST_NS) + 1;

    fn with_all_buckets() -> Self {
        // The kernel maps zeroed memory on demand, so that only used parts take memory.
        Self(vec![0; Self::LEN])
    }

    /// Returns the bucket of a value: above the sub-buckets, each doubling has half as many.
    #[inline(always)]
    const fn index(ns: u64) -> usize {
        let width = (ns | (SUB_BUCKETS - 1)).ilog2() - (SUB_BUCKETS - 1).ilog2();
        ((width as u64 * (SUB_BUCKETS / 2)) + (ns >> width)) as usize
    }

    /// Returns the smallest value of a bucket.
    fn value(index: usize) -> u64 {
        let index = index as u64;
        let width = (index / (SUB_BUCKETS / 2)).saturating_sub(1);
        (index - width * (SUB_BUCKETS / 2)) << width
    }

    #[inline(always)]
    fn record(&mut self, ns: u64) {
        match self.0.get_mut(Self::index(ns)) {
            Some(count) => *count += 1,
            None => self.record_beyond(ns),
        }
    }

    /// Counts a duration that has no bucket yet, or that exceeds the longest.
    #[cold]
    fn record_beyond(&mut self, ns: u64) {
        if self.0.len() < Self::LEN {
            self.0.resize(Self::LEN, 0);
        }
        self.0[Self::index(ns).min(Self::LEN - 1)] += 1;
    }

    /// Adds the counts of another, which are in these buckets.
    fn add(&mut self, other: &Self, used: Range<usize>) {
        if self.0.len() < used.end {
            self.0.resize(used.end, 0);
        }
        for (mine, theirs) in self.0[used.clone()].iter_mut().zip(&other.0[used]) {
            *mine += theirs;
        }
    }

    fn histogram(&self) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)
            .expect("the bounds are constants that the histogram takes");
        for (index, &count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            histogram
                .record_n(Self::value(index), count)
                .expect("no value is beyond the bounds");
        }
        histogram
    }
}

/// A distribution of durations: percentiles to 3 digits, everything else exact.
#[derive(Debug, Clone)]
pub struct LatencyHistogram {
    counts: Counts,
    count: u64,
    min: u64,
    max: u64,
    sum: u64,
    sum_of_squares: u128,
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self {
            counts: Counts::default(),
            count: 0,
            min: u64::MAX,
            max: 0,
            sum: 0,
            sum_of_squares: 0,
        }
    }
}

impl LatencyHistogram {
    /// Creates an empty distribution that already has the memory to record any duration.
    fn ready() -> Self {
        Self {
            counts: Counts::with_all_buckets(),
            ..Self::default()
        }
    }

    /// Records one duration.
    pub fn record(&mut self, duration: Nanoseconds) {
        self.record_all([duration].into_iter());
    }

    /// Records several durations.
    #[inline]
    pub fn record_all(&mut self, durations: impl ExactSizeIterator<Item = Nanoseconds>) {
        self.count += durations.len() as u64;
        // In registers: in memory, each of these would be a chain of stores and loads.
        let (mut min, mut max) = (self.min, self.max);
        let (mut sum, mut sum_of_squares) = (self.sum, self.sum_of_squares);
        for Nanoseconds(ns) in durations {
            self.counts.record(ns);
            min = min.min(ns);
            max = max.max(ns);
            sum += ns;
            sum_of_squares += u128::from(ns) * u128::from(ns);
        }
        (self.min, self.max) = (min, max);
        (self.sum, self.sum_of_squares) = (sum, sum_of_squares);
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
        self.counts.0[used].fill(0);
        self.count = 0;
        (self.min, self.max) = (u64::MAX, 0);
        (self.sum, self.sum_of_squares) = (0, 0);
    }

    /// Returns the buckets from the shortest duration to the longest.
    fn used(&self) -> Range<usize> {
        if self.is_empty() {
            return 0..0;
        }
        let last = Counts::index(self.max).min(Counts::LEN - 1);
        Counts::index(self.min).min(last)..last + 1
    }

    /// Returns whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the sum of the durations.
    pub fn total(&self) -> Nanoseconds {
        Nanoseconds(self.sum)
    }

    /// Returns the duration that this percentage (0 to 100) of all does not exceed; `None` if
    /// empty.
    pub fn percentile(&self, percentile: f64) -> Option<u64> {
        (!self.is_empty())
            .then(|| bounded_percentile(&self.counts.histogram(), percentile, self.max))
    }

    /// Converts to the form of the result file; `None` if empty.
    pub fn to_latency(&self) -> Option<Latency> {
        let n = self.count;
        if n == 0 {
            return None;
        }
        let mean = self.sum as f64 / n as f64;
        // n * sum of squares - sum^2, in integers if they fit: no cancellation.
        let spread = u128::from(n)
            .checked_mul(self.sum_of_squares)
            .and_then(|square| square.checked_sub(u128::from(self.sum) * u128::from(self.sum)))
            .map_or_else(
                || (self.sum_of_squares as f64 / n as f64 - mean * mean).max(0.0),
                |d| d as f64 / (n as f64 * n as f64),
            );
        let histogram = self.counts.histogram();
        let percentile = |p| bounded_percentile(&histogram, p, self.max);
        Some(Latency {
            min: self.min,
            mean,
            max: self.max,
            stddev: spread.sqrt(),
            p50: percentile(50.0),
            p90: percentile(90.0),
            p95: percentile(95.0),
            p99: percentile(99.0),
            p99_9: percentile(99.9),
            histogram: encode(&histogram),
        })
    }
}

/// Limits a percentile to `max`: the histogram returns the upper edge of a bucket.
fn bounded_percentile(histogram: &Histogram<u64>, percentile: f64, max: u64) -> u64 {
    histogram.value_at_percentile(percentile).min(max)
}

fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("a histogram can be written to memory");
    BASE64.encode(bytes)
}

impl Latency {
    /// Decodes the histogram from HdrHistogram's format; values in nanoseconds.
    pub fn histogram(&self) -> Result<Histogram<u64>> {
        // The library allocates whatever size the header claims.
        histogram::check(&self.histogram)?;
        let bytes = BASE64
            .decode(&self.histogram)
            .context("the histogram is not base64")?;
        Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| anyhow!("the histogram can't be decoded: {error}"))
    }

    /// Returns the duration that this percentage (0 to 100) of all does not exceed.
    pub fn percentile(&self, percentile: f64) -> Result<u64> {
        Ok(bounded_percentile(&self.histogram()?, percentile, self.max))
    }
}

/// Data that an event moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// Nothing.
    None,
    /// Bytes read.
    Read(u64),
    /// Bytes written.
    Write(u64),
}

/// Event durations that were not counted yet, in ticks.
///
/// The fence that ends an event keeps the CPU from overlapping anything with what follows; counting
/// many at once costs half of counting each at its end.
#[derive(Debug, Clone)]
pub struct TickBuffer {
    ticks: [u64; Self::CAPACITY],
    len: usize,
}

impl Default for TickBuffer {
    fn default() -> Self {
        Self {
            ticks: [0; Self::CAPACITY],
            len: 0,
        }
    }
}

impl TickBuffer {
    /// Number of durations held: 1 KiB, small beside what the memory test measures in the L1 cache.
    pub const CAPACITY: usize = 128;

    /// Adds a duration; returns true if the buffer is now full.
    #[inline(always)]
    pub fn push(&mut self, ticks: u64) -> bool {
        self.ticks[self.len % Self::CAPACITY] = ticks;
        self.len += 1;
        self.len >= Self::CAPACITY
    }

    /// Counts all held durations, and empties the buffer.
    pub fn record_into(&mut self, durations: &mut LatencyHistogram, scale: Scale) {
        let held = self.ticks[..self.len].iter();
        durations.record_all(held.map(|&ticks| scale.nanoseconds(ticks)));
        self.len = 0;
    }
}

/// Statistics of one thread, or of all.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// Durations of the events.
    pub events: LatencyHistogram,
    /// Durations of fsyncs.
    pub fsyncs: LatencyHistogram,
    /// Read requests.
    pub reads: u64,
    /// Write requests.
    pub writes: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
}

impl Statistics {
    /// Maximum memory of the statistics of a thread in bytes, besides the value itself.
    pub const READY_BYTES: u64 = 2 * (Counts::LEN * size_of::<u64>()) as u64;

    /// Creates empty statistics that already have the memory to record anything.
    pub fn ready() -> Self {
        Self {
            events: LatencyHistogram::ready(),
            fsyncs: LatencyHistogram::ready(),
            ..Self::default()
        }
    }

    /// Counts the data that an event moved.
    #[inline(always)]
    pub fn add_transfer(&mut self, transfer: Transfer) {
        match transfer {
            Transfer::None => {}
            Transfer::Read(bytes) => {
                self.reads += 1;
                self.bytes_read += bytes;
            }
            Transfer::Write(bytes) => {
                self.writes += 1;
                self.bytes_written += bytes;
            }
        }
    }

    /// Adds all statistics of another.
    pub fn add(&mut self, other: &Self) {
        self.events.add(&other.events);
        self.fsyncs.add(&other.fsyncs);
        self.reads += other.reads;
        self.writes += other.writes;
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
    }

    /// Removes all statistics, but keeps the memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.fsyncs.clear();
        (self.reads, self.writes) = (0, 0);
        (self.bytes_read, self.bytes_written) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recorded(values: &[u64]) -> LatencyHistogram {
        let mut durations = LatencyHistogram::default();
        values
            .iter()
            .for_each(|&ns| durations.record(Nanoseconds(ns)));
        durations
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
            prop_assert_eq!(merged.to_latency(), whole.to_latency());
        }

        #[test]
        fn min_mean_max_and_stddev_are_exact_and_percentiles_accurate_to_3_digits(
            mut values in prop::collection::vec(0u64..4_000_000_000_000, 1..60)
        ) {
            let latency = recorded(&values).to_latency().unwrap();
            values.sort_unstable();
            let n = values.len() as f64;
            let mean = values.iter().sum::<u64>() as f64 / n;
            let variance = values.iter().map(|&v| (v as f64 - mean).powi(2)).sum::<f64>() / n;
            prop_assert_eq!(latency.min, values[0]);
            prop_assert_eq!(latency.max, *values.last().unwrap());
            prop_assert!((latency.mean - mean).abs() <= mean * 1e-12);
            prop_assert!((latency.stddev - variance.sqrt()).abs() <= mean * 1e-9);
            for (p, got) in [(50.0, latency.p50), (90.0, latency.p90), (95.0, latency.p95), (99.0, latency.p99)] {
                let rank = (p / 100.0 * n).ceil().max(1.0) as usize - 1;
                let exact = values[rank] as f64;
                prop_assert!((got as f64 - exact).abs() <= exact * 1e-3, "p{}: {} for {}", p, got, exact);
            }
            prop_assert!(latency.p50 <= latency.p90 && latency.p99_9 <= latency.max);
        }

        #[test]
        fn a_histogram_round_trips_through_the_result_file(values in prop::collection::vec(1u64..4_000_000_000_000, 1..60)) {
            let durations = recorded(&values);
            let latency = durations.to_latency().unwrap();
            prop_assert_eq!(latency.histogram().unwrap(), durations.counts.histogram());
        }

        #[test]
        fn counts_match_the_histogram_of_the_library(
            values in prop::collection::vec((0u64..47).prop_flat_map(|bits| 0..1u64 << bits), 0..200)
        ) {
            let mut counts = Counts::with_all_buckets();
            let mut library = Histogram::<u64>::new_with_bounds(1, LONGEST_NS, DIGITS).unwrap();
            for &ns in &values {
                counts.record(ns);
                library.saturating_record(ns);
            }
            prop_assert_eq!(counts.histogram(), library);
        }

        #[test]
        fn a_bucket_contains_its_smallest_value_and_none_below_it(ns in (0u64..47).prop_flat_map(|bits| 0..1u64 << bits)) {
            let bucket = Counts::index(ns);
            let smallest = Counts::value(bucket);
            prop_assert!(smallest <= ns && ns - smallest <= ns / 1000);
            prop_assert_eq!(Counts::index(smallest), bucket);
            prop_assert!(smallest == 0 || Counts::index(smallest - 1) == bucket - 1);
        }
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
        let mut durations = recorded(&[LONGEST_NS * 3, LONGEST_NS * 2]);
        let mut merged = recorded(&[7]);
        merged.add(&durations);
        let all = recorded(&[LONGEST_NS * 3, LONGEST_NS * 2, 7]);
        assert_eq!(merged.to_latency(), all.to_latency());
        durations.clear();
        assert!(durations.counts.0.iter().all(|&count| count == 0));
    }

    #[test]
    fn a_cleared_histogram_equals_a_new_one() {
        let mut durations = recorded(&[5, 7]);
        durations.clear();
        durations.record(Nanoseconds(6));
        assert_eq!(durations.to_latency(), recorded(&[6]).to_latency());
    }
}
