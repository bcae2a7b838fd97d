//! Merges the histograms of several runs.
//!
//! Reads HdrHistograms in the V2 encoding with DEFLATE, as in result files: base64 of a cookie, a
//! length and a zlib stream of a header and counts; see HdrHistogram's `EncodableHistogram` and
//! <https://github.com/HdrHistogram/HdrHistogram>. Only nonzero counts are kept, and no memory is
//! allocated for what a header merely claims: no file takes more than a histogram of all buckets.

use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::ZlibDecoder;
use serde::Serialize;

use super::metric::Percentile;

const COMPRESSED_COOKIE: u32 = 0x1c84_9314;
const COOKIE: u32 = 0x1c84_9313;

/// Significant digits of the supported histograms.
const DIGITS: u32 = 3;

/// Buckets of the first width at this number of digits; each doubling of the range adds half as
/// many.
const SUB_BUCKETS: u64 = 2048;

/// Number of buckets up to `u64::MAX`.
const BUCKETS: usize = (SUB_BUCKETS / 2 * (64 - SUB_BUCKETS.ilog2() as u64 + 1)) as usize;

/// Maximum length of the encoded counts in bytes: each count takes at most 9.
const LONGEST_PAYLOAD: u64 = 9 * BUCKETS as u64;

/// Points of a curve per decade of the share above.
const POINTS_PER_DECADE: i32 = 8;

/// Distribution of the durations of all events in several runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Merged {
    /// Number of runs merged.
    pub runs: usize,
    /// Number of events merged.
    pub events: u64,
    /// Percentiles in nanoseconds, to 3 digits, in the order of [`Percentile::ALL`].
    pub percentiles_ns: [u64; Percentile::ALL.len()],
    /// (Percent, nanoseconds), ascending, evenly spaced in the logarithm of the share above.
    #[serde(skip)]
    pub curve: Vec<(f64, u64)>,
}

impl Merged {
    /// The value of a percentile in nanoseconds.
    pub fn at(&self, percentile: Percentile) -> u64 {
        self.percentiles_ns[percentile as usize]
    }
}

/// Counts by bucket, from the shortest duration.
#[derive(Debug, Clone, Default)]
pub struct Merger {
    counts: Vec<u64>,
    runs: usize,
    events: u64,
}

impl Merger {
    /// Adds a histogram from a result file; adds nothing if it cannot be decoded.
    pub fn add(&mut self, encoded: &str) -> Result<()> {
        let buckets = decode(encoded)?;
        let Some(&(last, _)) = buckets.last() else {
            return Ok(());
        };
        let events = buckets
            .iter()
            .try_fold(self.events, |sum, &(_, n)| sum.checked_add(n));
        self.events = events.context("more events than can be counted")?;
        if self.counts.len() <= last {
            self.counts.resize(last + 1, 0);
        }
        for (bucket, count) in buckets {
            // Cannot overflow: no bucket's count exceeds the sum of all, which is checked above.
            self.counts[bucket] += count;
        }
        self.runs += 1;
        Ok(())
    }

    /// The merged distribution, with durations capped at `max_ns`; `None` without events.
    pub fn finish(self, max_ns: u64) -> Option<Merged> {
        if self.events == 0 {
            return None;
        }
        // Shares ascend, so that one pass over the buckets finds all.
        let decades = (self.events as f64).log10().max(1.0);
        let curve_shares = (0..=(decades * f64::from(POINTS_PER_DECADE)) as i32)
            .map(|i| 100.0 * (1.0 - 10f64.powf(-f64::from(i) / f64::from(POINTS_PER_DECADE))));
        let values = |shares: &[f64]| self.at_ascending(shares, max_ns);
        let shares: Vec<f64> = curve_shares.chain([100.0]).collect();
        let curve = shares.iter().copied().zip(values(&shares)).collect();
        let percentiles = values(&Percentile::ALL.map(Percentile::percent));
        Some(Merged {
            runs: self.runs,
            events: self.events,
            percentiles_ns: percentiles.try_into().expect("one value for each share"),
            curve,
        })
    }

    /// The durations not exceeded by each of these ascending shares (0 to 100) of all events.
    fn at_ascending(&self, shares: &[f64], max_ns: u64) -> Vec<u64> {
        let mut buckets = self.counts.iter().enumerate();
        let (mut bucket, mut upto) = (0, 0);
        let rank = |share: f64| ((share / 100.0 * self.events as f64).ceil() as u64).max(1);
        shares
            .iter()
            .map(|&share| {
                while upto < rank(share).min(self.events) {
                    let Some((next, count)) = buckets.next() else {
                        break;
                    };
                    (bucket, upto) = (next, upto + count);
                }
                highest(bucket).min(max_ns)
            })
            .collect()
    }
}

/// The longest duration that a bucket counts.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let width = (bucket / (SUB_BUCKETS / 2)).saturating_sub(1);
    let lowest = (bucket - width * (SUB_BUCKETS / 2)) << width;
    lowest + ((1 << width) - 1)
}

/// Fails if a histogram in a result file cannot be decoded, or claims more than it can contain.
pub fn check(encoded: &str) -> Result<()> {
    decode(encoded).map(drop)
}

/// Nonempty buckets with their counts, ascending.
fn decode(encoded: &str) -> Result<Vec<(usize, u64)>> {
    let bytes = BASE64
        .decode(encoded)
        .context("the histogram is not base64")?;
    let mut outer = Cursor::new(&bytes);
    let cookie = u32_of(&mut outer).context("the histogram is cut short")?;
    ensure!(
        cookie == COMPRESSED_COOKIE,
        "the histogram is not in the encoding V2 with DEFLATE"
    );
    u32_of(&mut outer).context("the histogram is cut short")?;
    let inflated = &mut ZlibDecoder::new(outer);
    counts(inflated).context("the histogram can't be decoded")
}

fn counts(reader: &mut impl Read) -> Result<Vec<(usize, u64)>> {
    ensure!(u32_of(reader)? == COOKIE, "invalid histogram header");
    let length = u32_of(reader)?;
    ensure!(u32_of(reader)? == 0, "it is shifted");
    let digits = u32_of(reader)?;
    ensure!(
        digits == DIGITS,
        "it has {digits} digits, {DIGITS} are read"
    );
    ensure!(u64_of(reader)? == 1, "its unit is not 1 ns");
    u64_of(reader)?;
    ensure!(
        f64::from_bits(u64_of(reader)?) == 1.0,
        "its values are scaled"
    );
    let length = u64::from(length);
    ensure!(
        length <= LONGEST_PAYLOAD,
        "it claims {length} bytes of counts; at most {LONGEST_PAYLOAD} are possible"
    );
    let mut payload = Vec::new();
    reader.take(length).read_to_end(&mut payload)?;
    ensure!(
        payload.len() as u64 == length,
        "it claims {length} bytes of counts and contains {}",
        payload.len()
    );
    let mut payload = payload.into_iter();
    let mut buckets = Vec::new();
    let (mut bucket, mut events) = (0usize, 0u64);
    while let Some(first) = payload.next() {
        let number = zigzag_leb128(first, &mut payload)?;
        if let Ok(zeros) = usize::try_from(number.unsigned_abs())
            && number < 0
        {
            bucket = bucket.saturating_add(zeros);
            continue;
        }
        ensure!(bucket < BUCKETS, "it has more buckets than there are");
        if number > 0 {
            let count = number.unsigned_abs();
            events = events
                .checked_add(count)
                .context("it has more events than can be counted")?;
            buckets.push((bucket, count));
        }
        bucket += 1;
    }
    Ok(buckets)
}

/// Reads a signed number in zigzag LEB128: at most 9 bytes, with 8 bits in the ninth.
fn zigzag_leb128(first: u8, rest: &mut impl Iterator<Item = u8>) -> Result<i64> {
    let (mut number, mut shift, mut byte) = (0u64, 0, first);
    loop {
        if shift == 56 {
            number |= u64::from(byte) << shift;
            break;
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
        match rest.next() {
            Some(next) => byte = next,
            None => bail!("a count is cut short"),
        }
    }
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}

fn u32_of(reader: &mut impl Read) -> std::io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn u64_of(reader: &mut impl Read) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
    use proptest::prelude::*;

    const DAY: u64 = 24 * 3600 * 1_000_000_000;

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, DAY, 3).unwrap();
        values
            .iter()
            .for_each(|value| histogram.record(*value).unwrap());
        histogram
    }

    fn encoded(histogram: &Histogram<u64>) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(histogram, &mut bytes)
            .unwrap();
        BASE64.encode(bytes)
    }

    fn durations() -> impl Strategy<Value = Vec<u64>> {
        let of_any_size = (0u32..46, any::<u64>()).prop_map(|(bits, n)| (n % (1 << bits)).min(DAY));
        proptest::collection::vec(of_any_size, 1..200)
    }

    proptest! {
        #[test]
        fn merged_percentiles_equal_those_of_one_histogram_of_all_durations(
            a in durations(), b in durations()
        ) {
            let mut merger = Merger::default();
            merger.add(&encoded(&histogram(&a))).unwrap();
            merger.add(&encoded(&histogram(&b))).unwrap();
            let all = histogram(&[a, b].concat());
            let merged = merger.finish(u64::MAX).unwrap();
            prop_assert_eq!((merged.runs, merged.events), (2, all.len()));
            for percentile in Percentile::ALL {
                let expected = all.value_at_percentile(percentile.percent());
                prop_assert_eq!(merged.at(percentile), expected);
            }
            prop_assert!(merged.curve.is_sorted());
            prop_assert_eq!(merged.curve.last().unwrap().1, all.max());
        }

        #[test]
        fn corrupt_histograms_never_cause_a_panic(
            values in durations(), at in any::<prop::sample::Index>(), byte: u8,
        ) {
            let mut bytes = BASE64.decode(encoded(&histogram(&values))).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Merger::default().add(&BASE64.encode(&bytes));
            let _ = Merger::default().add(&BASE64.encode(&bytes[..at]));
        }
    }

    #[test]
    fn a_header_that_claims_more_than_is_present_or_possible_is_an_error() {
        let refused = |claimed: u32, contained: usize| {
            let mut histogram = Vec::new();
            for field in [COOKIE, claimed, 0, DIGITS] {
                histogram.extend(field.to_be_bytes());
            }
            for field in [1, u64::MAX, 1f64.to_bits()] {
                histogram.extend(field.to_be_bytes());
            }
            histogram.extend(vec![0x03; contained]);
            counts(&mut histogram.as_slice()).unwrap_err().to_string()
        };
        assert!(refused(u32::MAX, 10).starts_with("it claims 4294967295 bytes of counts; at most"));
        let cut = "it claims 11 bytes of counts and contains 10";
        assert_eq!(refused(11, 10), cut);
    }
}
