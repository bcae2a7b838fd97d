//! `--validate`: the expected content of each block.
//!
//! A block that this run wrote must contain its last write; one that it has not written, any intact
//! block that belongs there. A read during a write of the same block may return parts of both, and
//! two concurrent writes may leave parts of both: neither is a storage error, so requests to one
//! block wait for each other. Without `--validate` there is no validator.

mod block_table;
mod error;

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use anyhow::Result;
use nix::sys::uio::pread;

use super::data::block_header::{self, BlockError, Generation};
use super::data::buffer;
use super::files::TestFiles;
use super::requests::Extent;
use super::transfer::{TransferError, retry};
use crate::plan::FileSet;
use crate::signal;

pub use error::{Mismatch, ValidationError};

use block_table::{BlockTable, WriteNumber};

/// A lock on the blocks of one request; must be returned to [`Validator::unlock`].
#[derive(Debug)]
#[must_use]
pub struct BlockLock {
    extent: Extent,
    /// The write that locks them; `None` for a read.
    write: Option<WriteNumber>,
}

/// Expected content of every block of a set.
#[derive(Debug)]
pub struct Validator {
    blocks: BlockTable,
    next_write: AtomicU64,
    /// Generation of write number 0, above those of all earlier runs.
    base: u64,
}

impl Validator {
    /// Creates a validator that knows nothing of the set's content. Takes 8 bytes per block.
    pub fn new(set: FileSet) -> Self {
        // Nanoseconds since 1970: no run makes more than one write per nanosecond.
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64);
        Self {
            blocks: BlockTable::new(set),
            next_write: AtomicU64::new(1),
            base: now,
        }
    }

    /// Locks the blocks of a read; `None` while one of them is being written.
    pub fn try_lock_for_read(&self, extent: Extent) -> Option<BlockLock> {
        let locked = self.blocks.try_lock_shared(extent);
        locked.then_some(BlockLock {
            extent,
            write: None,
        })
    }

    /// Locks the blocks of a write; `None` while one of them is in use.
    pub fn try_lock_for_write(&self, extent: Extent) -> Option<BlockLock> {
        let locked = self.blocks.try_lock_exclusive(extent);
        locked.then(|| BlockLock {
            extent,
            write: Some(self.next_write.fetch_add(1, Ordering::Relaxed)),
        })
    }

    /// Writes the block headers of the stamped data of a write.
    pub fn write_headers(&self, lock: &BlockLock, data: &mut [u8]) {
        if let Some(write) = lock.write {
            let Extent { file, offset, .. } = lock.extent;
            let generation = self.generation(write);
            block_header::write_all(data, file, offset, self.blocks.block_size(), generation);
        }
    }

    /// Unlocks the blocks of a completed request; those of a write must contain its data from now
    /// on.
    pub fn unlock(&self, lock: BlockLock) {
        match lock.write {
            None => self.blocks.unlock_shared(lock.extent),
            Some(write) => self.blocks.unlock_exclusive(lock.extent, write),
        }
    }

    /// Compares the data of a read with the expected content of the locked blocks.
    pub fn check(&self, lock: &BlockLock, data: &[u8]) -> Result<(), Mismatch> {
        let blocks = self.blocks.last_writes(lock.extent);
        data.chunks_exact(self.blocks.block_size())
            .zip(blocks)
            .try_for_each(|(data, (block, last_write))| self.check_block(data, block, last_write))
    }

    fn check_block(
        &self,
        data: &[u8],
        block: Extent,
        last_write: WriteNumber,
    ) -> Result<(), Mismatch> {
        let mismatch = |error| Mismatch { block, error };
        let found = block_header::check(data, block).map_err(mismatch)?;
        let written = self.generation(last_write);
        match last_write == 0 || found == written {
            true => Ok(()),
            false => Err(mismatch(BlockError::Stale { written, found })),
        }
    }

    /// Reads all blocks again that this run has written, and checks them; from the device if the
    /// kernel drops their pages.
    ///
    /// Fails at the first that does not contain its last write, and if a file cannot be read.
    pub fn verify(&self, files: &TestFiles) -> Result<()> {
        let mut data = buffer::map(self.blocks.block_size())?;
        let mut opened: Option<(u32, File)> = None;
        for (block, last_write) in self.blocks.written() {
            signal::go_on()?;
            let file = match opened.take() {
                Some((number, file)) if number == block.file => file,
                _ => files.open_uncached(block.file)?,
            };
            let moved = retry(|| pread(&file, &mut data, block.offset as i64));
            opened = Some((block.file, file));
            if moved != Ok(block.len) {
                return Err(TransferError {
                    doing: "reading again",
                    path: files.path_of(block.file),
                    offset: block.offset,
                    len: block.len,
                    moved,
                }
                .into());
            }
            self.check_block(&data, block, last_write)
                .map_err(|mismatch| mismatch.in_file(files.path_of(block.file)))?;
        }
        Ok(())
    }

    fn generation(&self, write: WriteNumber) -> Generation {
        Generation(self.base + write)
    }
}

#[cfg(test)]
mod tests {
    use super::super::data::pattern;
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

    /// Returns the data of a write.
    fn write(validator: &Validator, extent: Extent) -> Vec<u8> {
        let lock = validator.try_lock_for_write(extent).unwrap();
        let mut data = vec![0; extent.len];
        pattern::stamp(&mut data, extent.file, extent.offset, 1);
        validator.write_headers(&lock, &mut data);
        validator.unlock(lock);
        data
    }

    fn read(validator: &Validator, extent: Extent, data: &[u8]) -> Result<(), Mismatch> {
        let lock = validator.try_lock_for_read(extent).unwrap();
        let checked = validator.check(&lock, data);
        validator.unlock(lock);
        checked
    }

    #[test]
    fn the_last_write_is_valid_and_earlier_ones_are_stale() {
        let validator = validator();
        let extent = blocks(1, 2, 2);
        let first = write(&validator, extent);
        assert_eq!(read(&validator, extent, &first), Ok(()));
        let second = write(&validator, extent);
        assert_eq!(read(&validator, extent, &second), Ok(()));
        let mismatch = read(&validator, extent, &first).unwrap_err();
        assert!(matches!(mismatch.error, BlockError::Stale { .. }));
        let mixed = [&second[..BLOCK], &first[BLOCK..]].concat();
        let mismatch = read(&validator, extent, &mixed).unwrap_err();
        assert_eq!(mismatch.block, blocks(1, 3, 1));
    }

    #[test]
    fn a_block_not_written_by_this_run_may_have_any_generation() {
        let (earlier, this) = (validator(), validator());
        let extent = blocks(0, 0, 4);
        let data = write(&earlier, extent);
        assert_eq!(read(&this, extent, &data), Ok(()));
    }

    #[test]
    fn a_write_waits_for_reads_and_a_read_for_the_write_of_the_same_block() {
        let validator = validator();
        let extent = blocks(0, 1, 2);
        let read = validator.try_lock_for_read(extent).unwrap();
        assert!(validator.try_lock_for_write(extent).is_none());
        validator.unlock(read);
        let write = validator.try_lock_for_write(extent).unwrap();
        assert!(validator.try_lock_for_read(extent).is_none());
        validator.unlock(write);
        assert!(validator.try_lock_for_read(extent).is_some());
    }
}
