//! `--validate`: the expected content of each block, and the requests that use it.
//!
//! A block that this run wrote must contain its last write; one that it has not written, any intact
//! block that belongs there. A read during a write of the same block may return parts of both, and
//! two concurrent writes may leave parts of both: neither is a storage error, so requests to one
//! block wait for each other here. Without `--validate` none of this exists.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use anyhow::Result;
use nix::sys::uio::pread;

use super::files::TestFiles;
use super::requests::Extent;
use super::seal::{self, Damage, Generation};
use super::source::map;
use super::transfer::{TransferError, retry};
use crate::plan::FileSet;
use crate::signal;

/// State of a block: its writer or readers, and the number of this run's write that it contains, 0
/// for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State(u64);

impl State {
    const WRITER: u64 = 1 << 63;
    const READER: u64 = 1 << 48;
    const READERS: u64 = Self::WRITER - Self::READER;
    const NUMBER: u64 = Self::READER - 1;

    fn with_reader(self) -> Option<Self> {
        let full = self.0 & Self::READERS == Self::READERS;
        (self.0 & Self::WRITER == 0 && !full).then(|| Self(self.0 + Self::READER))
    }

    fn with_writer(self) -> Option<Self> {
        (self.0 & (Self::WRITER | Self::READERS) == 0).then_some(Self(self.0 | Self::WRITER))
    }

    fn number(self) -> u64 {
        self.0 & Self::NUMBER
    }
}

/// Permission to read or write the blocks of one request; must be released.
#[derive(Debug)]
#[must_use]
pub struct Claim {
    extent: Extent,
    held: Held,
}

#[derive(Debug, Clone, Copy)]
enum Held {
    Shared,
    /// With the number of the write.
    Exclusive(u64),
}

/// Expected content of every block of a set.
#[derive(Debug)]
pub struct Validator {
    set: FileSet,
    /// State of each block, in file order.
    blocks: Vec<AtomicU64>,
    /// Number of the next write.
    next: AtomicU64,
    /// Generation of write number 0, above those of all earlier runs.
    base: u64,
}

impl Validator {
    /// Creates a validator that knows nothing of the set's content. Takes 8 bytes per block.
    pub fn new(set: FileSet) -> Self {
        let blocks = set.total_size() / set.block_size;
        // Nanoseconds since 1970: no run makes more than one write per nanosecond.
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64);
        Self {
            set,
            blocks: (0..blocks).map(|_| AtomicU64::new(0)).collect(),
            next: AtomicU64::new(1),
            base: now,
        }
    }

    /// Claims the blocks of a read; `None` while one of them is being written.
    pub fn claim_read(&self, extent: Extent) -> Option<Claim> {
        self.claim(extent, State::with_reader, |block| {
            block.fetch_sub(State::READER, Ordering::Release);
        })?;
        Some(Claim {
            extent,
            held: Held::Shared,
        })
    }

    /// Claims the blocks of a write; `None` while one of them is in use.
    pub fn claim_write(&self, extent: Extent) -> Option<Claim> {
        self.claim(extent, State::with_writer, |block| {
            block.fetch_and(!State::WRITER, Ordering::Release);
        })?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Some(Claim {
            extent,
            held: Held::Exclusive(number),
        })
    }

    /// Claims all blocks or none.
    fn claim(
        &self,
        extent: Extent,
        take: impl Fn(State) -> Option<State>,
        give_back: impl Fn(&AtomicU64),
    ) -> Option<()> {
        let blocks = self.blocks_of(extent);
        for (taken, block) in blocks.iter().enumerate() {
            let claimed = block.fetch_update(Ordering::Acquire, Ordering::Relaxed, |state| {
                take(State(state)).map(|state| state.0)
            });
            if claimed.is_err() {
                blocks[..taken].iter().for_each(give_back);
                return None;
            }
        }
        Some(())
    }

    /// Seals the stamped data of a write.
    pub fn seal(&self, claim: &Claim, data: &mut [u8]) {
        if let Held::Exclusive(number) = claim.held {
            let Extent { file, offset, .. } = claim.extent;
            let generation = Generation(self.base + number);
            seal::seal_all(data, file, offset, self.block_size(), generation);
        }
    }

    /// Releases the blocks of a completed request, which must contain its data from now on.
    pub fn release(&self, claim: Claim) {
        for block in self.blocks_of(claim.extent) {
            match claim.held {
                Held::Shared => _ = block.fetch_sub(State::READER, Ordering::Release),
                Held::Exclusive(number) => block.store(number, Ordering::Release),
            }
        }
    }

    /// Compares the data of a read with the expected content of the blocks.
    pub fn check(&self, claim: &Claim, data: &[u8]) -> Result<(), Mismatch> {
        let size = self.block_size();
        let states = self.blocks_of(claim.extent).iter();
        for ((index, block), state) in data.chunks_exact(size).enumerate().zip(states) {
            let place = Extent {
                file: claim.extent.file,
                offset: claim.extent.offset + (index * size) as u64,
                len: size,
            };
            let number = State(state.load(Ordering::Relaxed)).number();
            self.check_block(block, place, number)
                .map_err(|damage| Mismatch { place, damage })?;
        }
        Ok(())
    }

    fn check_block(&self, block: &[u8], place: Extent, number: u64) -> Result<(), Damage> {
        let found = seal::open(block, place)?;
        let written = Generation(self.base + number);
        match number == 0 || found == written {
            true => Ok(()),
            false => Err(Damage::Stale { written, found }),
        }
    }

    /// Reads all blocks again that this run has written, and checks them; from the device if the
    /// kernel drops their pages.
    ///
    /// Fails at the first that does not contain its last write, and if a file cannot be read.
    pub fn verify(&self, files: &TestFiles) -> Result<()> {
        let mut data = map(self.block_size())?;
        let mut opened: Option<(u32, File)> = None;
        for place in self.written() {
            signal::go_on()?;
            let file = match opened.take() {
                Some((number, file)) if number == place.file => file,
                _ => files.open_to_verify(place.file)?,
            };
            let read = retry(|| pread(&file, &mut data, place.offset as i64));
            opened = Some((place.file, file));
            if read != Ok(place.len) {
                return Err(TransferError {
                    doing: "reading again",
                    path: files.path_of(place.file),
                    offset: place.offset,
                    len: place.len,
                    moved: read,
                }
                .into());
            }
            let number = State(self.blocks_of(place)[0].load(Ordering::Acquire)).number();
            self.check_block(&data, place, number)
                .map_err(|damage| Mismatch { place, damage }.at(files.path_of(place.file)))?;
        }
        Ok(())
    }

    /// Returns the blocks that this run has written.
    fn written(&self) -> impl Iterator<Item = Extent> {
        let a_file = self.set.file_size / self.set.block_size;
        let written = |block: &AtomicU64| State(block.load(Ordering::Acquire)).number() > 0;
        (0u64..)
            .zip(&self.blocks)
            .filter(move |(_, block)| written(block))
            .map(move |(index, _)| Extent {
                file: (index / a_file) as u32,
                offset: index % a_file * self.set.block_size,
                len: self.block_size(),
            })
    }

    fn block_size(&self) -> usize {
        self.set.block_size as usize
    }

    fn blocks_of(&self, extent: Extent) -> &[AtomicU64] {
        let first = u64::from(extent.file) * self.set.file_size + extent.offset;
        let first = (first / self.set.block_size) as usize;
        &self.blocks[first..first + extent.len / self.block_size()]
    }
}

/// A block with unexpected content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    place: Extent,
    damage: Damage,
}

impl Mismatch {
    /// Returns the file number.
    pub fn file(&self) -> u32 {
        self.place.file
    }

    /// Adds the file's path, which makes it an error to report.
    pub fn at(self, path: PathBuf) -> ValidationError {
        ValidationError {
            path,
            mismatch: self,
        }
    }
}

/// A [`Mismatch`], with the path of its file.
#[derive(Debug)]
pub struct ValidationError {
    path: PathBuf,
    mismatch: Mismatch,
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { place, damage } = self.mismatch;
        write!(
            f,
            "validation: the block of {} bytes at offset {} of {} is wrong: {damage}",
            place.len,
            place.offset,
            self.path.display()
        )
    }
}

impl std::error::Error for ValidationError {}

#[cfg(test)]
mod tests {
    use super::super::pattern;
    use super::*;
    use std::num::NonZeroU32;

    const BLOCK: usize = 512;

    fn validator() -> Validator {
        let files = NonZeroU32::new(2).unwrap();
        Validator::new(FileSet::new(8 * BLOCK as u64, files, BLOCK as u64).unwrap())
    }

    fn blocks(file: u32, first: u64, count: usize) -> Extent {
        Extent {
            file,
            offset: first * BLOCK as u64,
            len: count * BLOCK,
        }
    }

    /// Returns the data of a write by the validator.
    fn write(validator: &Validator, extent: Extent) -> Vec<u8> {
        let claim = validator.claim_write(extent).unwrap();
        let mut data = vec![0; extent.len];
        pattern::stamp(&mut data, extent.file, extent.offset, 1);
        validator.seal(&claim, &mut data);
        validator.release(claim);
        data
    }

    fn read(validator: &Validator, extent: Extent, data: &[u8]) -> Result<(), Mismatch> {
        let claim = validator.claim_read(extent).unwrap();
        let checked = validator.check(&claim, data);
        validator.release(claim);
        checked
    }

    #[test]
    fn the_last_write_is_valid_and_earlier_ones_are_stale() {
        let validator = validator();
        let place = blocks(1, 2, 2);
        let first = write(&validator, place);
        assert_eq!(read(&validator, place, &first), Ok(()));
        let second = write(&validator, place);
        assert_eq!(read(&validator, place, &second), Ok(()));
        let mismatch = read(&validator, place, &first).unwrap_err();
        assert!(matches!(mismatch.damage, Damage::Stale { .. }));
        let mixed = [&second[..BLOCK], &first[BLOCK..]].concat();
        let mismatch = read(&validator, place, &mixed).unwrap_err();
        assert_eq!(mismatch.place, blocks(1, 3, 1));
    }

    #[test]
    fn a_block_not_written_by_this_run_may_have_any_generation() {
        let (earlier, this) = (validator(), validator());
        let place = blocks(0, 0, 4);
        let data = write(&earlier, place);
        assert_eq!(read(&this, place, &data), Ok(()));
    }

    #[test]
    fn readers_share_a_block_and_a_writer_excludes_all_others() {
        let validator = validator();
        let (wide, last) = (blocks(0, 0, 4), blocks(0, 3, 1));
        let readers = [wide, last].map(|extent| validator.claim_read(extent).unwrap());
        assert!(validator.claim_write(last).is_none());
        readers
            .into_iter()
            .for_each(|claim| validator.release(claim));
        let writer = validator.claim_write(last).unwrap();
        assert!(validator.claim_read(wide).is_none());
        // The blocks before the busy one are free again.
        let first = validator.claim_write(blocks(0, 0, 3)).unwrap();
        validator.release(first);
        validator.release(writer);
        assert!(validator.claim_write(wide).is_some());
    }

    #[test]
    fn written_blocks_are_listed_in_order() {
        let validator = validator();
        for place in [blocks(1, 1, 2), blocks(0, 3, 1)] {
            write(&validator, place);
        }
        let written: Vec<Extent> = validator.written().collect();
        assert_eq!(written, [blocks(0, 3, 1), blocks(1, 1, 1), blocks(1, 2, 1)]);
    }
}
