//! The cpu test: primes by trial division, as sysbench 0.4.12 counts them.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::Result;

use super::claims::{Claims, Repeated};
use crate::clock::Clock;
use crate::engine::{EventLoop, Progress, Worker, Workload};
use crate::measure::Transfer;
use crate::plan::CpuParams;

/// Events that each count the primes below a bound.
#[derive(Debug)]
pub struct Cpu {
    max_prime: u64,
    claims: Claims,
}

impl Cpu {
    /// `events` in all (None: no limit), for `threads` threads.
    pub fn new(params: &CpuParams, events: Option<u64>, threads: usize) -> Self {
        Self {
            max_prime: params.max_prime.get(),
            claims: Claims::new(events, threads, 1),
        }
    }
}

impl Workload for Cpu {
    type Worker = CpuWorker;

    fn worker(self: Arc<Self>, _thread: usize) -> Result<CpuWorker> {
        Ok(CpuWorker { shared: self })
    }

    fn progress(&self) -> Progress {
        self.claims.progress()
    }
}

/// One thread's part.
#[derive(Debug)]
pub struct CpuWorker {
    shared: Arc<Cpu>,
}

impl Worker for CpuWorker {
    fn run<C: Clock>(&mut self, events: EventLoop<'_, C>) -> Result<()> {
        let max_prime = self.shared.max_prime;
        events.run(&mut Repeated::new(
            &self.shared.claims,
            Transfer::None,
            || {
                black_box(primes_below(black_box(max_prime)));
            },
        ))
    }
}

/// Counts the candidates c, 3 <= c < `bound`, that no l with 2 <= l <= floor(sqrt(c)) divides;
/// trial division stops at the first divisor.
///
/// The trial by 2 is a test of the lowest bit, as in sysbench, where compilers make that of the
/// loop's first turn: a division there would cost 7 % more of them and as much of the figure.
/// Every other trial is one 64-bit division.
#[inline(never)]
pub fn primes_below(bound: u64) -> u64 {
    let mut primes = 0;
    for candidate in 3..bound {
        // Through i64, as an instruction converts that; a candidate beyond it is centuries away.
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

/// The remainder by one 64-bit DIV.
///
/// The compiler's own `%` tests for operands of 32 bits and divides those by a 32-bit DIV, which
/// is another instruction with another cost: two to three times on Intel before Ice Lake.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn remainder(dividend: u64, divisor: u64) -> u64 {
    debug_assert_ne!(divisor, 0);
    let remainder: u64;
    // SAFETY: the high half of the dividend is 0, below any divisor, so that the quotient fits;
    // the divisor is at least 2. DIV changes RAX, RDX and flags only.
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
    fn the_primes_are_those_of_the_tables() {
        // pi(n) of OEIS A006880 and alike, less the prime 2, which is no candidate.
        for (bound, pi) in [
            (3, 1),
            (10, 4),
            (100, 25),
            (1_000, 168),
            (10_000, 1229),
            (20_000, 2262),
        ] {
            assert_eq!(primes_below(bound), pi - 1, "below {bound}");
        }
    }

    proptest! {
        #[test]
        fn the_division_instruction_gives_the_remainder(dividend: u64, divisor in 1u64..) {
            prop_assert_eq!(remainder(dividend, divisor), dividend % divisor);
        }
    }
}
