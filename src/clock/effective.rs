//! The effective clock of a CPU: the cycles that it really does per second. Neither the frequency
//! of the TSC nor the one that the kernel shows is affected by turbo, heat or a hypervisor.
//!
//! An addition whose operand is the result of the one before takes one cycle on every x86-64 and
//! 64-bit Arm CPU of the last decades (latency 1 of ADD in the tables of uops.info and in Arm's
//! software optimization guides). A chain of known length therefore counts cycles without
//! performance counters or privileges. Both operands are registers: recent CPUs compute sums with
//! an immediate operand at register renaming, in no time. Under emulation it is the rate of
//! emulated additions.

use std::arch::asm;
use std::thread;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::Clock;
use crate::host::accounting::thread_cpu_time;

/// Additions of a round, unrolled: the loop's own instructions execute beside them.
const ADDITIONS_PER_ROUND: u64 = 64;

/// Rounds of a repetition: 131,072 cycles, 44 µs at 3 GHz, of which a reading of the TSC is 0.1 %.
const ROUNDS: u64 = 2048;

/// Largest number of repetitions.
const REPETITIONS: usize = 20;

/// Repetitions that are made even if they take long.
const LEAST_REPETITIONS: usize = 5;

/// CPU time after which no repetition begins, if there are [`LEAST_REPETITIONS`].
const BUDGET: Duration = Duration::from_micros(1500);

/// The effective clock of a CPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EffectiveClock {
    /// Cycles per nanosecond.
    pub ghz: f64,
    /// Relative error bound: the resolution of the clock that timed the chain, and the spread of
    /// the repetitions.
    pub error: f64,
}

impl EffectiveClock {
    /// Measures the clock of this CPU, or of the one that the calling thread runs on; None if the
    /// CPU cannot be used, or the time is too coarse.
    pub fn measure<C: Clock>(clock: C, cpu: Option<usize>) -> Option<Self> {
        let Some(cpu) = cpu else {
            return Self::of_this_cpu(clock);
        };
        // A separate thread is bound, so that the affinity of this one stays as it is.
        thread::scope(|scope| {
            let bound = move || {
                let mut set = CpuSet::new();
                set.set(cpu).ok()?;
                sched_setaffinity(Pid::from_raw(0), &set).ok()?;
                Self::of_this_cpu(clock)
            };
            let thread = thread::Builder::new().spawn_scoped(scope, bound).ok()?;
            thread.join().ok()?
        })
    }

    fn of_this_cpu<C: Clock>(clock: C) -> Option<Self> {
        let resolution_ns = resolution_ns(clock)?;
        let mut durations = Vec::with_capacity(REPETITIONS);
        let began = thread_cpu_time();
        loop {
            let start = clock.start();
            add(ROUNDS);
            durations.push(clock.scale().between(start, clock.stop()).0);
            let is_spent = thread_cpu_time().saturating_sub(began) >= BUDGET;
            let count = durations.len();
            if count >= REPETITIONS || count >= LEAST_REPETITIONS && is_spent {
                return Self::of_durations(durations, resolution_ns);
            }
        }
    }

    /// Returns the clock by the fastest repetition, in nanoseconds: interruptions, and other work
    /// on the same core, only lengthen one.
    ///
    /// The chain took as long as measured, less at most two readings of the clock or two of its
    /// steps. If half of the repetitions agree, none of these was disturbed, unless all were alike.
    fn of_durations(mut durations: Vec<u64>, resolution_ns: u64) -> Option<Self> {
        durations.sort_unstable();
        let fastest = durations.first().copied().filter(|&ns| ns > 0)?;
        let median = durations[durations.len() / 2];
        let uncertain_ns = 2 * resolution_ns + (median - fastest);
        Some(Self {
            ghz: (ADDITIONS_PER_ROUND * ROUNDS) as f64 / fastest as f64,
            error: uncertain_ns as f64 / fastest as f64,
        })
    }
}

/// Returns the smallest difference between two consecutive readings: the cost of a reading, or the
/// step of a clock that is coarser; None if all readings are equal.
fn resolution_ns<C: Clock>(clock: C) -> Option<u64> {
    const READINGS: usize = 100;
    let mut last = clock.stop();
    let difference = || {
        let now = clock.stop();
        let ns = clock.scale().between(last, now).0;
        last = now;
        ns
    };
    std::iter::repeat_with(difference)
        .take(READINGS)
        .filter(|&ns| ns > 0)
        .min()
}

/// Adds `rounds` times [`ADDITIONS_PER_ROUND`] numbers, each to the sum of those before.
#[cfg(target_arch = "x86_64")]
fn add(rounds: u64) {
    // SAFETY: changes only these three registers and the flags.
    unsafe {
        asm!(
            ".p2align 6",
            "2:",
            ".rept {additions}",
            "add {sum}, {number}",
            ".endr",
            "dec {rounds}",
            "jnz 2b",
            additions = const ADDITIONS_PER_ROUND,
            sum = inout(reg) 0u64 => _,
            number = in(reg) 3u64,
            rounds = inout(reg) rounds => _,
            options(nostack),
        );
    }
}

/// Adds `rounds` times [`ADDITIONS_PER_ROUND`] numbers, each to the sum of those before.
#[cfg(target_arch = "aarch64")]
fn add(rounds: u64) {
    // SAFETY: changes only these three registers and the flags.
    unsafe {
        asm!(
            ".p2align 6",
            "2:",
            ".rept {additions}",
            "add {sum}, {sum}, {number}",
            ".endr",
            "subs {rounds}, {rounds}, #1",
            "b.ne 2b",
            additions = const ADDITIONS_PER_ROUND,
            sum = inout(reg) 0u64 => _,
            number = in(reg) 3u64,
            rounds = inout(reg) rounds => _,
            options(nostack),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Monotonic, Scale, Ticks};

    const ADDITIONS: f64 = (ADDITIONS_PER_ROUND * ROUNDS) as f64;

    #[test]
    fn the_fastest_repetition_counts_however_long_the_others_took() {
        for others in [50_000, 51_000, 9_000_000] {
            let mut durations = vec![others; 15];
            durations.extend([40_000; 5]);
            let clock = EffectiveClock::of_durations(durations, 0).unwrap();
            assert_eq!(clock.ghz, ADDITIONS / 40_000.0);
        }
    }

    #[test]
    fn the_error_is_two_steps_of_the_clock_and_the_spread_of_the_faster_half() {
        let error = |durations: Vec<u64>, resolution_ns| {
            let clock = EffectiveClock::of_durations(durations, resolution_ns);
            clock.unwrap().error
        };
        assert_eq!(error(vec![40_000; 8], 0), 0.0);
        assert_eq!(error(vec![40_000; 8], 20), 0.001);
        let disturbed = |agree: usize| {
            let mut durations = vec![40_000; agree];
            durations.resize(8, 48_000);
            durations
        };
        assert_eq!(error(disturbed(5), 0), 0.0);
        assert_eq!(error(disturbed(4), 0), 0.2);
        assert_eq!(error(disturbed(1), 20), 0.201);
    }

    #[test]
    fn repetitions_without_a_duration_have_no_clock() {
        assert_eq!(EffectiveClock::of_durations(vec![0; 8], 1), None);
        assert_eq!(EffectiveClock::of_durations(Vec::new(), 1), None);
    }

    /// CLOCK_MONOTONIC in steps of a timer tick, as on a kernel without a better clock source.
    #[derive(Clone, Copy)]
    struct TimerTicks;

    impl Clock for TimerTicks {
        fn start(self) -> Ticks {
            let ns = Monotonic.start().0;
            Ticks(ns - ns % (1 << 40))
        }

        fn stop(self) -> Ticks {
            self.start()
        }

        fn scale(self) -> Scale {
            Scale::from_hz(1e9)
        }
    }

    #[test]
    fn a_clock_that_does_not_advance_measures_nothing() {
        assert_eq!(EffectiveClock::measure(TimerTicks, None), None);
    }

    #[test]
    fn a_cpu_that_does_not_exist_has_no_clock() {
        for cpu in [CpuSet::count() - 1, usize::MAX] {
            assert_eq!(EffectiveClock::measure(Monotonic, Some(cpu)), None);
        }
    }

    #[test]
    fn the_time_of_a_chain_is_in_proportion_to_its_length() {
        let fastest = |rounds| {
            let once = || {
                let start = Monotonic.start();
                add(rounds);
                Monotonic.stop().since(start)
            };
            (0..100).map(|_| once()).min().expect("repetitions") as f64
        };
        // The CPU's frequency may change in between.
        let ratio = fastest(8 * ROUNDS) / fastest(ROUNDS);
        assert!((3.0..24.0).contains(&ratio), "{ratio}");
    }
}
