//! Data to write: random bytes, of which each request stamps the next part anew.

use anyhow::Result;
use memmap2::MmapMut;

use super::buffer;
use super::pattern;
use crate::workload::fileio::requests::Extent;

/// Stamps the requests of one thread, each with another serial number.
#[derive(Debug)]
pub struct Stamper {
    serial: u64,
}

impl Stamper {
    /// Creates the stamper of a thread. No other thread uses its serial numbers.
    pub fn new(thread: usize) -> Self {
        Self {
            serial: (thread as u64 + 1) << 32,
        }
    }

    /// Stamps the data of a request.
    #[inline]
    pub fn stamp(&mut self, data: &mut [u8], extent: Extent) {
        self.serial += 1;
        pattern::stamp(data, extent.file, extent.offset, self.serial);
    }
}

/// The write buffer of a thread that has one request in flight.
#[derive(Debug)]
pub struct WriteBuffer {
    bytes: MmapMut,
    next: usize,
    stamper: Stamper,
}

impl WriteBuffer {
    /// Creates the buffer of a thread whose requests have at most `request` bytes.
    pub fn new(request: usize, thread: usize) -> Result<Self> {
        let mut bytes = buffer::map(pattern::buffer_size(request))?;
        pattern::fill(&mut bytes, stream_of(thread));
        Ok(Self {
            bytes,
            next: 0,
            stamper: Stamper::new(thread),
        })
    }

    /// Returns the data of a request, which the next call changes.
    #[inline]
    pub fn data_for(&mut self, extent: Extent) -> &mut [u8] {
        if self.next + extent.len > self.bytes.len() {
            self.next = 0;
        }
        let data = &mut self.bytes[self.next..self.next + extent.len];
        self.next += extent.len;
        self.stamper.stamp(data, extent);
        data
    }
}

/// Returns a thread's stream of random bytes, distinct from those of the prepared files.
pub fn stream_of(thread: usize) -> u64 {
    u64::MAX - thread as u64
}
