//! Data to write: random bytes, of which each request stamps the next part anew.

use anyhow::{Context, Result};
use memmap2::MmapMut;

use super::pattern;
use super::requests::Extent;

/// The stamps of one thread, all distinct.
#[derive(Debug)]
pub(super) struct Stamper {
    serial: u64,
}

impl Stamper {
    pub fn new(thread: usize) -> Self {
        Self {
            serial: (thread as u64 + 1) << 32,
        }
    }

    #[inline]
    pub fn stamp(&mut self, data: &mut [u8], extent: Extent) {
        self.serial += 1;
        pattern::stamp(data, extent.file, extent.offset, self.serial);
    }
}

/// A pool of random bytes, of which each request takes the next part.
#[derive(Debug)]
pub(super) struct Source {
    /// Page-aligned, as O_DIRECT requires.
    pool: MmapMut,
    next: usize,
    stamper: Stamper,
}

impl Source {
    pub fn new(request: usize, thread: usize) -> Result<Self> {
        let mut pool = map(pattern::pool_size(request))?;
        pattern::fill(&mut pool, stream_of(thread));
        Ok(Self {
            pool,
            next: 0,
            stamper: Stamper::new(thread),
        })
    }

    #[inline]
    pub fn data_for(&mut self, extent: Extent) -> &mut [u8] {
        if self.next + extent.len > self.pool.len() {
            self.next = 0;
        }
        let data = &mut self.pool[self.next..self.next + extent.len];
        self.next += extent.len;
        self.stamper.stamp(data, extent);
        data
    }
}

/// Returns a thread's stream of random bytes, distinct from those of `prepare`'s files.
pub(super) fn stream_of(thread: usize) -> u64 {
    u64::MAX - thread as u64
}

/// Maps page-aligned memory, all zeros, whose pages are not allocated yet.
pub(super) fn map(len: usize) -> Result<MmapMut> {
    MmapMut::map_anon(len).with_context(|| format!("mapping a buffer of {len} bytes"))
}

/// Maps page-aligned memory whose pages are already allocated.
pub(super) fn map_touched(len: usize) -> Result<MmapMut> {
    let mut buffer = map(len)?;
    buffer.fill(1);
    Ok(buffer)
}
