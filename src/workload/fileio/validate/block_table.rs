//! The blocks of a set: who uses each, and the write that it contains.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::FileSet;
use crate::workload::fileio::requests::Extent;

/// Number of a write of this run, from 1; 0 for what the block contained before.
pub(super) type WriteNumber = u64;

/// State of a block: whether it is locked for a write, the number of its readers, and its last
/// write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BlockState(u64);

impl BlockState {
    const WRITER: u64 = 1 << 63;
    const READER: u64 = 1 << 48;
    const READERS: u64 = Self::WRITER - Self::READER;
    const LAST_WRITE: u64 = Self::READER - 1;

    fn with_reader(self) -> Option<Self> {
        let full = self.0 & Self::READERS == Self::READERS;
        (self.0 & Self::WRITER == 0 && !full).then(|| Self(self.0 + Self::READER))
    }

    fn with_writer(self) -> Option<Self> {
        (self.0 & (Self::WRITER | Self::READERS) == 0).then_some(Self(self.0 | Self::WRITER))
    }

    fn last_write(self) -> WriteNumber {
        self.0 & Self::LAST_WRITE
    }
}

/// State of every block of a set.
#[derive(Debug)]
pub(super) struct BlockTable {
    set: FileSet,
    /// In file order.
    states: Vec<AtomicU64>,
}

impl BlockTable {
    /// Creates a table without writes, of 8 bytes per block.
    pub fn new(set: FileSet) -> Self {
        let blocks = set.total_size() / set.block_size;
        Self {
            set,
            states: (0..blocks).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Locks the blocks of an extent for a read, all or none; returns whether they are locked.
    pub fn try_lock_shared(&self, extent: Extent) -> bool {
        self.try_lock(extent, BlockState::with_reader, |state| {
            state.fetch_sub(BlockState::READER, Ordering::Release);
        })
    }

    /// Locks the blocks of an extent for a write, all or none; returns whether they are locked.
    pub fn try_lock_exclusive(&self, extent: Extent) -> bool {
        self.try_lock(extent, BlockState::with_writer, |state| {
            state.fetch_and(!BlockState::WRITER, Ordering::Release);
        })
    }

    fn try_lock(
        &self,
        extent: Extent,
        lock: impl Fn(BlockState) -> Option<BlockState>,
        unlock: impl Fn(&AtomicU64),
    ) -> bool {
        let states = self.states_of(extent);
        for (locked, state) in states.iter().enumerate() {
            let result = state.fetch_update(Ordering::Acquire, Ordering::Relaxed, |state| {
                lock(BlockState(state)).map(|state| state.0)
            });
            if result.is_err() {
                states[..locked].iter().for_each(unlock);
                return false;
            }
        }
        true
    }

    /// Unlocks blocks after a read.
    pub fn unlock_shared(&self, extent: Extent) {
        for state in self.states_of(extent) {
            state.fetch_sub(BlockState::READER, Ordering::Release);
        }
    }

    /// Unlocks blocks after a write, which they contain from now on.
    pub fn unlock_exclusive(&self, extent: Extent, write: WriteNumber) {
        for state in self.states_of(extent) {
            state.store(write, Ordering::Release);
        }
    }

    /// Returns the blocks of an extent, with the last write of each.
    pub fn last_writes(&self, extent: Extent) -> impl Iterator<Item = (Extent, WriteNumber)> {
        let offsets = (extent.offset..).step_by(self.block_size());
        self.states_of(extent)
            .iter()
            .zip(offsets)
            .map(move |(state, offset)| {
                let block = self.block_at(extent.file, offset);
                (block, last_write(state))
            })
    }

    /// Returns the blocks that this run has written, in file order, with the last write of each.
    pub fn written(&self) -> impl Iterator<Item = (Extent, WriteNumber)> {
        let blocks_per_file = self.set.file_size / self.set.block_size;
        (0u64..)
            .zip(&self.states)
            .map(move |(index, state)| {
                let offset = index % blocks_per_file * self.set.block_size;
                let block = self.block_at((index / blocks_per_file) as u32, offset);
                (block, last_write(state))
            })
            .filter(|(_, write)| *write > 0)
    }

    /// Returns the size of a block in bytes.
    pub fn block_size(&self) -> usize {
        self.set.block_size as usize
    }

    fn block_at(&self, file: u32, offset: u64) -> Extent {
        Extent {
            file,
            offset,
            len: self.block_size(),
        }
    }

    fn states_of(&self, extent: Extent) -> &[AtomicU64] {
        let first = u64::from(extent.file) * self.set.file_size + extent.offset;
        let first = (first / self.set.block_size) as usize;
        &self.states[first..first + extent.len / self.block_size()]
    }
}

fn last_write(state: &AtomicU64) -> WriteNumber {
    BlockState(state.load(Ordering::Acquire)).last_write()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    const BLOCK: usize = 512;

    /// Creates the table of two files of 4 blocks.
    fn table() -> BlockTable {
        let files = NonZeroU32::new(2).unwrap();
        BlockTable::new(FileSet::new(8 * BLOCK as u64, files, BLOCK as u64).unwrap())
    }

    fn blocks(file: u32, first: u64, count: usize) -> Extent {
        Extent {
            file,
            offset: first * BLOCK as u64,
            len: count * BLOCK,
        }
    }

    #[test]
    fn readers_share_a_block_and_a_writer_excludes_all_others() {
        let table = table();
        let (wide, last) = (blocks(0, 0, 4), blocks(0, 3, 1));
        assert!(table.try_lock_shared(wide) && table.try_lock_shared(last));
        assert!(!table.try_lock_exclusive(last));
        table.unlock_shared(wide);
        assert!(!table.try_lock_exclusive(last));
        table.unlock_shared(last);
        assert!(table.try_lock_exclusive(last));
        assert!(!table.try_lock_shared(wide));
        // The blocks before the locked one are free again.
        assert!(table.try_lock_exclusive(blocks(0, 0, 3)));
        table.unlock_exclusive(blocks(0, 0, 3), 1);
        table.unlock_exclusive(last, 2);
        assert!(table.try_lock_exclusive(wide));
    }

    #[test]
    fn written_blocks_are_listed_in_file_order_with_their_last_write() {
        let table = table();
        for (number, extent) in (1..).zip([blocks(1, 1, 2), blocks(0, 3, 1), blocks(1, 2, 1)]) {
            assert!(table.try_lock_exclusive(extent));
            table.unlock_exclusive(extent, number);
        }
        let written: Vec<_> = table.written().collect();
        let expected = [
            (blocks(0, 3, 1), 2),
            (blocks(1, 1, 1), 1),
            (blocks(1, 2, 1), 3),
        ];
        assert_eq!(written, expected);
        let file: Vec<_> = table.last_writes(blocks(1, 0, 4)).collect();
        assert_eq!(file.len(), 4);
        assert_eq!(file[1..3], expected[1..]);
        assert_eq!(file[0], (blocks(1, 0, 1), 0));
    }
}
