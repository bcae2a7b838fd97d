//! The request stream: which file, offset, length and fsync comes next.
//!
//! Pure: performs no I/O. With one thread the stream is that of sysbench 0.4.12 or 1.0; several
//! threads draw from the same stream, and each request is issued once.

mod cyclic;
mod divisor;
mod lrand48;
mod random;
mod sequential;
mod xoroshiro;

use crate::engine::{Phase, Progress, Upcoming};
use crate::plan::{FileSet, FileioParams, RequestStream, Seed};

pub use cyclic::Cyclic;
pub use lrand48::Lrand48;
pub use random::{Random, ReadBatch};
pub use sequential::Sequential;

/// The next request of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Read this extent.
    Read(Extent),
    /// Write this extent.
    Write(Extent),
    /// Flush this file during the run.
    Fsync(u32),
    /// Flush this file during the run, which is an event.
    FsyncEvent(u32),
    /// Flush this file, after all writes of the run.
    FinalFsync(u32),
}

/// A part of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// File number.
    pub file: u32,
    /// Offset in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub len: usize,
}

/// The requests of a run, for any number of threads.
#[derive(Debug)]
pub enum Requests {
    /// All files from the first byte to the last, once.
    Sequential(Sequential),
    /// At random positions.
    Random(Random),
    /// The stream of sysbench 1.0.
    Cyclic(Cyclic),
}

impl Requests {
    /// Creates the stream of validated parameters.
    pub fn new(
        params: &FileioParams,
        files: FileSet,
        seed: Seed,
        max_requests: Option<u64>,
    ) -> Self {
        match (params.stream, params.mode.is_sequential()) {
            (RequestStream::V1_0, _) => {
                Self::Cyclic(Cyclic::new(params, files, seed, max_requests))
            }
            (_, true) => Self::Sequential(Sequential::new(params, files, max_requests)),
            (_, false) => Self::Random(Random::new(params, files, seed, max_requests)),
        }
    }

    /// Returns the batch of a thread that has drawn no requests.
    pub fn batch(&self, thread: usize) -> ReadBatch {
        match self {
            Self::Cyclic(stream) => ReadBatch::with_positions(stream.positions(thread)),
            _ => ReadBatch::default(),
        }
    }

    /// Returns the next request of a thread, whose batch of reads this is; `None` at the end.
    pub fn next(&self, batch: &mut ReadBatch) -> Option<Request> {
        if let Some(read) = batch.pop() {
            return Some(Request::Read(read));
        }
        match batch.take_drawn() {
            Some(request) => Some(request),
            None => self.draw(batch),
        }
    }

    /// Returns what the next request of a thread is, which [`Self::next`] will return.
    pub fn upcoming(&self, batch: &mut ReadBatch) -> Upcoming {
        if batch.is_empty() {
            match self {
                Self::Random(stream) if stream.has_batches() => stream.refill(batch),
                _ => {
                    let drawn = self.draw(batch);
                    batch.hold(drawn);
                }
            }
        }
        batch.upcoming()
    }

    /// Begins a phase of a run with a warm-up, in which the requests do not end. Positions that were
    /// drawn are not repeated.
    pub fn begin(&self, phase: Phase) {
        match self {
            Self::Sequential(stream) => stream.begin(phase),
            Self::Random(stream) => stream.begin(phase),
            Self::Cyclic(stream) => stream.begin(phase),
        }
    }

    fn draw(&self, batch: &mut ReadBatch) -> Option<Request> {
        match self {
            Self::Sequential(stream) => stream.next(),
            Self::Random(stream) => stream.next(batch),
            Self::Cyclic(stream) => stream.next(batch.positions()),
        }
    }

    /// Returns the number of writes issued; final once a [`Request::FinalFsync`] was.
    pub fn writes_issued(&self) -> u64 {
        match self {
            Self::Sequential(stream) => stream.writes_issued(),
            Self::Random(stream) => stream.writes_issued(),
            Self::Cyclic(stream) => stream.writes_issued(),
        }
    }

    /// Returns the number of data requests issued.
    pub fn progress(&self) -> Progress {
        match self {
            Self::Sequential(stream) => stream.progress(),
            Self::Random(stream) => stream.progress(),
            Self::Cyclic(stream) => stream.progress(),
        }
    }
}

#[cfg(test)]
mod tests;
