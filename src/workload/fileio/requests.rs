//! The request stream: which file, offset, length and fsync comes next.
//!
//! Pure: performs no I/O. With one thread the stream is that of sysbench 0.4.12; several threads
//! draw from the same stream, and each request is handed out once.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::{Rng as _, TryRng};

use crate::engine::Progress;
use crate::plan::{FileMode, FileSet, FileioParams, Seed};

/// The next request of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Read this extent.
    Read(Extent),
    /// Write this extent.
    Write(Extent),
    /// Flush this file during the run.
    Fsync(u32),
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
}

impl Requests {
    /// Creates the stream of validated parameters.
    pub fn new(
        params: &FileioParams,
        files: FileSet,
        seed: Seed,
        max_requests: Option<u64>,
    ) -> Self {
        match params.mode.is_sequential() {
            true => Self::Sequential(Sequential::new(params, files, max_requests)),
            false => Self::Random(Random::new(params, files, seed, max_requests)),
        }
    }

    /// Returns the next request for a thread that has drawn these reads; `None` at the end.
    #[inline]
    pub fn next(&self, drawn: &mut Drawn) -> Option<Request> {
        match self {
            Self::Sequential(stream) => stream.next(),
            Self::Random(stream) => stream.next(drawn),
        }
    }

    /// Returns how many writes were handed out; final once a [`Request::FinalFsync`] was.
    pub fn writes_given(&self) -> u64 {
        match self {
            Self::Sequential(stream) => stream.data_requests,
            Self::Random(stream) => stream.state().writes,
        }
    }

    /// Returns how many data requests were handed out.
    pub fn progress(&self) -> Progress {
        match self {
            Self::Sequential(stream) => stream.progress(),
            Self::Random(stream) => stream.progress(),
        }
    }
}

/// Sequential requests through the files.
#[derive(Debug)]
pub struct Sequential {
    files: FileSet,
    writes: bool,
    step: u64,
    requests_a_file: u64,
    data_requests: u64,
    fsyncs: u64,
    next: AtomicU64,
}

impl Sequential {
    fn new(params: &FileioParams, files: FileSet, max_requests: Option<u64>) -> Self {
        let step = params.request_size();
        let requests_a_file = files.file_size.div_ceil(step);
        let count = u64::from(files.files.get());
        let writes = params.mode.writes();
        Self {
            files,
            writes,
            step,
            requests_a_file,
            data_requests: (requests_a_file * count).min(max_requests.unwrap_or(u64::MAX)),
            fsyncs: if writes && params.fsync_end { count } else { 0 },
            next: AtomicU64::new(0),
        }
    }

    #[inline]
    fn next(&self) -> Option<Request> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.data_requests {
            let file = number - self.data_requests;
            return (file < self.fsyncs).then_some(Request::FinalFsync(file as u32));
        }
        let offset = number % self.requests_a_file * self.step;
        let extent = Extent {
            file: (number / self.requests_a_file) as u32,
            offset,
            len: self.step.min(self.files.file_size - offset) as usize,
        };
        Some(match self.writes {
            true => Request::Write(extent),
            false => Request::Read(extent),
        })
    }

    fn progress(&self) -> Progress {
        let given = self.next.load(Ordering::Relaxed);
        Progress {
            done: given.min(self.data_requests),
            total: Some(self.data_requests),
        }
    }
}

/// Reads that a thread has taken from the stream but not yet done.
///
/// If only the generator decides what comes next, a thread takes several at a time, which shares
/// the cost of the lock and the divisions among them.
#[derive(Debug, Default)]
pub struct Drawn {
    reads: [Extent; Self::MOST],
    next: usize,
    end: usize,
}

impl Drawn {
    const MOST: usize = 16;

    #[inline]
    fn take(&mut self) -> Option<Request> {
        let read = self.reads[..self.end].get(self.next)?;
        self.next += 1;
        Some(Request::Read(*read))
    }
}

/// Requests at random positions, with fsyncs in between.
#[derive(Debug)]
pub struct Random {
    mode: FileMode,
    files: FileSet,
    max_requests: Option<u64>,
    fsync_freq: u64,
    final_fsyncs: u32,
    rw_ratio: f64,
    state: Mutex<RandomState>,
}

#[derive(Debug)]
struct RandomState {
    positions: Lrand48,
    reads: u64,
    writes: u64,
    /// Whether anything was written since the last complete round of fsyncs.
    dirty: bool,
    /// File of the next fsync in the round.
    round: u32,
    /// File of the next fsync at the end.
    last_round: u32,
}

impl Random {
    fn new(params: &FileioParams, files: FileSet, seed: Seed, max_requests: Option<u64>) -> Self {
        let final_fsyncs = match params.mode.writes() && params.fsync_end {
            true => files.files.get(),
            false => 0,
        };
        Self {
            mode: params.mode,
            files,
            max_requests,
            fsync_freq: u64::from(params.fsync_freq),
            final_fsyncs,
            rw_ratio: params.rw_ratio,
            state: Mutex::new(RandomState {
                positions: Lrand48::new(seed),
                reads: 0,
                writes: 0,
                dirty: false,
                round: 0,
                last_round: 0,
            }),
        }
    }

    #[inline]
    fn next(&self, drawn: &mut Drawn) -> Option<Request> {
        if self.mode == FileMode::Rndrd {
            return drawn.take().or_else(|| {
                self.take_reads(drawn);
                drawn.take()
            });
        }
        // Inside the lock: the kind of request, and one draw. The position is computed outside.
        let mut state = self.state();
        let given = state.reads + state.writes;
        if self.max_requests.is_some_and(|max| given >= max) {
            let file = state.last_round;
            state.last_round = file.saturating_add(1);
            return (file < self.final_fsyncs).then_some(Request::FinalFsync(file));
        }
        if state.dirty && self.fsync_freq > 0 && given.is_multiple_of(self.fsync_freq) {
            let file = state.round;
            state.round += 1;
            if state.round == self.files.files.get() {
                (state.round, state.dirty) = (0, false);
            }
            return Some(Request::Fsync(file));
        }
        let is_read = match self.mode {
            FileMode::Rndrw => {
                ((state.reads + 1) as f64 / (state.writes + 1) as f64) < self.rw_ratio
            }
            _ => false,
        };
        if is_read {
            state.reads += 1;
        } else {
            state.writes += 1;
            state.dirty = true;
        }
        let draw = state.positions.draw();
        drop(state);
        let extent = self.extent(draw);
        Some(match is_read {
            true => Request::Read(extent),
            false => Request::Write(extent),
        })
    }

    /// Takes the next reads of the stream, fewer at a time towards its end, so that no thread is
    /// left with many.
    #[inline(never)]
    fn take_reads(&self, drawn: &mut Drawn) {
        let mut draws = [0; Drawn::MOST];
        let mut state = self.state();
        let rest = self.max_requests.map_or(u64::MAX, |max| max - state.reads);
        let count = (rest / 64).clamp(1, Drawn::MOST as u64).min(rest) as usize;
        state.reads += count as u64;
        draws[..count].fill_with(|| state.positions.draw());
        drop(state);
        for (read, draw) in drawn.reads.iter_mut().zip(&draws[..count]) {
            *read = self.extent(*draw);
        }
        (drawn.next, drawn.end) = (0, count);
    }

    /// Returns the block of a draw: trunc(draw / modulus * total) in double precision.
    #[inline]
    fn extent(&self, draw: u32) -> Extent {
        let share = f64::from(draw) / f64::from(Lrand48::MODULUS);
        let position = (share * self.files.total_size() as f64) as u64;
        // A file consists of whole blocks, so a block lies in a single file.
        let (file, within) = (
            position / self.files.file_size,
            position % self.files.file_size,
        );
        Extent {
            file: file as u32,
            offset: within - within % self.files.block_size,
            len: self.files.block_size as usize,
        }
    }

    fn state(&self) -> MutexGuard<'_, RandomState> {
        // A panic cannot leave the state inconsistent: it consists of integers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> Progress {
        let state = self.state();
        Progress {
            done: state.reads + state.writes,
            total: self.max_requests,
        }
    }
}

/// The lrand48(3) generator as sysbench 0.4.12 uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lrand48(u64);

impl Lrand48 {
    /// Modulus that reduces a draw.
    pub const MODULUS: u32 = 0x3fff_ffff;

    /// Multiplier and addend of POSIX's drand48 family.
    const A: u64 = 0x5_DEEC_E66D;
    const C: u64 = 0xB;
    const MASK: u64 = (1 << 48) - 1;

    /// Without a seed X = 0, as in an unseeded C library; otherwise seeds as srand48(3).
    pub fn new(seed: Seed) -> Self {
        Self(seed.0.map_or(0, |s| u64::from(s) * 65536 + 0x330E))
    }

    /// Returns a number below [`Self::MODULUS`].
    #[inline]
    pub fn draw(&mut self) -> u32 {
        self.next_u32() % Self::MODULUS
    }
}

/// Yields 31 bits at a time, as lrand48(3) does; longer values combine several.
impl TryRng for Lrand48 {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 = self.0.wrapping_mul(Self::A).wrapping_add(Self::C) & Self::MASK;
        Ok((self.0 >> 17) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.try_next_u32()?) << 32 | u64::from(self.try_next_u32()?))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        rand::rand_core::utils::fill_bytes_via_next_word(bytes, || self.try_next_u32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{FsyncMode, IoMode, OpenFlags};
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::num::NonZeroU32;

    const BLOCK: u64 = 4096;

    fn files(count: u32, blocks_each: u64) -> FileSet {
        let count = NonZeroU32::new(count).unwrap();
        FileSet::new(u64::from(count.get()) * blocks_each * BLOCK, count, BLOCK).unwrap()
    }

    fn params(mode: FileMode, set: FileSet) -> FileioParams {
        FileioParams {
            mode,
            io_mode: IoMode::Sync,
            depth: NonZeroU32::MIN,
            block_size_bytes: set.block_size,
            total_size_bytes: set.total_size(),
            files: set.files,
            flags: OpenFlags::None,
            fsync_freq: 0,
            fsync_all: false,
            fsync_end: false,
            fsync_mode: FsyncMode::Fsync,
            merged_requests: 0,
            rw_ratio: 1.5,
            validate: false,
            drop_cache: false,
        }
    }

    fn stream(params: &FileioParams, set: FileSet, max: Option<u64>) -> Requests {
        Requests::new(params, set, Seed(None), max)
    }

    fn all(requests: &Requests) -> Vec<Request> {
        let mut drawn = Drawn::default();
        std::iter::from_fn(|| requests.next(&mut drawn)).collect()
    }

    fn extent(request: &Request) -> Option<Extent> {
        match request {
            Request::Read(extent) | Request::Write(extent) => Some(*extent),
            _ => None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn sequential_requests_cover_every_byte_once_in_order(
            count in 1u32..6, blocks in 1u64..40, merged in 0u32..12
        ) {
            let set = files(count, blocks);
            let params = FileioParams { merged_requests: merged, ..params(FileMode::Seqrd, set) };
            let mut position = 0;
            for request in all(&stream(&params, set, None)) {
                let extent = extent(&request).unwrap();
                prop_assert_eq!(u64::from(extent.file) * set.file_size + extent.offset, position);
                prop_assert!(extent.offset + extent.len as u64 <= set.file_size);
                prop_assert!(extent.len as u64 <= params.request_size());
                position += extent.len as u64;
            }
            prop_assert_eq!(position, set.total_size());
        }

        #[test]
        fn random_requests_are_whole_blocks_within_a_file(
            count in 1u32..200, blocks in 1u64..5000, seed: Option<u32>
        ) {
            let set = files(count, blocks);
            let requests = Requests::new(&params(FileMode::Rndrd, set), set, Seed(seed), Some(200));
            for request in all(&requests) {
                let extent = extent(&request).unwrap();
                prop_assert!(extent.file < count);
                prop_assert_eq!(extent.len as u64, BLOCK);
                prop_assert_eq!(extent.offset % BLOCK, 0);
                prop_assert!(extent.offset + BLOCK <= set.file_size);
            }
        }

        #[test]
        fn the_read_write_ratio_is_kept(ratio in 0.0f64..20.0) {
            let set = files(2, 10);
            let params = FileioParams { rw_ratio: ratio, ..params(FileMode::Rndrw, set) };
            let requests = all(&stream(&params, set, Some(5000)));
            let reads = requests.iter().filter(|r| matches!(r, Request::Read(_))).count() as f64;
            let writes = requests.len() as f64 - reads;
            prop_assert!((reads - ratio * writes).abs() <= ratio + 1.0, "{} : {}", reads, writes);
        }

        #[test]
        fn periodic_fsyncs_come_in_rounds_of_all_files(freq in 1u32..50, count in 1u32..8, max in 1u64..400) {
            let set = files(count, 4);
            let params = FileioParams { fsync_freq: freq, ..params(FileMode::Rndwr, set) };
            let mut given = 0;
            let mut round = Vec::new();
            for request in all(&stream(&params, set, Some(max))) {
                match request {
                    Request::Fsync(file) => {
                        prop_assert_eq!(given % u64::from(freq), 0);
                        round.push(file);
                    }
                    _ => {
                        prop_assert!(round.is_empty() || round == (0..count).collect::<Vec<_>>());
                        round.clear();
                        given += 1;
                    }
                }
            }
            prop_assert_eq!(given, max);
        }

        #[test]
        fn threads_together_draw_each_request_of_the_stream_once(threads in 1usize..5, reads: bool) {
            let set = files(3, 50);
            let mode = if reads { FileMode::Rndrd } else { FileMode::Rndwr };
            let params = FileioParams { fsync_end: true, fsync_freq: 7, ..params(mode, set) };
            let alone = all(&stream(&params, set, Some(300)));
            let shared = stream(&params, set, Some(300));
            let drawn = std::thread::scope(|scope| {
                let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| all(&shared))).collect();
                workers.into_iter().flat_map(|w| w.join().unwrap()).collect::<Vec<_>>()
            });
            let sorted = |mut requests: Vec<Request>| {
                requests.sort_by_key(|request| format!("{request:?}"));
                requests
            };
            prop_assert_eq!(sorted(drawn), sorted(alone));
        }
    }

    #[test]
    fn a_writing_run_ends_with_one_fsync_per_file_and_a_final_write_count() {
        for (mode, max) in [(FileMode::Seqwr, None), (FileMode::Rndwr, Some(20))] {
            let set = files(3, 5);
            let params = FileioParams {
                fsync_end: true,
                ..params(mode, set)
            };
            let requests = stream(&params, set, max);
            let given = all(&requests);
            let (data, fsyncs) = given.split_at(given.len() - 3);
            assert!(data.iter().all(|r| matches!(r, Request::Write(_))));
            assert_eq!(fsyncs, [0, 1, 2].map(Request::FinalFsync));
            assert_eq!(requests.writes_given(), data.len() as u64);
        }
    }

    #[test]
    fn a_reading_run_has_no_fsync() {
        for mode in [FileMode::Seqrd, FileMode::Rndrd] {
            let set = files(2, 4);
            let params = FileioParams {
                fsync_end: true,
                fsync_freq: 1,
                ..params(mode, set)
            };
            assert!(
                all(&stream(&params, set, Some(9)))
                    .iter()
                    .all(|r| matches!(r, Request::Read(_)))
            );
        }
    }

    #[test]
    fn a_limit_cuts_a_sequential_run_short_with_its_fsyncs() {
        let set = files(2, 4);
        let params = FileioParams {
            fsync_end: true,
            ..params(FileMode::Seqwr, set)
        };
        let given = all(&stream(&params, set, Some(3)));
        assert_eq!(given.len(), 3 + 2);
        assert_eq!(given[3..], [0, 1].map(Request::FinalFsync));
    }

    #[test]
    fn the_generator_matches_the_c_library() {
        // srand48(1); lrand48() of the GNU C library, before the reduction.
        let mut seeded = Lrand48::new(Seed(Some(1)));
        let first: Vec<u32> = (0..4).map(|_| seeded.try_next_u32().unwrap()).collect();
        assert_eq!(first, [89400484, 976015093, 1792756325, 721524505]);
        // Unseeded, X starts at 0: the first draw is 11 >> 17.
        assert_eq!(Lrand48::new(Seed(None)).draw(), 0);
    }

    #[test]
    fn random_positions_reach_all_blocks() {
        let set = files(4, 8);
        let requests = stream(&params(FileMode::Rndrd, set), set, Some(2000));
        let places: BTreeSet<_> = all(&requests)
            .iter()
            .filter_map(extent)
            .map(|e| (e.file, e.offset))
            .collect();
        assert_eq!(places.len(), 32);
    }
}
