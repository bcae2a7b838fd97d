//! Requests at random positions, with fsyncs in between.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::divisor::Divisor;
use super::lrand48::Lrand48;
use super::xoroshiro::Xoroshiro128Plus;
use super::{Extent, Request};
use crate::engine::{Phase, Progress, Upcoming};
use crate::plan::{FileMode, FileSet, FileioParams, Seed};

/// Reads that a thread has taken from the stream but not issued yet.
///
/// If only the generator decides what comes next, a thread takes several at a time, which shares
/// the cost of the lock among them.
#[derive(Debug, Default)]
pub struct ReadBatch {
    /// In reverse order.
    reads: [Extent; Self::CAPACITY],
    len: usize,
    /// A request that was drawn to know what it is.
    drawn: Option<Request>,
    /// The thread's own positions, in a stream that has them.
    positions: Xoroshiro128Plus,
}

impl ReadBatch {
    const CAPACITY: usize = 16;

    /// Creates the batch of a thread with its own positions.
    pub(super) fn with_positions(positions: Xoroshiro128Plus) -> Self {
        Self {
            positions,
            ..Self::default()
        }
    }

    pub(super) fn positions(&mut self) -> &mut Xoroshiro128Plus {
        &mut self.positions
    }

    /// Returns whether no request was drawn.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0 && self.drawn.is_none()
    }

    /// Keeps a request that was drawn.
    pub(super) fn hold(&mut self, drawn: Option<Request>) {
        self.drawn = drawn;
    }

    /// Takes the request that was drawn to know what it is.
    #[inline(always)]
    pub(super) fn take_drawn(&mut self) -> Option<Request> {
        self.drawn.take()
    }

    /// Returns what the next request is.
    pub(super) fn upcoming(&self) -> Upcoming {
        match self.drawn {
            None if self.len == 0 => Upcoming::Exhausted,
            Some(Request::Fsync(_) | Request::FinalFsync(_)) => Upcoming::Flush,
            _ => Upcoming::Event,
        }
    }

    /// Drops the requests that were drawn but not issued.
    pub fn clear(&mut self) {
        self.len = 0;
        self.drawn = None;
    }

    /// Takes the next read; `None` if the batch is empty.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<Extent> {
        self.len = self.len.checked_sub(1)?;
        self.reads.get(self.len).copied()
    }
}

/// Requests at random positions, with fsyncs in between.
#[derive(Debug)]
pub struct Random {
    mode: FileMode,
    blocks: Blocks,
    files: u32,
    max_requests: Option<u64>,
    fsync_freq: u64,
    final_fsyncs: u32,
    rw_ratio: f64,
    state: Mutex<RandomStreamState>,
}

#[derive(Debug)]
struct RandomStreamState {
    positions: Lrand48,
    /// Whether requests do not end.
    is_warm_up: bool,
    reads: u64,
    writes: u64,
    /// Whether anything was written since the last complete round of fsyncs.
    dirty: bool,
    /// File of the next fsync in the round.
    next_fsync: u32,
    /// File of the next fsync at the end.
    next_final_fsync: u32,
}

impl Random {
    pub(super) fn new(
        params: &FileioParams,
        files: FileSet,
        seed: Seed,
        max_requests: Option<u64>,
    ) -> Self {
        let final_fsyncs = match params.mode.writes() && params.fsync_end {
            true => files.files.get(),
            false => 0,
        };
        Self {
            mode: params.mode,
            blocks: Blocks::of(files),
            files: files.files.get(),
            max_requests,
            fsync_freq: u64::from(params.fsync_freq),
            final_fsyncs,
            rw_ratio: params.rw_ratio,
            state: Mutex::new(RandomStreamState {
                positions: Lrand48::new(seed),
                is_warm_up: false,
                reads: 0,
                writes: 0,
                dirty: false,
                next_fsync: 0,
                next_final_fsync: 0,
            }),
        }
    }

    #[inline]
    pub(super) fn next(&self, batch: &mut ReadBatch) -> Option<Request> {
        if self.has_batches() {
            self.refill(batch);
            return batch.pop().map(Request::Read);
        }
        // Inside the lock: the kind of request, and one draw. The position is computed outside.
        let mut state = self.state();
        let issued = state.reads + state.writes;
        if self.limit(&state).is_some_and(|max| issued >= max) {
            let file = state.next_final_fsync;
            state.next_final_fsync = file.saturating_add(1);
            return (file < self.final_fsyncs).then_some(Request::FinalFsync(file));
        }
        if state.dirty && self.fsync_freq > 0 && issued.is_multiple_of(self.fsync_freq) {
            let file = state.next_fsync;
            state.next_fsync += 1;
            if state.next_fsync == self.files {
                (state.next_fsync, state.dirty) = (0, false);
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
        let extent = self.blocks.at(draw);
        Some(match is_read {
            true => Request::Read(extent),
            false => Request::Write(extent),
        })
    }

    /// Takes the next reads of the stream: fewer at a time toward its end, so that no thread is
    /// left with many.
    #[inline(never)]
    pub(super) fn refill(&self, batch: &mut ReadBatch) {
        let mut draws = [0; ReadBatch::CAPACITY];
        let mut state = self.state();
        let rest = self.limit(&state).map_or(u64::MAX, |max| max - state.reads);
        let count = (rest / 64).clamp(1, ReadBatch::CAPACITY as u64).min(rest) as usize;
        state.reads += count as u64;
        draws[..count].fill_with(|| state.positions.draw());
        drop(state);
        for (read, draw) in batch.reads.iter_mut().zip(draws[..count].iter().rev()) {
            *read = self.blocks.at(*draw);
        }
        batch.len = count;
    }

    fn state(&self) -> MutexGuard<'_, RandomStreamState> {
        // A panic cannot leave the state inconsistent: it consists of integers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limit(&self, state: &RandomStreamState) -> Option<u64> {
        self.max_requests.filter(|_| !state.is_warm_up)
    }

    /// Returns whether a thread draws several requests at a time.
    pub(super) fn has_batches(&self) -> bool {
        self.mode == FileMode::Rndrd
    }

    pub(super) fn begin(&self, phase: Phase) {
        let mut state = self.state();
        state.is_warm_up = phase == Phase::WarmUp;
        (state.reads, state.writes) = (0, 0);
        (state.dirty, state.next_fsync) = (false, 0);
    }

    /// Returns the number of writes issued so far.
    pub(super) fn writes_issued(&self) -> u64 {
        self.state().writes
    }

    pub(super) fn progress(&self) -> Progress {
        let state = self.state();
        Progress {
            done: state.reads + state.writes,
            total: self.max_requests,
        }
    }
}

/// The blocks of a file set, by draws of the generator.
#[derive(Debug)]
struct Blocks {
    /// Size over which positions are drawn.
    range: f64,
    /// Position of the last byte of the last file.
    last: u64,
    file_size: Divisor,
    block_size: Divisor,
    len: usize,
}

impl Blocks {
    fn of(files: FileSet) -> Self {
        Self {
            range: files.position_range() as f64,
            last: files.total_size() - 1,
            file_size: Divisor::new(files.file_size),
            block_size: Divisor::new(files.block_size),
            len: files.block_size as usize,
        }
    }

    /// Returns the block that contains the byte trunc(draw / modulus * range), computed in double
    /// precision, or else the last block.
    #[inline]
    fn at(&self, draw: u32) -> Extent {
        let share = f64::from(draw) / f64::from(Lrand48::MODULUS);
        // No set has 2^63 bytes, and the conversion to a signed number takes fewer instructions.
        let position = ((share * self.range) as i64 as u64).min(self.last);
        // A file consists of whole blocks, so a block lies in a single file.
        let (file, within) = self.file_size.div_rem(position);
        let (_, within_block) = self.block_size.div_rem(within);
        Extent {
            file: file as u32,
            offset: within - within_block,
            len: self.len,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::num::NonZeroU32;

    proptest! {
        #[test]
        fn a_draw_selects_the_block_at_its_share_of_the_total_size(
            draw in 0..Lrand48::MODULUS, files in 1u32..3000, blocks in 1u64..1 << 20, block in 1u64..1 << 20
        ) {
            let total = u64::from(files) * blocks * block;
            let set = FileSet::new(total, NonZeroU32::new(files).unwrap(), block).unwrap();
            let position = (f64::from(draw) / f64::from(Lrand48::MODULUS) * total as f64) as u64;
            let expected = Extent {
                file: (position / set.file_size) as u32,
                offset: position % set.file_size / block * block,
                len: block as usize,
            };
            prop_assert_eq!(Blocks::of(set).at(draw), expected);
        }
    }
}
