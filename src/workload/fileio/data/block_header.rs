//! The header of a block under `--validate`, which shows whether the block is intact, in its place
//! and current.
//!
//! It follows the stamp of the block's first sector, in little-endian integers:
//!
//! | bytes  | field                                           |
//! | ------ | ----------------------------------------------- |
//! | 16..24 | a magic number                                  |
//! | 24..32 | the generation, 0 for what `prepare` wrote      |
//! | 32..40 | the block's offset in its file                  |
//! | 40..44 | the number of its file                          |
//! | 44..48 | CRC-32 (IEEE 802.3) of the rest of the block    |

use std::fmt;
use std::ops::Range;

use crate::workload::fileio::requests::Extent;

const MAGIC: [u8; 8] = *b"sealed\x00\x01";
const MAGIC_AT: Range<usize> = 16..24;
const GENERATION_AT: Range<usize> = 24..32;
const OFFSET_AT: Range<usize> = 32..40;
const FILE_AT: Range<usize> = 40..44;
const CRC_AT: Range<usize> = 44..48;

/// Generation of a block: a later write has a higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

impl Generation {
    /// Written by `prepare`.
    pub const PREPARED: Self = Self(0);
}

/// Why a block is not the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockError {
    /// It has no header.
    NoHeader,
    /// The content does not match the checksum.
    Checksum {
        /// Checksum in the header.
        stored: u32,
        /// Checksum of the content.
        computed: u32,
    },
    /// Intact, but belongs elsewhere.
    Misplaced {
        /// File that it belongs to.
        file: u32,
        /// Offset that it belongs to.
        offset: u64,
    },
    /// Intact and in its place, but not the last write.
    Stale {
        /// Generation written last.
        written: Generation,
        /// Generation found.
        found: Generation,
    },
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str(
                "no header: damaged, or written without --validate or with another block size \
                 (prepare the files again with --validate and this block size)",
            ),
            Self::Checksum { stored, computed } => write!(
                f,
                "damaged: the CRC-32 of its content is {computed:08x}, expected {stored:08x}"
            ),
            Self::Misplaced { file, offset } => write!(
                f,
                "misplaced: it is the block of offset {offset} of test_file.{file}"
            ),
            Self::Stale { written, found } => write!(
                f,
                "stale: found write {found}, expected write {written}, which was acknowledged",
                found = found.0,
                written = written.0
            ),
        }
    }
}

/// Writes the header of a stamped block of 512 bytes or more.
pub fn write(block: &mut [u8], file: u32, offset: u64, generation: Generation) {
    block[MAGIC_AT].copy_from_slice(&MAGIC);
    block[GENERATION_AT].copy_from_slice(&generation.0.to_le_bytes());
    block[OFFSET_AT].copy_from_slice(&offset.to_le_bytes());
    block[FILE_AT].copy_from_slice(&file.to_le_bytes());
    let crc = checksum(block);
    block[CRC_AT].copy_from_slice(&crc.to_le_bytes());
}

/// Writes the header of each block of a part of a file that starts at a block boundary.
pub fn write_all(
    data: &mut [u8],
    file: u32,
    offset: u64,
    block_size: usize,
    generation: Generation,
) {
    let offsets = (offset..).step_by(block_size);
    for (offset, block) in offsets.zip(data.chunks_exact_mut(block_size)) {
        write(block, file, offset, generation);
    }
}

/// Returns the generation of a block, after checking that it is intact and in its place.
pub fn check(block: &[u8], place: Extent) -> Result<Generation, BlockError> {
    if block[MAGIC_AT] != MAGIC {
        return Err(BlockError::NoHeader);
    }
    let stored = u32_at(block, CRC_AT);
    let computed = checksum(block);
    if stored != computed {
        return Err(BlockError::Checksum { stored, computed });
    }
    let (file, offset) = (u32_at(block, FILE_AT), u64_at(block, OFFSET_AT));
    if (file, offset) != (place.file, place.offset) {
        return Err(BlockError::Misplaced { file, offset });
    }
    Ok(Generation(u64_at(block, GENERATION_AT)))
}

fn checksum(block: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&block[..CRC_AT.start]);
    hasher.update(&block[CRC_AT.end..]);
    hasher.finalize()
}

fn u32_at(block: &[u8], at: Range<usize>) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&block[at]);
    u32::from_le_bytes(bytes)
}

fn u64_at(block: &[u8], at: Range<usize>) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&block[at]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::pattern;
    use super::*;
    use proptest::prelude::*;

    fn block(place: Extent, generation: u64) -> Vec<u8> {
        let mut block = vec![0; place.len];
        pattern::fill(&mut block, 7);
        pattern::stamp(&mut block, place.file, place.offset, 1);
        write(&mut block, place.file, place.offset, Generation(generation));
        block
    }

    fn place() -> impl Strategy<Value = Extent> {
        (any::<u32>(), 0u64..1 << 40, 512usize..5000).prop_map(|(file, offset, len)| Extent {
            file,
            offset,
            len,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_block_with_a_header_passes_the_check_in_its_place_and_keeps_its_stamp(
            place in place(), generation: u64
        ) {
            let block = block(place, generation);
            prop_assert_eq!(check(&block, place), Ok(Generation(generation)));
            prop_assert!(pattern::is_stamped(block[..pattern::MAGIC_LEN].try_into().unwrap()));
        }

        #[test]
        fn any_flipped_bit_is_detected(place in place(), generation: u64, at: prop::sample::Index, bit in 0..8) {
            let mut block = block(place, generation);
            let at = at.index(block.len());
            block[at] ^= 1u8 << bit;
            let found = matches!(
                check(&block, place),
                Err(BlockError::Checksum { .. } | BlockError::NoHeader)
            );
            prop_assert!(found);
        }

        #[test]
        fn a_misplaced_block_reports_where_it_belongs(home in place(), file: u32, offset: u64) {
            let elsewhere = Extent { file, offset, ..home };
            prop_assume!(elsewhere != home);
            prop_assert_eq!(
                check(&block(home, 1), elsewhere),
                Err(BlockError::Misplaced { file: home.file, offset: home.offset })
            );
        }
    }

    #[test]
    fn the_checksum_is_crc_32_of_ieee_802_3() {
        // The check value of CRC-32/ISO-HDLC, https://reveng.sourceforge.io/crc-catalogue/
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn zeros_have_no_header() {
        let place = Extent {
            file: 0,
            offset: 0,
            len: 512,
        };
        assert_eq!(check(&[0; 512], place), Err(BlockError::NoHeader));
    }
}
