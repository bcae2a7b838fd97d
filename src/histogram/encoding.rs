//! HdrHistogram's encoding V2 with DEFLATE, in base64, as in result files.
//!
//! A cookie, a length and a zlib stream of a header and counts; see HdrHistogram's
//! `EncodableHistogram` and <https://github.com/HdrHistogram/HdrHistogram>. The library encodes.
//! Decoding is done here, because the library allocates whatever a header claims; here no file
//! takes more memory than a histogram of all buckets.

use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use super::buckets::{BucketCounts, DIGITS, MAX_LEN, MAX_NS, lowest};

const COMPRESSED_COOKIE: u32 = 0x1c84_9314;
const COOKIE: u32 = 0x1c84_9313;

/// Maximum length of the encoded counts in bytes: each count takes at most 9.
const MAX_PAYLOAD: u64 = 9 * MAX_LEN as u64;

/// Encodes counts.
pub(super) fn encode(counts: &BucketCounts) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(&to_library(counts), &mut bytes)
        .expect("a histogram can be written to memory");
    BASE64.encode(bytes)
}

fn to_library(counts: &BucketCounts) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, MAX_NS, DIGITS)
        .expect("the bounds are constants that the histogram takes");
    for (bucket, count) in counts.nonempty() {
        histogram
            .record_n(lowest(bucket), count)
            .expect("no value is beyond the bounds");
    }
    histogram
}

/// Returns the nonempty buckets of an encoded histogram with their counts, ascending. Their sum
/// fits in a `u64`.
pub fn decode(encoded: &str) -> Result<Vec<(usize, u64)>> {
    let bytes = BASE64
        .decode(encoded)
        .context("the histogram is not base64")?;
    let mut outer = Cursor::new(&bytes);
    let cookie = read_u32(&mut outer).context("the histogram is cut short")?;
    ensure!(
        cookie == COMPRESSED_COOKIE,
        "the histogram is not in the encoding V2 with DEFLATE"
    );
    read_u32(&mut outer).context("the histogram is cut short")?;
    let inflated = &mut ZlibDecoder::new(outer);
    decode_counts(inflated).context("cannot decode the histogram")
}

fn decode_counts(reader: &mut impl Read) -> Result<Vec<(usize, u64)>> {
    ensure!(read_u32(reader)? == COOKIE, "invalid histogram header");
    let length = read_u32(reader)?;
    ensure!(read_u32(reader)? == 0, "it is shifted");
    let digits = read_u32(reader)?;
    ensure!(
        digits == u32::from(DIGITS),
        "it has {digits} significant digits; expected {DIGITS}"
    );
    ensure!(read_u64(reader)? == 1, "its unit is not 1 ns");
    read_u64(reader)?;
    ensure!(
        f64::from_bits(read_u64(reader)?) == 1.0,
        "its values are scaled"
    );
    let length = u64::from(length);
    ensure!(
        length <= MAX_PAYLOAD,
        "it claims {length} bytes of counts; at most {MAX_PAYLOAD} are possible"
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
    let (mut bucket, mut total) = (0usize, 0u64);
    while let Some(first) = payload.next() {
        let number = zigzag_leb128(first, &mut payload)?;
        // A negative number is a run of empty buckets.
        if let Ok(zeros) = usize::try_from(number.unsigned_abs())
            && number < 0
        {
            bucket = bucket.saturating_add(zeros);
            continue;
        }
        ensure!(
            bucket < MAX_LEN,
            "it has more than {MAX_LEN} buckets, which cover all durations"
        );
        if number > 0 {
            let count = number.unsigned_abs();
            total = total
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

fn read_u32(reader: &mut impl Read) -> std::io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn read_u64(reader: &mut impl Read) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;
    use proptest::prelude::*;

    fn durations() -> impl Strategy<Value = Vec<u64>> {
        let of_any_size = (0u64..47).prop_flat_map(|bits| 0..1u64 << bits);
        proptest::collection::vec(of_any_size, 0..200)
    }

    fn counts(durations: &[u64]) -> BucketCounts {
        let mut counts = BucketCounts::default();
        durations.iter().for_each(|&ns| counts.record(ns));
        counts
    }

    proptest! {
        #[test]
        fn counts_equal_those_of_the_library(durations in durations()) {
            let mut library = Histogram::<u64>::new_with_bounds(1, MAX_NS, DIGITS).unwrap();
            for &ns in &durations {
                library.saturating_record(ns);
            }
            prop_assert_eq!(to_library(&counts(&durations)), library);
        }

        #[test]
        fn this_module_and_the_library_decode_the_same_counts(durations in durations()) {
            let counts = counts(&durations);
            let encoded = encode(&counts);
            prop_assert_eq!(decode(&encoded).unwrap(), counts.nonempty().collect::<Vec<_>>());
            let bytes = BASE64.decode(encoded).unwrap();
            let decoded: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
            prop_assert_eq!(decoded, to_library(&counts));
        }

        #[test]
        fn corrupt_histograms_never_cause_a_panic(
            durations in durations(), at in any::<prop::sample::Index>(), byte: u8,
        ) {
            let mut bytes = BASE64.decode(encode(&counts(&durations))).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode(&BASE64.encode(&bytes));
            let _ = decode(&BASE64.encode(&bytes[..at]));
        }
    }

    #[test]
    fn a_header_that_claims_more_than_is_present_or_possible_is_an_error() {
        let error = |claimed: u32, contained: usize| {
            let mut histogram = Vec::new();
            for field in [COOKIE, claimed, 0, u32::from(DIGITS)] {
                histogram.extend(field.to_be_bytes());
            }
            for field in [1, u64::MAX, 1f64.to_bits()] {
                histogram.extend(field.to_be_bytes());
            }
            histogram.extend(vec![0x03; contained]);
            decode_counts(&mut histogram.as_slice())
                .unwrap_err()
                .to_string()
        };
        assert!(error(u32::MAX, 10).starts_with("it claims 4294967295 bytes of counts; at most"));
        let cut = "it claims 11 bytes of counts and contains 10";
        assert_eq!(error(11, 10), cut);
    }
}
