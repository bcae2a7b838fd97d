//! What is written: data that does not compress, the same on every host.
//!
//! Each sector of 512 bytes is random, but for a stamp of 16 bytes at its start: a magic
//! number, by which the tool knows its files again, and a number that no other sector of the
//! run has, so that storage which deduplicates finds no two blocks alike.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// The unit of a stamp, and of the smallest device block.
pub const SECTOR: usize = 512;

/// A unit that every device with O_DIRECT takes.
pub const PAGE: usize = 4096;

/// The first 8 bytes of a sector that this tool wrote.
const MAGIC: u64 = u64::from_le_bytes(*b"wbench\x00\x01");

/// The seed of all data.
const SEED: u64 = 0x5eed_0f77_be9c_0001;

/// The least random data that a thread writes from: more than the window of the compressors of
/// file systems (zstd on a ZFS record of at most 1 MiB), so that they find no repetition.
const POOL: usize = 1 << 20;

/// Fills memory with random bytes of a stream: the same for the same stream, on every host.
pub fn fill(bytes: &mut [u8], stream: u64) {
    // SplitMix64 spreads neighbouring seeds, so that streams have nothing in common
    // (`seed_from_u64`'s documentation); the generator's words are little-endian everywhere.
    Xoshiro256PlusPlus::seed_from_u64(SEED ^ stream).fill_bytes(bytes);
}

/// The bytes by which a file of this tool is known.
pub const MARK: usize = 8;

/// Puts a stamp on each sector of a part of a file, counted from the part's start.
#[inline]
pub fn stamp(bytes: &mut [u8], file: u32, offset: u64, serial: u64) {
    let unique = (u64::from(file) << 40) ^ serial.rotate_left(20);
    let places = offset / SECTOR as u64..;
    for (place, sector) in places.zip(bytes.chunks_mut(SECTOR)) {
        let mark = MAGIC.to_le_bytes().into_iter();
        let number = (unique ^ place).to_le_bytes();
        // A sector cut short at the end of the part takes what there is room for.
        sector
            .iter_mut()
            .zip(mark.chain(number))
            .for_each(|(to, from)| *to = from);
    }
}

/// A file that begins so was written by this tool.
pub fn is_stamped(start: &[u8; MARK]) -> bool {
    *start == MAGIC.to_le_bytes()
}

/// Whether these bytes, [`MARK`] of them or those up to the end of a file, are a stamp's first.
pub fn begins_stamp(bytes: &[u8]) -> bool {
    MAGIC.to_le_bytes().starts_with(bytes)
}

/// How much random data to hold for requests of this size: whole requests.
pub fn pool_size(request: usize) -> usize {
    POOL.next_multiple_of(request.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stamped_data_is_known_again(file: u32, block in 0u64..1 << 40, len in 16usize..4096, serial: u64) {
            let mut data = vec![0; len];
            fill(&mut data, 1);
            stamp(&mut data, file, block * 512, serial);
            prop_assert!(is_stamped(data[..MARK].try_into().unwrap()));
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
    fn data_of_two_streams_has_nothing_in_common() {
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
    fn no_two_sectors_of_a_pool_are_alike_and_each_byte_value_is_as_frequent() {
        let mut data = vec![0; POOL];
        fill(&mut data, 3);
        let mut counts = [0u32; 256];
        data.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        // 4096 of each on average, 64 the deviation.
        assert!(
            counts.iter().all(|n| n.abs_diff(4096) < 6 * 64),
            "{counts:?}"
        );
    }
}
