//! Dependent loads along one random cycle through a block: the latency of memory.
//!
//! Each line of the cycle begins with the address of the next, so that no load can begin before the
//! one before it has ended, and no prefetcher can foresee an address.

use rand::{Rng, RngExt};

use super::block::Block;
use crate::plan::{CHASE_LINE_BYTES, CHASE_LOADS, ChaseParams};

/// Loads per iteration of the measured loop, unrolled: its own instructions execute beside them.
const UNROLLED: u64 = 64;

const _: () = assert!(CHASE_LOADS.is_multiple_of(UNROLLED));

/// A position in the cycle of a block.
#[derive(Debug)]
pub(super) struct Chase<'a> {
    /// Keeps the block mapped.
    _block: &'a Block,
    /// A line of the cycle.
    at: *mut u8,
}

impl<'a> Chase<'a> {
    /// Returns a position that is this part of `parts` into the block. The block has a cycle of these
    /// parameters, see [`lay_cycle`].
    pub fn begin(block: &'a Block, params: &ChaseParams, part: usize, parts: usize) -> Self {
        let lines = Lines::of(block, params);
        let line = lines.count as u128 * part as u128 / parts.max(1) as u128;
        Self {
            _block: block,
            at: lines.address(line as usize),
        }
    }

    /// Does the loads of an event, beginning where the last one ended.
    #[inline(always)]
    pub fn follow(&mut self) {
        self.at = arch::follow(self.at, CHASE_LOADS / UNROLLED);
    }
}

/// Stores a random cycle through the block: one line per stride, the lines of each window together.
pub(super) fn lay_cycle(block: &Block, params: &ChaseParams, random: &mut impl Rng) {
    let lines = Lines::of(block, params);
    for line in 0..lines.count {
        lines.set_next(line, lines.address(line));
    }
    let window = usize::try_from(params.window_lines()).unwrap_or(usize::MAX);
    let windows = lines.count.div_ceil(window);
    for first in (0..windows).map(|number| number * window) {
        let size = window.min(lines.count - first);
        make_cycle(size, |a, b| lines.swap_next(first + a, first + b), random);
    }
    // Each window is a cycle now. Permuting the successors of their first lines in one cycle joins
    // them: the walk leaves a window where it entered it.
    make_cycle(
        windows,
        |a, b| lines.swap_next(a * window, b * window),
        random,
    );
}

/// Turns the identity of `0..len` into a cyclic permutation, each with the same probability, by
/// swapping (Sattolo, "An algorithm to generate a random cyclic permutation", 1986).
fn make_cycle(len: usize, swap: impl Fn(usize, usize), random: &mut impl Rng) {
    for last in (1..len).rev() {
        swap(random.random_range(0..last), last);
    }
}

/// The lines of a cycle in a block.
#[derive(Debug, Clone, Copy)]
struct Lines {
    start: *mut u8,
    count: usize,
    stride: usize,
}

impl Lines {
    fn of(block: &Block, params: &ChaseParams) -> Self {
        let count = params.lines(block.size() as u64);
        Self {
            start: block.start(),
            // Both are at most the size of the block.
            count: count as usize,
            stride: params.stride_bytes as usize,
        }
    }

    /// Returns the address of a line. With strides above a line, each stride uses another of its
    /// lines, so that the sets of a cache are used alike: those of one page offset would share
    /// few of them.
    fn address(&self, line: usize) -> *mut u8 {
        assert!(line < self.count);
        let per_stride = self.stride / CHASE_LINE_BYTES as usize;
        let within = (line ^ (line / per_stride)) % per_stride;
        let offset = line * self.stride + within * CHASE_LINE_BYTES as usize;
        self.start.wrapping_add(offset)
    }

    fn next(&self, line: usize) -> *mut u8 {
        // SAFETY: the address is within the block and aligned to a line; no other thread accesses
        // the block before the run.
        unsafe { self.address(line).cast::<*mut u8>().read() }
    }

    fn set_next(&self, line: usize, next: *mut u8) {
        // SAFETY: as in `next`.
        unsafe { self.address(line).cast::<*mut u8>().write(next) }
    }

    fn swap_next(&self, a: usize, b: usize) {
        let (next_of_a, next_of_b) = (self.next(a), self.next(b));
        self.set_next(a, next_of_b);
        self.set_next(b, next_of_a);
    }
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use std::arch::asm;

    use super::UNROLLED;

    /// Follows the cycle for `rounds` times [`UNROLLED`] loads; returns where it ends.
    #[inline(always)]
    pub fn follow(mut at: *mut u8, rounds: u64) -> *mut u8 {
        // SAFETY: each load reads the address of a line of the same mapped block.
        unsafe {
            asm!(
                ".p2align 6",
                "2:",
                ".rept {unrolled}",
                "mov {at}, qword ptr [{at}]",
                ".endr",
                "dec {rounds}",
                "jnz 2b",
                unrolled = const UNROLLED,
                at = inout(reg) at,
                rounds = inout(reg) rounds => _,
                options(readonly, nostack),
            );
        }
        at
    }
}

/// The same loads, volatile, which compilers do not drop.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[cfg_attr(target_arch = "x86_64", allow(dead_code))]
mod portable {
    use super::UNROLLED;

    pub fn follow(mut at: *mut u8, rounds: u64) -> *mut u8 {
        for _ in 0..rounds {
            for _ in 0..UNROLLED {
                // SAFETY: each load reads the address of a line of the same mapped block.
                at = unsafe { at.cast::<*mut u8>().read_volatile() };
            }
        }
        at
    }
}

#[cfg(not(target_arch = "x86_64"))]
use portable as arch;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;
    use crate::plan::PageSource;

    fn params(stride_bytes: u64, window_bytes: u64) -> ChaseParams {
        ChaseParams {
            stride_bytes,
            window_bytes,
        }
    }

    /// Lays a cycle and returns the offsets of its lines in the order of the loads, from the start.
    fn order(size: u64, params: &ChaseParams, seed: u64) -> Vec<usize> {
        let block = Block::map(size, PageSource::Policy).unwrap();
        lay_cycle(&block, params, &mut Xoshiro256PlusPlus::seed_from_u64(seed));
        let begin = Chase::begin(&block, params, 0, 1).at;
        let mut at = begin;
        let mut offsets = Vec::new();
        loop {
            offsets.push(at as usize - block.start() as usize);
            // SAFETY: `at` is a line of the block.
            at = unsafe { at.cast::<*mut u8>().read() };
            if at == begin || offsets.len() as u64 > params.lines(size) {
                return offsets;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_loads_are_one_cycle_through_one_line_per_stride(
            lines in 1u64..300,
            shift in 6u32..13,
            window_lines in 1u64..300,
            seed: u64,
        ) {
            let stride = 1 << shift;
            let params = params(stride, window_lines.min(lines) * stride);
            let order = order(lines * stride, &params, seed);
            prop_assert_eq!(order.len() as u64, lines);
            let strides: HashSet<u64> = order.iter().map(|&at| at as u64 / stride).collect();
            prop_assert_eq!(strides.len() as u64, lines);
            prop_assert!(order.iter().all(|at| at.is_multiple_of(64)));
        }

        #[test]
        fn the_lines_of_a_window_are_visited_together(
            lines in 1u64..300,
            window_lines in 1u64..50,
            seed: u64,
        ) {
            let window = window_lines.min(lines) * 64;
            let order = order(lines * 64, &params(64, window), seed);
            let windows: Vec<u64> = order.iter().map(|&at| at as u64 / window).collect();
            // The walk begins at the first line of a window, which is the last that it visits of it.
            let changes = windows.iter().zip(windows.iter().cycle().skip(1)).filter(|(a, b)| a != b);
            let expected = match lines.div_ceil(window_lines.min(lines)) {
                1 => 0,
                windows => windows as usize,
            };
            prop_assert_eq!(changes.count(), expected);
        }
    }

    #[test]
    fn a_seed_gives_the_same_cycle_again_and_another_seed_another() {
        let order = |seed| order(64 << 10, &params(64, 64 << 10), seed);
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn lines_of_a_large_stride_use_the_sets_of_a_cache_alike() {
        // 2048 sets, as of an L2 cache of 1 MiB with 8 ways.
        let sets: HashSet<usize> = order(2048 * 4096, &params(4096, 2048 * 4096), 1)
            .iter()
            .map(|at| at / 64 % 2048)
            .collect();
        assert_eq!(sets.len(), 2048);
    }

    #[test]
    fn an_event_follows_the_cycle_and_continues_where_the_last_one_ended() {
        let params = params(64, 64 * 5);
        let block = Block::map(64 * 5, PageSource::Policy).unwrap();
        lay_cycle(&block, &params, &mut Xoshiro256PlusPlus::seed_from_u64(3));
        for follow in [arch::follow, portable::follow] {
            let mut chase = Chase::begin(&block, &params, 0, 1);
            let begin = chase.at;
            let mut expected = begin;
            for rounds in [1, 2, 5] {
                for _ in 0..rounds * UNROLLED {
                    // SAFETY: `expected` is a line of the block.
                    expected = unsafe { expected.cast::<*mut u8>().read() };
                }
                chase.at = follow(chase.at, rounds);
                assert_eq!(chase.at, expected);
            }
            // 8 * 64 loads in a cycle of 5 lines end 2 lines from the start.
            assert_ne!(expected, begin);
        }
    }

    #[test]
    fn threads_begin_at_different_parts_of_a_shared_cycle() {
        let block = Block::map(4096, PageSource::Policy).unwrap();
        let begin = |part| Chase::begin(&block, &params(64, 4096), part, 4).at;
        let offsets = [0, 1, 2, 3].map(|part| begin(part) as usize - block.start() as usize);
        assert_eq!(offsets, [0, 1024, 2048, 3072]);
    }
}
