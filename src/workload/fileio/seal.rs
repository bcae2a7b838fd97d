//! The seal of a block, which shows whether the block is intact, in its place and current.
//!
//! It follows the stamp of the block's first sector, in little-endian integers:
//!
//! | bytes  | what                                            |
//! | ------ | ----------------------------------------------- |
//! | 16..24 | a magic number                                  |
//! | 24..32 | the generation, 0 for what `prepare` wrote      |
//! | 32..40 | the block's offset in its file                  |
//! | 40..44 | the number of its file                          |
//! | 44..48 | CRC-32 (IEEE 802.3) of the rest of the block    |

use std::fmt;
use std::ops::Range;

use super::requests::Extent;

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

/// What is wrong with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// It has no seal.
    Unsealed,
    /// The content does not match the seal.
    Checksum {
        /// Checksum in the seal.
        sealed: u32,
        /// Checksum of the content.
        found: u32,
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

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsealed => f.write_str(
                "it has no seal: it was damaged, or written without --validate or with another \
                 block size (prepare the files anew, with --validate)",
            ),
            Self::Checksum { sealed, found } => write!(
                f,
                "it was damaged: the CRC-32 of its content is {found:08x}, and was {sealed:08x}"
            ),
            Self::Misplaced { file, offset } => write!(
                f,
                "it is the block that belongs to offset {offset} of test_file.{file}"
            ),
            Self::Stale { written, found } => write!(
                f,
                "it is stale: write {} of it was acknowledged, and write {} is there",
                written.0, found.0
            ),
        }
    }
}

/// Seals a stamped block of 512 bytes or more.
pub fn seal(block: &mut [u8], file: u32, offset: u64, generation: Generation) {
    block[MAGIC_AT].copy_from_slice(&MAGIC);
    block[GENERATION_AT].copy_from_slice(&generation.0.to_le_bytes());
    block[OFFSET_AT].copy_from_slice(&offset.to_le_bytes());
    block[FILE_AT].copy_from_slice(&file.to_le_bytes());
    let crc = checksum(block);
    block[CRC_AT].copy_from_slice(&crc.to_le_bytes());
}

/// Seals each block of a part of a file that starts at a block boundary.
pub fn seal_all(
    data: &mut [u8],
    file: u32,
    offset: u64,
    block_size: usize,
    generation: Generation,
) {
    let offsets = (offset..).step_by(block_size);
    for (offset, block) in offsets.zip(data.chunks_exact_mut(block_size)) {
        seal(block, file, offset, generation);
    }
}

/// Returns the generation of a block that is intact and in its place.
pub fn open(block: &[u8], place: Extent) -> Result<Generation, Damage> {
    if block[MAGIC_AT] != MAGIC {
        return Err(Damage::Unsealed);
    }
    let sealed = u32_at(block, CRC_AT);
    let found = checksum(block);
    if sealed != found {
        return Err(Damage::Checksum { sealed, found });
    }
    let (file, offset) = (u32_at(block, FILE_AT), u64_at(block, OFFSET_AT));
    if (file, offset) != (place.file, place.offset) {
        return Err(Damage::Misplaced { file, offset });
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

    fn sealed(place: Extent, generation: u64) -> Vec<u8> {
        let mut block = vec![0; place.len];
        pattern::fill(&mut block, 7);
        pattern::stamp(&mut block, place.file, place.offset, 1);
        seal(&mut block, place.file, place.offset, Generation(generation));
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
        fn a_sealed_block_opens_in_its_place_with_its_generation_and_keeps_its_stamp(
            place in place(), generation: u64
        ) {
            let block = sealed(place, generation);
            prop_assert_eq!(open(&block, place), Ok(Generation(generation)));
            prop_assert!(pattern::is_stamped(block[..pattern::MARK].try_into().unwrap()));
        }

        #[test]
        fn any_flipped_bit_is_detected(place in place(), generation: u64, at: prop::sample::Index, bit in 0..8) {
            let mut block = sealed(place, generation);
            let at = at.index(block.len());
            block[at] ^= 1u8 << bit;
            let found = matches!(
                open(&block, place),
                Err(Damage::Checksum { .. } | Damage::Unsealed)
            );
            prop_assert!(found);
        }

        #[test]
        fn a_misplaced_block_reports_where_it_belongs(home in place(), file: u32, offset: u64) {
            let elsewhere = Extent { file, offset, ..home };
            prop_assume!(elsewhere != home);
            prop_assert_eq!(
                open(&sealed(home, 1), elsewhere),
                Err(Damage::Misplaced { file: home.file, offset: home.offset })
            );
        }
    }

    #[test]
    fn the_checksum_is_crc_32_of_ieee_802_3() {
        // The check value of CRC-32/ISO-HDLC, https://reveng.sourceforge.io/crc-catalogue/
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn zeros_and_data_without_a_seal_are_unsealed() {
        let place = Extent {
            file: 0,
            offset: 0,
            len: 512,
        };
        assert_eq!(open(&[0; 512], place), Err(Damage::Unsealed));
    }
}
