//! The measured loops over memory.
//!
//! Written in assembly on x86-64, so that exactly this code runs: 16-byte SSE2 accesses, which
//! every x86-64 has, 64 bytes per iteration. No memset, no dispatch by CPU features, and nothing
//! that a compiler could drop as useless.

use rand::Rng;

use super::block::Block;

/// Value stored: not zero, which some memory managers treat specially.
const WORD: u32 = 0xa5a5_5a5a;

/// Loads every byte of the block once, from start to end.
#[inline(always)]
pub(super) fn load_all(block: &Block) {
    arch::load_all(block.start(), block.size());
}

/// Stores every byte of the block once, from start to end.
#[inline(always)]
pub(super) fn store_all(block: &Block) {
    arch::store_all(block.start(), block.size());
}

/// Loads length / 4 words, each at a random position.
#[inline(always)]
pub(super) fn load_at_random(block: &Block, positions: &mut impl Rng) {
    for _ in 0..words(block) {
        arch::load_word(draw(block, positions));
    }
}

/// Stores length / 4 words, each at a random position.
#[inline(always)]
pub(super) fn store_at_random(block: &Block, positions: &mut impl Rng) {
    for _ in 0..words(block) {
        arch::store_word(draw(block, positions));
    }
}

fn words(block: &Block) -> usize {
    block.size() / 4
}

/// Returns the address of a uniformly random word: the high part of a 64-bit product (Lemire, "Fast
/// random integer generation in an interval", 2019; the bias is below 2^-32).
#[inline(always)]
fn draw(block: &Block, positions: &mut impl Rng) -> *mut u32 {
    let word = (u128::from(positions.next_u64()) * words(block) as u128) >> 64;
    block.start().cast::<u32>().wrapping_add(word as usize)
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use std::arch::asm;

    use super::WORD;

    #[inline(always)]
    pub fn load_all(start: *mut u8, len: usize) {
        // SAFETY: the loop and its tail stay within `len` bytes from `start`, which is mapped and
        // aligned to 16; the loaded values are dropped.
        unsafe {
            asm!(
                "cmp {at}, {lines}",
                "jae 3f",
                ".p2align 5",
                "2:",
                "movaps xmm0, xmmword ptr [{at}]",
                "movaps xmm1, xmmword ptr [{at} + 16]",
                "movaps xmm2, xmmword ptr [{at} + 32]",
                "movaps xmm3, xmmword ptr [{at} + 48]",
                "add {at}, 64",
                "cmp {at}, {lines}",
                "jb 2b",
                "3:",
                "lea {lines}, [{at} + 16]",
                "cmp {lines}, {end}",
                "ja 4f",
                "movaps xmm0, xmmword ptr [{at}]",
                "mov {at}, {lines}",
                "jmp 3b",
                "4:",
                "cmp {at}, {end}",
                "jae 5f",
                "movd xmm0, dword ptr [{at}]",
                "add {at}, 4",
                "jmp 4b",
                "5:",
                at = inout(reg) start => _,
                lines = inout(reg) start.wrapping_add(len / 64 * 64) => _,
                end = in(reg) start.wrapping_add(len),
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                options(readonly, nostack),
            );
        }
    }

    #[inline(always)]
    pub fn store_all(start: *mut u8, len: usize) {
        // SAFETY: as in `load_all`; the stored bytes are accessed through raw pointers only.
        unsafe {
            asm!(
                "movd xmm0, {word:e}",
                "pshufd xmm0, xmm0, 0",
                "cmp {at}, {lines}",
                "jae 3f",
                ".p2align 5",
                "2:",
                "movaps xmmword ptr [{at}], xmm0",
                "movaps xmmword ptr [{at} + 16], xmm0",
                "movaps xmmword ptr [{at} + 32], xmm0",
                "movaps xmmword ptr [{at} + 48], xmm0",
                "add {at}, 64",
                "cmp {at}, {lines}",
                "jb 2b",
                "3:",
                "lea {lines}, [{at} + 16]",
                "cmp {lines}, {end}",
                "ja 4f",
                "movaps xmmword ptr [{at}], xmm0",
                "mov {at}, {lines}",
                "jmp 3b",
                "4:",
                "cmp {at}, {end}",
                "jae 5f",
                "movd dword ptr [{at}], xmm0",
                "add {at}, 4",
                "jmp 4b",
                "5:",
                at = inout(reg) start => _,
                lines = inout(reg) start.wrapping_add(len / 64 * 64) => _,
                end = in(reg) start.wrapping_add(len),
                word = in(reg) WORD,
                out("xmm0") _,
                options(nostack),
            );
        }
    }

    #[inline(always)]
    pub fn load_word(at: *mut u32) {
        // SAFETY: the caller drew the address within a mapped block.
        unsafe {
            asm!("mov {value:e}, dword ptr [{at}]", at = in(reg) at, value = out(reg) _,
                 options(readonly, nostack, preserves_flags));
        }
    }

    #[inline(always)]
    pub fn store_word(at: *mut u32) {
        // SAFETY: the caller drew the address within a mapped block, which is accessed through raw
        // pointers only.
        unsafe {
            asm!("mov dword ptr [{at}], {value:e}", at = in(reg) at, value = in(reg) WORD,
                 options(nostack, preserves_flags));
        }
    }
}

/// The same accesses as relaxed atomics of 8 and 4 bytes, which compilers neither merge nor drop.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[cfg_attr(target_arch = "x86_64", allow(dead_code))]
mod portable {
    use std::hint::black_box;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    use super::WORD;

    const LONG: u64 = (WORD as u64) << 32 | WORD as u64;

    pub fn load_all(start: *mut u8, len: usize) {
        let (longs, rest) = parts(start, len);
        longs.for_each(|at| _ = black_box(long(at).load(Ordering::Relaxed)));
        rest.for_each(load_word);
    }

    pub fn store_all(start: *mut u8, len: usize) {
        let (longs, rest) = parts(start, len);
        longs.for_each(|at| long(at).store(LONG, Ordering::Relaxed));
        rest.for_each(store_word);
    }

    pub fn load_word(at: *mut u32) {
        black_box(word(at).load(Ordering::Relaxed));
    }

    pub fn store_word(at: *mut u32) {
        word(at).store(WORD, Ordering::Relaxed);
    }

    fn parts(
        start: *mut u8,
        len: usize,
    ) -> (
        impl Iterator<Item = *mut u64>,
        impl Iterator<Item = *mut u32>,
    ) {
        let longs = (0..len / 8).map(move |i| start.cast::<u64>().wrapping_add(i));
        let rest = (len / 8 * 2..len / 4).map(move |i| start.cast::<u32>().wrapping_add(i));
        (longs, rest)
    }

    fn long<'a>(at: *mut u64) -> &'a AtomicU64 {
        // SAFETY: the address is in a mapped block, aligned, and accessed by atomics only.
        unsafe { AtomicU64::from_ptr(at) }
    }

    fn word<'a>(at: *mut u32) -> &'a AtomicU32 {
        // SAFETY: as in `long`.
        unsafe { AtomicU32::from_ptr(at) }
    }
}

#[cfg(not(target_arch = "x86_64"))]
use portable as arch;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PageSource;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    fn bytes(block: &Block) -> Vec<u8> {
        // SAFETY: the block is mapped for its length, and no other thread uses it.
        unsafe { std::slice::from_raw_parts(block.start(), block.size()) }.to_vec()
    }

    fn expected(len: usize) -> Vec<u8> {
        WORD.to_ne_bytes().into_iter().cycle().take(len).collect()
    }

    #[test]
    fn a_write_stores_every_byte_and_none_beyond() {
        for len in [4, 8, 12, 16, 20, 60, 64, 68, 124, 1024, 4092, 4096, 4100] {
            for store in [arch::store_all, portable::store_all] {
                let block = Block::map(8192, PageSource::Policy).unwrap();
                let before = bytes(&block);
                store(block.start(), len);
                let after = bytes(&block);
                assert_eq!(after[..len], expected(len), "{len} bytes");
                assert_eq!(after[len..], before[len..], "beyond {len} bytes");
            }
        }
    }

    #[test]
    fn a_read_changes_nothing_and_stays_within_its_mapping() {
        for len in [4u64, 20, 64, 1024, 4092, 4096] {
            for load in [arch::load_all, portable::load_all] {
                let block = Block::map(len, PageSource::Policy).unwrap();
                let before = bytes(&block);
                load(block.start(), block.size());
                assert_eq!(bytes(&block), before);
            }
        }
    }

    #[test]
    fn random_writes_reach_every_word_and_none_beyond() {
        let block = Block::map(64, PageSource::Policy).unwrap();
        let mut positions = Xoshiro256PlusPlus::seed_from_u64(7);
        (0..100).for_each(|_| store_at_random(&block, &mut positions));
        assert_eq!(bytes(&block), expected(64));
    }

    #[test]
    fn a_random_event_stores_fewer_words_than_the_block_has_because_some_are_drawn_twice() {
        let block = Block::map(4096, PageSource::Policy).unwrap();
        store_at_random(&block, &mut Xoshiro256PlusPlus::seed_from_u64(7));
        let stored = bytes(&block)
            .chunks(4)
            .filter(|w| **w == WORD.to_ne_bytes())
            .count();
        // 1 - 1/e of 1024 words are drawn at least once: 647 on average, standard deviation 16.
        assert!((550..750).contains(&stored), "{stored}");
    }
}
