//! The cpu test: primes by trial division, with the loop of sysbench 0.4.12 or that of 1.0.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::Result;

use super::claims::{Claims, Repeated};
use crate::engine::Transfer;
use crate::engine::{EventLoop, EventSource, Phase, Progress, Timing, Worker};
use crate::plan::{CpuBound, CpuParams};

/// Events that each count the primes below a bound.
#[derive(Debug)]
pub struct Cpu {
    max_prime: u64,
    bound: CpuBound,
    claims: Claims,
}

impl Cpu {
    /// Creates `events` events in total (`None`: unlimited), for `threads` threads.
    pub fn new(params: &CpuParams, events: Option<u64>, threads: usize) -> Self {
        Self {
            max_prime: params.max_prime.get(),
            bound: params.bound,
            claims: Claims::new(events, threads, 1),
        }
    }
}

impl EventSource for Cpu {
    type Worker = CpuWorker;

    fn worker(self: Arc<Self>, _thread: usize) -> Result<CpuWorker> {
        Ok(CpuWorker { shared: self })
    }

    fn progress(&self) -> Progress {
        self.claims.progress()
    }

    fn begin(&self, phase: Phase) -> Result<()> {
        self.claims.begin(phase);
        Ok(())
    }
}

/// One worker thread.
#[derive(Debug)]
pub struct CpuWorker {
    shared: Arc<Cpu>,
}

impl Worker for CpuWorker {
    fn run<T: Timing>(&mut self, events: EventLoop<'_, T>) -> Result<()> {
        let max_prime = self.shared.max_prime;
        let claims = &self.shared.claims;
        match self.shared.bound {
            CpuBound::Integer => events.run(&mut Repeated::new(claims, Transfer::None, || {
                black_box(primes_below(black_box(max_prime)));
            })),
            CpuBound::Double => events.run(&mut Repeated::new(claims, Transfer::None, || {
                black_box(primes_below_by_doubles(black_box(max_prime)));
            })),
        }
    }
}

/// Counts the candidates c, 3 <= c < `bound`, that no l with 2 <= l <= floor(sqrt(c)) divides;
/// trial division stops at the first divisor.
///
/// The trial by 2 tests the lowest bit, as in sysbench, where compilers reduce the first iteration
/// to that: a division there would add 7 % to the divisions and as much to the result. Every other
/// trial is one 64-bit division.
#[inline(never)]
pub fn primes_below(bound: u64) -> u64 {
    let mut primes = 0;
    for candidate in 3..bound {
        // Via i64, which one instruction converts; a candidate beyond it is centuries away.
        let last = (candidate as i64 as f64).sqrt() as i64 as u64;
        if last >= 2 && candidate & 1 == 0 {
            continue;
        }
        let mut divisor = 3;
        while divisor <= last && remainder(candidate, divisor) != 0 {
            divisor += 1;
        }
        if divisor > last {
            primes += 1;
        }
    }
    primes
}

/// Counts the same numbers as [`primes_below`], but compares each divisor with the square root as a
/// double, which adds a conversion to every division.
///
/// The trial by 2 is a test of the lowest bit here, too.
#[inline(never)]
pub fn primes_below_by_doubles(bound: u64) -> u64 {
    let mut primes = 0;
    for candidate in 3..bound {
        let root = (candidate as i64 as f64).sqrt();
        if root >= 2.0 && candidate & 1 == 0 {
            continue;
        }
        let mut divisor = 3u64;
        // Via i64, which one instruction converts; a divisor beyond it is centuries away.
        while divisor as i64 as f64 <= root && remainder(candidate, divisor) != 0 {
            divisor += 1;
        }
        if divisor as i64 as f64 > root {
            primes += 1;
        }
    }
    primes
}

/// Returns the remainder by one 64-bit DIV.
///
/// The compiler's `%` checks for 32-bit operands and uses a 32-bit DIV for those, whose cost
/// differs by a factor of two to three on Intel before Ice Lake.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn remainder(dividend: u64, divisor: u64) -> u64 {
    debug_assert_ne!(divisor, 0);
    let remainder: u64;
    // SAFETY: the high half of the dividend is 0, less than any divisor, so the quotient fits; the
    // divisor is at least 2. DIV changes only RAX, RDX and the flags.
    unsafe {
        std::arch::asm!(
            "xor edx, edx",
            "div {divisor}",
            divisor = in(reg) divisor,
            inlateout("rax") dividend => _,
            out("rdx") remainder,
            options(pure, nomem, nostack),
        );
    }
    remainder
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn remainder(dividend: u64, divisor: u64) -> u64 {
    dividend % divisor
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_prime_counts_match_published_tables() {
        // pi(n) from OEIS A006880 and similar, minus the prime 2, which is not a candidate.
        for (bound, pi) in [
            (3, 1),
            (10, 4),
            (100, 25),
            (1_000, 168),
            (10_000, 1229),
            (20_000, 2262),
        ] {
            assert_eq!(primes_below(bound), pi - 1, "below {bound}");
            assert_eq!(primes_below_by_doubles(bound), pi - 1, "below {bound}");
        }
    }

    proptest! {
        #[test]
        fn the_division_instruction_gives_the_remainder(dividend: u64, divisor in 1u64..) {
            prop_assert_eq!(remainder(dividend, divisor), dividend % divisor);
        }
    }
}
