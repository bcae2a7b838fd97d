//! Statistics that a thread records of its events.

use crate::clock::{Nanoseconds, Scale};
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

    /// Returns the durations in the buffer.
    pub fn ticks(&self) -> &[u64] {
        &self.ticks[..self.len]
    }

    /// Empties the buffer.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Counts all durations in the buffer and empties it.
    pub fn record_into(&mut self, histogram: &mut LatencyHistogram, scale: Scale) {
        let ticks = self.ticks().iter().copied();
        match scale.are_short(ticks.clone()) {
            true => histogram.record_short(ticks.map(|ticks| scale.short_nanoseconds(ticks))),
            false => ticks.for_each(|ticks| histogram.record(scale.nanoseconds(ticks))),
        }
        self.clear();
    }
}

/// How long the events of an open loop waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waits {
    /// Longest time from the arrival of an event to its start.
    pub longest: Nanoseconds,
    /// Number of events that a thread waited for.
    pub awaited: u64,
    /// Sum of the times from the arrivals of these events to their start: how late waiting threads
    /// noticed them.
    pub late: Nanoseconds,
}

impl Waits {
    /// Adds the waits of other events.
    pub fn add(&mut self, other: &Self) {
        self.longest = self.longest.max(other.longest);
        self.awaited += other.awaited;
        self.late.0 = self.late.0.saturating_add(other.late.0);
    }
}

/// Statistics of one thread, or of all.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// Durations of the events; in an open loop from their arrival.
    pub events: LatencyHistogram,
    /// Durations of the events of an open loop from their start; empty in a closed loop.
    pub service: LatencyHistogram,
    /// Waits of the events of an open loop.
    pub waits: Waits,
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
    /// Returns the maximum memory of the statistics of a thread in bytes, besides the value itself.
    pub fn ready_bytes(open_loop: bool) -> u64 {
        (2 + u64::from(open_loop)) * LatencyHistogram::HEAP_BYTES
    }

    /// Creates empty statistics that already have the memory to record anything.
    pub fn ready(open_loop: bool) -> Self {
        Self {
            events: LatencyHistogram::with_all_buckets(),
            service: match open_loop {
                true => LatencyHistogram::with_all_buckets(),
                false => LatencyHistogram::default(),
            },
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
        self.service.add(&other.service);
        self.waits.add(&other.waits);
        self.fsyncs.add(&other.fsyncs);
        self.reads += other.reads;
        self.writes += other.writes;
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
    }

    /// Removes all statistics, but keeps the memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.service.clear();
        self.waits = Waits::default();
        self.fsyncs.clear();
        (self.reads, self.writes) = (0, 0);
        (self.bytes_read, self.bytes_written) = (0, 0);
    }
}
