//! The data that `prepare` writes, in chunks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use memmap2::MmapMut;

use crate::workload::fileio::data::block_header::{self, Generation};
use crate::workload::fileio::data::pattern;
use crate::workload::fileio::files::TestFiles;

/// Size of a chunk in bytes: large enough for a disk to reach its full rate.
const CHUNK_SIZE: usize = 1 << 20;

/// Required content of the files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    /// Size of each file, in bytes.
    pub file_size: u64,
    /// Size of a chunk in bytes, except for the last of a file.
    pub chunk_size: usize,
    /// Size of the blocks that have headers, in bytes, under `--validate`.
    block_with_header: Option<usize>,
}

/// A part of a file, with its data.
#[derive(Debug)]
pub(super) struct Chunk {
    /// File number.
    pub file: u32,
    /// Offset in bytes.
    pub offset: u64,
    len: usize,
    /// Page-aligned, as O_DIRECT requires.
    buffer: MmapMut,
}

impl Chunk {
    /// Returns the data to write.
    pub fn data(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Returns the buffer for reuse.
    pub fn into_buffer(self) -> MmapMut {
        self.buffer
    }
}

/// The files to fill, each of which one thread takes.
#[derive(Debug)]
pub(super) struct FileQueue<'a> {
    numbers: &'a [u32],
    next: AtomicUsize,
}

impl<'a> FileQueue<'a> {
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
            chunk_size: match files.validate() {
                // Whole blocks, because a header has the checksum of its block.
                true => block * (CHUNK_SIZE / block).max(1),
                false => CHUNK_SIZE,
            },
            block_with_header: files.validate().then_some(block),
        }
    }

    /// Generates the chunks of the queued files, in buffers that are returned for reuse, until the
    /// queue is empty or the receiver is gone.
    pub fn generate(
        self,
        queue: &FileQueue<'_>,
        buffers: &mpsc::Receiver<MmapMut>,
        generated: &mpsc::SyncSender<Chunk>,
    ) {
        while let Some(file) = queue.next() {
            for offset in (0..self.file_size).step_by(self.chunk_size) {
                let Ok(mut buffer) = buffers.recv() else {
                    return;
                };
                let len = (self.file_size - offset).min(self.chunk_size as u64) as usize;
                self.fill(&mut buffer[..len], file, offset);
                let chunk = Chunk {
                    file,
                    offset,
                    len,
                    buffer,
                };
                if generated.send(chunk).is_err() {
                    return;
                }
            }
        }
    }

    fn fill(self, data: &mut [u8], file: u32, offset: u64) {
        let stream = (u64::from(file) << 32) | (offset / self.chunk_size as u64);
        pattern::fill(data, stream);
        pattern::stamp(data, file, offset, 0);
        if let Some(block) = self.block_with_header {
            block_header::write_all(data, file, offset, block, Generation::PREPARED);
        }
    }
}
