//! The data that `prepare` writes, in pieces.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use memmap2::MmapMut;

use super::files::TestFiles;
use super::pattern;
use super::seal::{self, Generation};

/// Size of a piece in bytes: large enough for a disk to reach its full rate.
const PIECE: usize = 1 << 20;

/// Required content of the files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    /// Size of each file, in bytes.
    pub file_size: u64,
    /// Size of a piece in bytes, except for the last of a file.
    pub piece: usize,
    /// Size of the sealed blocks in bytes, under `--validate`.
    sealed: Option<usize>,
}

/// A part of a file, with its data.
#[derive(Debug)]
pub(super) struct Piece {
    /// File number.
    pub file: u32,
    /// Offset in bytes.
    pub offset: u64,
    len: usize,
    /// Page-aligned, as O_DIRECT requires.
    memory: MmapMut,
}

impl Piece {
    /// Returns the data to write.
    pub fn data(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    /// Returns the memory for reuse.
    pub fn into_memory(self) -> MmapMut {
        self.memory
    }
}

/// Files that wait to be filled, each handed out once.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    numbers: &'a [u32],
    next: AtomicUsize,
}

impl<'a> Waiting<'a> {
    /// Creates a queue of these files, in this order.
    pub fn new(numbers: &'a [u32]) -> Self {
        Self {
            numbers,
            next: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> Option<u32> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.numbers.get(next).copied()
    }
}

impl Content {
    /// Returns the required content of these files.
    pub fn of(files: &TestFiles) -> Self {
        let set = files.set();
        let block = set.block_size as usize;
        Self {
            file_size: set.file_size,
            piece: match files.validate() {
                // Whole blocks, because each is sealed as one.
                true => block * (PIECE / block).max(1),
                false => PIECE,
            },
            sealed: files.validate().then_some(block),
        }
    }

    /// Makes the pieces of the waiting files, in memory that is returned for reuse, until no file
    /// is waiting or the receiver is gone.
    pub fn make_pieces(
        self,
        waiting: &Waiting<'_>,
        reused: &mpsc::Receiver<MmapMut>,
        made: &mpsc::SyncSender<Piece>,
    ) {
        while let Some(file) = waiting.next() {
            for offset in (0..self.file_size).step_by(self.piece) {
                let Ok(mut memory) = reused.recv() else {
                    return;
                };
                let len = (self.file_size - offset).min(self.piece as u64) as usize;
                self.fill(&mut memory[..len], file, offset);
                let piece = Piece {
                    file,
                    offset,
                    len,
                    memory,
                };
                if made.send(piece).is_err() {
                    return;
                }
            }
        }
    }

    fn fill(self, data: &mut [u8], file: u32, offset: u64) {
        let stream = (u64::from(file) << 32) | (offset / self.piece as u64);
        pattern::fill(data, stream);
        pattern::stamp(data, file, offset, 0);
        if let Some(block) = self.sealed {
            seal::seal_all(data, file, offset, block, Generation::PREPARED);
        }
    }
}
