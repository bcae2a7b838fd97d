//! Statistics that a thread records of its events.

use crate::clock::Scale;
use crate::histogram::LatencyHistogram;

/// Data that an event moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// Nothing.
    None,
    /// Bytes read.
    Read(u64),
    /// Bytes written.
    Write(u64),
}

/// Event durations that were not counted yet, in ticks.
///
/// The fence that ends an event keeps the CPU from overlapping anything with what follows; counting
/// many at once costs half of counting each at its end.
#[derive(Debug, Clone)]
pub struct TickBuffer {
    ticks: [u64; Self::CAPACITY],
    len: usize,
}

impl Default for TickBuffer {
    fn default() -> Self {
        Self {
            ticks: [0; Self::CAPACITY],
            len: 0,
        }
    }
}

impl TickBuffer {
    /// Number of durations: 1 KiB, a small part of the L1 cache, which the memory test measures.
    pub const CAPACITY: usize = {
        assert!(128 <= LatencyHistogram::MAX_BATCH);
        128
    };

    /// Adds a duration; returns true if the buffer is now full.
    #[inline(always)]
    pub fn push(&mut self, ticks: u64) -> bool {
        self.ticks[self.len % Self::CAPACITY] = ticks;
        self.len += 1;
        self.len >= Self::CAPACITY
    }

    /// Counts all durations in the buffer and empties it.
    pub fn record_into(&mut self, histogram: &mut LatencyHistogram, scale: Scale) {
        let ticks = self.ticks[..self.len].iter().copied();
        match scale.are_short(ticks.clone()) {
            true => histogram.record_short(ticks.map(|ticks| scale.short_nanoseconds(ticks))),
            false => ticks.for_each(|ticks| histogram.record(scale.nanoseconds(ticks))),
        }
        self.len = 0;
    }
}

/// Statistics of one thread, or of all.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// Durations of the events.
    pub events: LatencyHistogram,
    /// Durations of fsyncs.
    pub fsyncs: LatencyHistogram,
    /// Read requests.
    pub reads: u64,
    /// Write requests.
    pub writes: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
}

impl Statistics {
    /// Maximum memory of the statistics of a thread in bytes, besides the value itself.
    pub const READY_BYTES: u64 = 2 * LatencyHistogram::HEAP_BYTES;

    /// Creates empty statistics that already have the memory to record anything.
    pub fn ready() -> Self {
        Self {
            events: LatencyHistogram::with_all_buckets(),
            fsyncs: LatencyHistogram::with_all_buckets(),
            ..Self::default()
        }
    }

    /// Counts the data that an event moved.
    #[inline(always)]
    pub fn add_transfer(&mut self, transfer: Transfer) {
        match transfer {
            Transfer::None => {}
            Transfer::Read(bytes) => {
                self.reads += 1;
                self.bytes_read += bytes;
            }
            Transfer::Write(bytes) => {
                self.writes += 1;
                self.bytes_written += bytes;
            }
        }
    }

    /// Adds all statistics of another.
    pub fn add(&mut self, other: &Self) {
        self.events.add(&other.events);
        self.fsyncs.add(&other.fsyncs);
        self.reads += other.reads;
        self.writes += other.writes;
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
    }

    /// Removes all statistics, but keeps the memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.fsyncs.clear();
        (self.reads, self.writes) = (0, 0);
        (self.bytes_read, self.bytes_written) = (0, 0);
    }
}
