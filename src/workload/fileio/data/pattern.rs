//! The data written: incompressible, and the same on every host.
//!
//! Each sector of 512 bytes is random except for a 16-byte stamp at its start: a magic number, by
//! which wbench recognizes its files, and a number that no other sector of the run has, so that
//! deduplicating storage finds no two equal blocks.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// Unit of a stamp, and the smallest device block, in bytes.
pub const SECTOR: usize = 512;

/// Unit in bytes that every device with O_DIRECT accepts.
pub const PAGE: usize = 4096;

/// The first 8 bytes of a sector that wbench wrote.
const MAGIC: u64 = u64::from_le_bytes(*b"wbench\x00\x01");

/// The seed of all data.
const SEED: u64 = 0x5eed_0f77_be9c_0001;

/// Minimum size of a thread's write buffer, in bytes: more than the window of file system
/// compressors (zstd on a ZFS record of at most 1 MiB), so that they find no repetition.
const MIN_BUFFER: usize = 1 << 20;

/// Fills memory with the random bytes of a stream, which are the same on every host.
pub fn fill(bytes: &mut [u8], stream: u64) {
    // SplitMix64 separates adjacent seeds, so that streams are unrelated (documentation of
    // `seed_from_u64`); the generator's words are little-endian everywhere.
    Xoshiro256PlusPlus::seed_from_u64(SEED ^ stream).fill_bytes(bytes);
}

/// Length of the magic number in bytes.
pub const MAGIC_LEN: usize = 8;

/// Stamps each sector of a part of a file, counted from the part's start.
///
/// A part shorter than the magic number gets the bytes that belong to its offset, so that such parts
/// together begin a file with the magic number too.
#[inline]
pub fn stamp(bytes: &mut [u8], file: u32, offset: u64, serial: u64) {
    if bytes.len() < MAGIC_LEN {
        let magic = MAGIC.to_le_bytes().into_iter().cycle();
        let at_offset = magic.skip((offset % MAGIC_LEN as u64) as usize);
        bytes
            .iter_mut()
            .zip(at_offset)
            .for_each(|(to, from)| *to = from);
        return;
    }
    let unique = (u64::from(file) << 40) ^ serial.rotate_left(20);
    let places = offset / SECTOR as u64..;
    for (place, sector) in places.zip(bytes.chunks_mut(SECTOR)) {
        let magic = MAGIC.to_le_bytes().into_iter();
        let number = (unique ^ place).to_le_bytes();
        // A sector cut short at the end of the part gets what fits.
        sector
            .iter_mut()
            .zip(magic.chain(number))
            .for_each(|(to, from)| *to = from);
    }
}

/// Returns whether a sector that begins like this has a stamp.
pub fn is_stamped(start: &[u8; MAGIC_LEN]) -> bool {
    *start == MAGIC.to_le_bytes()
}

/// Returns whether these bytes, [`MAGIC_LEN`] or fewer at the end of a file, begin a stamp.
pub fn begins_stamp(bytes: &[u8]) -> bool {
    MAGIC.to_le_bytes().starts_with(bytes)
}

/// Returns the size of a write buffer for requests of this size: whole requests.
pub fn buffer_size(request: usize) -> usize {
    MIN_BUFFER.next_multiple_of(request.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stamped_data_is_recognized(file: u32, block in 0u64..1 << 40, len in 16usize..4096, serial: u64) {
            let mut data = vec![0; len];
            fill(&mut data, 1);
            stamp(&mut data, file, block * 512, serial);
            prop_assert!(is_stamped(data[..MAGIC_LEN].try_into().unwrap()));
        }
    }

    #[test]
    fn parts_of_any_size_begin_a_file_with_the_magic_number() {
        for size in 1..40 {
            let mut data = [0; 64];
            for (part, offset) in data.chunks_mut(size).zip((0..).step_by(size)) {
                stamp(part, 2, offset, 9);
            }
            assert!(is_stamped(data[..MAGIC_LEN].try_into().unwrap()), "{size}");
        }
    }

    #[test]
    fn the_data_is_the_same_on_every_host() {
        let mut data = [0; 16];
        fill(&mut data, 0);
        let known = [
            84, 121, 180, 166, 218, 166, 68, 254, 4, 207, 97, 121, 210, 242, 80, 70,
        ];
        assert_eq!(data, known);
    }

    #[test]
    fn two_streams_share_no_data() {
        let (mut one, mut other) = ([0; 4096], [0; 4096]);
        fill(&mut one, 1);
        fill(&mut other, 2);
        let alike = one
            .chunks(8)
            .filter(|word| other.chunks(8).any(|o| o == *word))
            .count();
        assert_eq!(alike, 0);
    }

    #[test]
    fn all_byte_values_of_random_data_are_equally_frequent() {
        let mut data = vec![0; MIN_BUFFER];
        fill(&mut data, 3);
        let mut counts = [0u32; 256];
        data.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        // 4096 of each on average, with a standard deviation of 64.
        assert!(
            counts.iter().all(|n| n.abs_diff(4096) < 6 * 64),
            "{counts:?}"
        );
    }
}
