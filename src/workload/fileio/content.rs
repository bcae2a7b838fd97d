//! What `prepare` fills files with, piece by piece.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use memmap2::MmapMut;

use super::files::TestFiles;
use super::pattern;
use super::seal::{self, Generation};

/// Bytes of a piece: large enough for a disk to show its rate.
const PIECE: usize = 1 << 20;

/// What the files are to hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    /// Bytes of each file.
    pub file_size: u64,
    /// Bytes of a piece, the last of a file excepted.
    pub piece: usize,
    /// The size of the blocks that are sealed, under `--validate`.
    sealed: Option<usize>,
}

/// A part of a file with the data for it.
#[derive(Debug)]
pub(super) struct Piece {
    /// The number of the file.
    pub file: u32,
    /// Bytes from its start.
    pub offset: u64,
    len: usize,
    /// Page-aligned, as O_DIRECT demands.
    memory: MmapMut,
}

impl Piece {
    /// What is to be written.
    pub fn data(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    /// The memory, to be used again.
    pub fn into_memory(self) -> MmapMut {
        self.memory
    }
}

/// Files that wait to be filled, each given out once.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    numbers: &'a [u32],
    next: AtomicUsize,
}

impl<'a> Waiting<'a> {
    /// These, in this order.
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
    /// What these files are to hold.
    pub fn of(files: &TestFiles) -> Self {
        let set = files.set();
        let block = set.block_size as usize;
        Self {
            file_size: set.file_size,
            piece: match files.validate() {
                // Whole blocks, as each is sealed as one.
                true => block * (PIECE / block).max(1),
                false => PIECE,
            },
            sealed: files.validate().then_some(block),
        }
    }

    /// Makes the pieces of files that wait, in memory that comes back, until none waits or nobody
    /// takes them any more.
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
