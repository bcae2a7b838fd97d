//! The request stream of sysbench 1.0: it ends at a limit only, and fsyncs are events.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::xoroshiro::Xoroshiro128Plus;
use super::{Extent, Request};
use crate::engine::{Phase, Progress};
use crate::plan::{FileMode, FileSet, FileioParams, Seed};

/// Requests that begin again after the last block, or at random positions.
#[derive(Debug)]
pub struct Cyclic {
    mode: FileMode,
    files: FileSet,
    /// Length of a request.
    step: u64,
    requests_per_file: u64,
    /// Blocks of all files.
    blocks: u64,
    seed: u32,
    max_events: Option<u64>,
    /// Whether requests do not end.
    is_warm_up: AtomicBool,
    fsync_freq: u64,
    /// Single precision, as in sysbench.
    rw_ratio: f32,
    /// Events issued.
    events: AtomicU64,
    /// For modes with writes.
    state: Mutex<CyclicStreamState>,
}

#[derive(Debug, Default)]
struct CyclicStreamState {
    reads: u64,
    writes: u64,
    /// Whether anything was written since the last round of fsyncs.
    dirty: bool,
    /// File of the next fsync in the round, if one is due.
    next_fsync: Option<u32>,
}

impl Cyclic {
    pub(super) fn new(
        params: &FileioParams,
        files: FileSet,
        seed: Seed,
        max_events: Option<u64>,
    ) -> Self {
        let step = params.request_size();
        Self {
            mode: params.mode,
            files,
            step,
            requests_per_file: files.file_size.div_ceil(step),
            blocks: files.total_size() / files.block_size,
            seed: seed.0.unwrap_or_default(),
            max_events,
            is_warm_up: AtomicBool::new(false),
            fsync_freq: u64::from(params.fsync_freq),
            rw_ratio: params.rw_ratio as f32,
            events: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// Returns the generator of a thread's positions.
    pub(super) fn positions(&self, thread: usize) -> Xoroshiro128Plus {
        Xoroshiro128Plus::of_thread(self.seed, thread)
    }

    #[inline]
    pub(super) fn next(&self, positions: &mut Xoroshiro128Plus) -> Option<Request> {
        if self.mode.writes() {
            return self.next_with_writes(positions);
        }
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        self.is_within_limit(number)
            .then(|| Request::Read(self.extent(number, positions)))
    }

    fn next_with_writes(&self, positions: &mut Xoroshiro128Plus) -> Option<Request> {
        let mut state = self.state();
        if !self.is_within_limit(self.events.load(Ordering::Relaxed)) {
            return None;
        }
        self.events.fetch_add(1, Ordering::Relaxed);
        if let Some(file) = state.next_fsync {
            state.next_fsync = Some(file + 1).filter(|&next| next < self.files.files.get());
            // sysbench draws a number to record each event in its histogram.
            positions.draw();
            return Some(Request::FsyncEvent(file));
        }
        let number = state.reads + state.writes;
        let ratio = (state.reads + 1) as f64 / (state.writes + 1) as f64;
        let is_read = self.mode == FileMode::Rndrw && ratio < f64::from(self.rw_ratio);
        if is_read {
            state.reads += 1;
        } else {
            state.writes += 1;
            state.dirty = true;
        }
        if state.dirty && self.fsync_freq > 0 && (number + 1).is_multiple_of(self.fsync_freq) {
            state.dirty = false;
            state.next_fsync = Some(0);
        }
        drop(state);
        let extent = self.extent(number, positions);
        Some(match is_read {
            true => Request::Read(extent),
            false => Request::Write(extent),
        })
    }

    fn is_within_limit(&self, events: u64) -> bool {
        self.max_events
            .is_none_or(|max| events < max || self.is_warm_up.load(Ordering::Relaxed))
    }

    pub(super) fn begin(&self, phase: Phase) {
        self.is_warm_up
            .store(phase == Phase::WarmUp, Ordering::Relaxed);
        self.events.store(0, Ordering::Relaxed);
        *self.state() = CyclicStreamState::default();
    }

    /// Returns the extent of the data request with this number.
    #[inline]
    fn extent(&self, number: u64, positions: &mut Xoroshiro128Plus) -> Extent {
        if self.mode.is_sequential() {
            let file = number / self.requests_per_file % u64::from(self.files.files.get());
            let offset = number % self.requests_per_file * self.step;
            return Extent {
                file: file as u32,
                offset,
                len: self.step.min(self.files.file_size - offset) as usize,
            };
        }
        let position = positions.draw_below(self.blocks) * self.files.block_size;
        // The number for the histogram.
        positions.draw();
        Extent {
            file: (position / self.files.file_size) as u32,
            offset: position % self.files.file_size,
            len: self.step as usize,
        }
    }

    pub(super) fn writes_issued(&self) -> u64 {
        self.state().writes
    }

    pub(super) fn progress(&self) -> Progress {
        let events = self.events.load(Ordering::Relaxed);
        Progress {
            done: self.max_events.map_or(events, |max| events.min(max)),
            total: self.max_events,
        }
    }

    fn state(&self) -> MutexGuard<'_, CyclicStreamState> {
        // A thread that panicked leaves consistent counters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::plan::{FsyncMode, IoMode, OpenFlags, RequestStream};

    /// The requests of one thread to three files of four blocks, as letter, file and block.
    fn stream(mode: FileMode, fsync_freq: u32, max_events: u64) -> String {
        let files = NonZeroU32::new(3).unwrap();
        let set = FileSet::new(192 << 10, files, 16 << 10).unwrap();
        let params = FileioParams {
            mode,
            io_mode: IoMode::Sync,
            depth: NonZeroU32::MIN,
            block_size_bytes: set.block_size,
            total_size_bytes: set.total_size(),
            files,
            flags: OpenFlags::None,
            fsync_freq,
            fsync_all: false,
            fsync_end: true,
            fsync_mode: FsyncMode::Fsync,
            merged_requests: 0,
            rw_ratio: 1.5,
            validate: false,
            drop_cache: false,
            stream: RequestStream::V1_0,
        };
        let stream = Cyclic::new(&params, set, Seed(Some(1)), Some(max_events));
        let mut positions = stream.positions(0);
        let place = |extent: Extent| format!("{}.{}", extent.file, extent.offset / set.block_size);
        let requests = std::iter::from_fn(|| stream.next(&mut positions));
        let names = requests.map(|request| match request {
            Request::Read(extent) => format!("r{}", place(extent)),
            Request::Write(extent) => format!("w{}", place(extent)),
            Request::FsyncEvent(file) => format!("f{file}"),
            other => panic!("{other:?}"),
        });
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_stream_is_that_of_sysbench_1_0_with_the_same_seed() {
        // Traced with strace from sysbench 1.0.20 --rand-seed=1, without the fsyncs at the end.
        assert_eq!(
            stream(FileMode::Rndrw, 4, 25),
            "r2.1 w2.2 r2.1 w1.0 f0 f1 f2 r0.2 r2.1 w1.0 r2.1 f0 f1 f2 w1.3 r2.0 r2.0 w0.3 f0 f1 f2 \
             r2.1 w0.1 r0.3 r1.2"
        );
    }

    #[test]
    fn sequential_requests_begin_again_after_the_last_block() {
        assert_eq!(
            stream(FileMode::Seqrewr, 4, 19),
            "w0.0 w0.1 w0.2 w0.3 f0 f1 f2 w1.0 w1.1 w1.2 w1.3 f0 f1 f2 w2.0 w2.1 w2.2 w2.3 f0"
        );
        let reads = stream(FileMode::Seqrd, 4, 14);
        assert!(reads.ends_with("r2.2 r2.3 r0.0 r0.1"), "{reads}");
    }
}
