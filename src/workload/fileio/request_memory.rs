//! The memory of the requests that a thread keeps in flight.

use std::collections::VecDeque;

use anyhow::{Result, ensure};
use memmap2::MmapMut;

use super::data::{Stamper, buffer, pattern, stream_of};
use super::requests::Extent;
use crate::plan::FileioParams;

/// A buffer for the read of each tag, and write buffers with random bytes, which are used in turn.
#[derive(Debug)]
pub struct RequestMemory {
    /// Page-aligned, as O_DIRECT requires: the read buffers, then the write buffers.
    bytes: MmapMut,
    /// Size of each buffer.
    size: usize,
    read_buffers: usize,
    free_write_buffers: VecDeque<u32>,
    stamper: Stamper,
}

impl RequestMemory {
    /// Allocates the memory of a thread.
    pub fn new(params: &FileioParams, thread: usize) -> Result<Self> {
        let size = usize::try_from(params.request_size())?;
        ensure!(size > 0, "a request has at least one byte");
        let depth = params.depth.get() as usize;
        let read_buffers = if params.mode.reads() { depth } else { 0 };
        let write_buffers = match params.mode.writes() {
            true => depth.max(pattern::buffer_size(size) / size),
            false => 0,
        };
        let mut bytes = buffer::map((read_buffers + write_buffers) * size)?;
        let (for_reads, for_writes) = bytes.split_at_mut(read_buffers * size);
        for_reads.fill(1);
        pattern::fill(for_writes, stream_of(thread));
        Ok(Self {
            bytes,
            size,
            read_buffers,
            free_write_buffers: (0..write_buffers as u32).collect(),
            stamper: Stamper::new(thread),
        })
    }

    /// Returns all of the memory.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Returns the buffer of a tag's read.
    pub fn read_buffer(&mut self, tag: u32, len: usize) -> &mut [u8] {
        let start = tag as usize * self.size;
        &mut self.bytes[start..start + len]
    }

    /// Takes the write buffer that was unused for longest; returns its number and stamped data.
    ///
    /// There are at least as many write buffers as tags, so a free tag implies a free buffer.
    pub fn take_write_buffer(&mut self, extent: Extent) -> (u32, &mut [u8]) {
        let number = self
            .free_write_buffers
            .pop_front()
            .expect("at least as many write buffers as tags");
        let start = (self.read_buffers + number as usize) * self.size;
        let data = &mut self.bytes[start..start + extent.len];
        self.stamper.stamp(data, extent);
        (number, data)
    }

    /// Frees a write buffer after its request has completed.
    pub fn free_write_buffer(&mut self, number: u32) {
        self.free_write_buffers.push_back(number);
    }
}
