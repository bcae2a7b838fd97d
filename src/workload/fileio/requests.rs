//! The request stream: which file, offset, length and fsync comes next.
//!
//! Pure: it touches no disk. With one thread the stream is sysbench 0.4.12's; more threads draw
//! from the same stream, each request given out once.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::{Rng as _, TryRng};

use crate::engine::Progress;
use crate::plan::{FileMode, FileSet, FileioParams, Seed};

/// What a thread does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Read this part.
    Read(Extent),
    /// Write this part.
    Write(Extent),
    /// Flush this file, in the midst of the run.
    Fsync(u32),
    /// Flush this file, after all writes of the run.
    FinalFsync(u32),
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The file's number.
    pub file: u32,
    /// Bytes from the file's start.
    pub offset: u64,
    /// Bytes.
    pub len: usize,
}

/// The requests of a run, for any number of threads.
#[derive(Debug)]
pub enum Requests {
    /// Through the files from the first byte to the last, once.
    Sequential(Sequential),
    /// Wherever the generator says.
    Random(Random),
}

impl Requests {
    /// The stream of validated parameters.
    pub fn new(
        params: &FileioParams,
        files: FileSet,
        seed: Seed,
        max_requests: Option<u64>,
    ) -> Self {
        match params.mode.is_sequential() {
            true => Self::Sequential(Sequential::new(params, files)),
            false => Self::Random(Random::new(params, files, seed, max_requests)),
        }
    }

    /// The next request; None at the end.
    #[inline]
    pub fn next(&self) -> Option<Request> {
        match self {
            Self::Sequential(stream) => stream.next(),
            Self::Random(stream) => stream.next(),
        }
    }

    /// How many writes were given out; final once a [`Request::FinalFsync`] was.
    pub fn writes_given(&self) -> u64 {
        match self {
            Self::Sequential(stream) => stream.data_requests,
            Self::Random(stream) => stream.state().writes,
        }
    }

    /// How many data requests were given out.
    pub fn progress(&self) -> Progress {
        match self {
            Self::Sequential(stream) => stream.progress(),
            Self::Random(stream) => stream.progress(),
        }
    }
}

/// Requests one after the other through the files.
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
    fn new(params: &FileioParams, files: FileSet) -> Self {
        let step = params.request_size();
        let requests_a_file = files.file_size.div_ceil(step);
        let count = u64::from(files.files.get());
        let writes = params.mode.writes();
        Self {
            files,
            writes,
            step,
            requests_a_file,
            data_requests: requests_a_file * count,
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

/// Requests at random positions, with fsyncs between.
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
    /// Something was written since the last complete round of fsyncs.
    dirty: bool,
    /// The file whose fsync comes next in the round.
    round: u32,
    /// The file whose fsync comes next at the end.
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
    fn next(&self) -> Option<Request> {
        // Inside the lock: which kind of request, and one draw. The position follows outside.
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
            FileMode::Rndrd => true,
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

    /// The block that a draw falls into: trunc(draw / modulus * total) in double precision.
    #[inline]
    fn extent(&self, draw: u32) -> Extent {
        let share = f64::from(draw) / f64::from(Lrand48::MODULUS);
        let position = (share * self.files.total_size() as f64) as u64;
        // A file is whole blocks, so that the block's start has the same file.
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
        // No panic can leave the state half changed: it is integers.
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

/// The generator of lrand48(3) as sysbench 0.4.12 uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lrand48(u64);

impl Lrand48 {
    /// What a draw is reduced by.
    pub const MODULUS: u32 = 0x3fff_ffff;

    /// The multiplier and addend of POSIX's drand48 family.
    const A: u64 = 0x5_DEEC_E66D;
    const C: u64 = 0xB;
    const MASK: u64 = (1 << 48) - 1;

    /// Without a seed X = 0, as an unseeded C library starts; else as srand48(3) seeds.
    pub fn new(seed: Seed) -> Self {
        Self(seed.0.map_or(0, |s| u64::from(s) * 65536 + 0x330E))
    }

    /// A number from 0 to below [`Self::MODULUS`].
    #[inline]
    pub fn draw(&mut self) -> u32 {
        self.next_u32() % Self::MODULUS
    }
}

/// 31 bits at a time, as lrand48(3) gives; longer values are made of several.
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
