//! The schedule of an open loop: when each event arrives.
//!
//! All threads take their events from one schedule, in its order. A thread that is in a long event
//! therefore delays no event that another thread is free to start, as it would if each thread had a
//! schedule of its own, and the rate does not depend on how the threads share the work.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::TryRng;
use rand::rand_core::utils::fill_bytes_via_next_word;
use rand_distr::{Distribution, Exp1};

use crate::plan::{Arrival, Arrivals, Seed};

/// Length of the mean interval in the unit of the schedule: the mean rate is exact, and 2^44 intervals
/// fit in 64 bits.
const INTERVAL: u64 = 1 << 20;

/// Most arrivals that [`ArrivalSchedule::unclaimed`] counts one by one.
const MAX_COUNTED: u64 = 1 << 20;

/// Arrival times, in order, claimed by any number of threads without a lock.
///
/// Each time determines the next one, so that a schedule depends on the seed alone, and not on which
/// thread claims what. It is on its own cache line (and the adjacent one, which CPUs prefetch).
#[derive(Debug)]
#[repr(align(128))]
pub struct ArrivalSchedule {
    /// The first arrival that was not claimed, after the start.
    next: AtomicU64,
    distribution: Arrival,
    key: u64,
    /// Ticks of the clock per unit of the schedule.
    ticks_per_unit: f64,
}

impl ArrivalSchedule {
    /// Creates a schedule for a clock of this rate.
    pub fn new(arrivals: Arrivals, seed: Seed, hz: f64) -> Self {
        let schedule = Self {
            next: AtomicU64::new(0),
            distribution: arrivals.distribution,
            key: mixed(u64::from(seed.0.unwrap_or(0))),
            ticks_per_unit: hz / arrivals.rate_per_s / INTERVAL as f64,
        };
        schedule.restart();
        schedule
    }

    /// Makes all arrivals unclaimed again.
    pub fn restart(&self) {
        let first = match self.distribution {
            Arrival::Poisson => self.following(0),
            // In the middle of its interval: N intervals have exactly N arrivals.
            Arrival::Uniform => INTERVAL / 2,
        };
        self.next.store(first, Ordering::Relaxed);
    }

    /// Claims the next arrival; returns its time in ticks after the start.
    #[inline]
    pub fn claim(&self) -> u64 {
        let mut time = self.next.load(Ordering::Relaxed);
        loop {
            let following = self.following(time);
            let claimed = self.next.compare_exchange_weak(
                time,
                following,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match claimed {
                Ok(time) => return self.ticks(time),
                Err(other) => time = other,
            }
        }
    }

    /// Returns how many unclaimed arrivals are not later than this many ticks after the start. Above a
    /// million, arrivals of a Poisson process are the expected number.
    pub fn unclaimed(&self, elapsed: u64) -> u64 {
        let mut time = self.next.load(Ordering::Relaxed);
        let mut count = 0;
        while self.ticks(time) <= elapsed {
            if count == MAX_COUNTED {
                return count + self.expected(time, elapsed);
            }
            count += 1;
            time = self.following(time);
        }
        count
    }

    /// Returns the expected number of unclaimed arrivals that are not later than this many ticks after
    /// the start.
    pub fn expected_unclaimed(&self, elapsed: u64) -> u64 {
        self.expected(self.next.load(Ordering::Relaxed), elapsed)
    }

    /// Returns the expected number of arrivals from this one until this many ticks after the start.
    fn expected(&self, time: u64, elapsed: u64) -> u64 {
        match elapsed.checked_sub(self.ticks(time)) {
            Some(ticks) => 1 + (ticks as f64 / self.ticks_per_unit / INTERVAL as f64) as u64,
            None => 0,
        }
    }

    /// Returns the ticks in which this many events arrive on average.
    pub fn ticks_of(&self, events: u64) -> u64 {
        (events as f64 * INTERVAL as f64 * self.ticks_per_unit) as u64
    }

    #[inline]
    fn ticks(&self, time: u64) -> u64 {
        (time as f64 * self.ticks_per_unit) as u64
    }

    /// Returns the arrival after this one.
    #[inline]
    fn following(&self, time: u64) -> u64 {
        let interval = match self.distribution {
            Arrival::Uniform => INTERVAL,
            Arrival::Poisson => {
                let interval: f64 = Exp1.sample(&mut Bits(time ^ self.key));
                // Via i64, which one instruction converts.
                ((interval * INTERVAL as f64) as i64 as u64).max(1)
            }
        };
        time.saturating_add(interval)
    }
}

/// Random bits that a number determines: SplitMix64 from there.
struct Bits(u64);

impl TryRng for Bits {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|bits| (bits >> 32) as u32)
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let bits = mixed(self.0);
        self.0 = self.0.wrapping_add(GAMMA);
        Ok(bits)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        fill_bytes_via_next_word(bytes, || self.try_next_u64())
    }
}

/// Increment of SplitMix64.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns a hash whose bits depend on all bits of the value: the output function of SplitMix64
/// (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[inline]
fn mixed(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(GAMMA);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: f64 = 1e9;

    fn schedule(distribution: Arrival, rate_per_s: f64, seed: u32) -> ArrivalSchedule {
        let arrivals = Arrivals {
            rate_per_s,
            distribution,
            max_backlog: None,
        };
        ArrivalSchedule::new(arrivals, Seed(Some(seed)), HZ)
    }

    /// Claims arrivals, in nanoseconds.
    fn claimed(schedule: &ArrivalSchedule, count: usize) -> Vec<u64> {
        (0..count).map(|_| schedule.claim()).collect()
    }

    /// The intervals between arrivals as multiples of their mean.
    fn poisson_intervals(count: usize, seed: u32) -> Vec<f64> {
        let arrivals = claimed(&schedule(Arrival::Poisson, 1000.0, seed), count + 1);
        let pairs = arrivals.windows(2);
        pairs.map(|pair| (pair[1] - pair[0]) as f64 / 1e6).collect()
    }

    #[test]
    fn uniform_arrivals_are_exactly_as_many_as_the_rate_says() {
        for rate in [0.1, 7.0, 10.0, 1e3, 1e5, 1e7] {
            let schedule = schedule(Arrival::Uniform, rate, 0);
            let seconds = 100.0;
            assert_eq!(
                schedule.unclaimed((seconds * HZ) as u64),
                (rate * seconds) as u64,
                "{rate}"
            );
            let first = claimed(&schedule, 3);
            for (number, time) in first.into_iter().enumerate() {
                let exact = (number as f64 + 0.5) / rate * HZ;
                assert!((time as f64 - exact).abs() <= 1.0, "{rate}: {time}");
            }
        }
    }

    /// Kolmogorov-Smirnov: the largest distance between the empirical and the exponential
    /// distribution stays below 1.95 / sqrt(n) with a probability of 0.999.
    #[test]
    fn intervals_of_poisson_arrivals_are_exponential() {
        for seed in [0, 1, 77] {
            let mut intervals = poisson_intervals(100_000, seed);
            intervals.sort_by(f64::total_cmp);
            let n = intervals.len() as f64;
            let distance = |(rank, interval): (usize, &f64)| {
                let expected = 1.0 - (-interval).exp();
                (expected - rank as f64 / n)
                    .abs()
                    .max((expected - (rank as f64 + 1.0) / n).abs())
            };
            let largest = intervals
                .iter()
                .enumerate()
                .map(distance)
                .fold(0.0, f64::max);
            assert!(largest < 1.95 / n.sqrt(), "seed {seed}: {largest}");
        }
    }

    /// The correlation of n independent pairs has a standard deviation of 1 / sqrt(n); four of them
    /// are exceeded with a probability of 6e-5.
    #[test]
    fn intervals_of_poisson_arrivals_are_independent_of_those_before() {
        for lag in [1, 2, 3, 10] {
            let intervals = poisson_intervals(100_000, 5);
            let pairs = intervals.iter().zip(&intervals[lag..]);
            let n = (intervals.len() - lag) as f64;
            // Mean and variance of the exponential distribution are both 1 here.
            let correlation = pairs.map(|(a, b)| (a - 1.0) * (b - 1.0)).sum::<f64>() / n;
            assert!(correlation.abs() < 4.0 / n.sqrt(), "{lag}: {correlation}");
        }
    }

    /// The number of arrivals in an interval has the variance of its mean.
    #[test]
    fn counts_of_poisson_arrivals_vary_as_much_as_their_mean() {
        let schedule = schedule(Arrival::Poisson, 1000.0, 3);
        let mut counts = vec![0.0; 10_000];
        loop {
            let tenth_of_a_second = schedule.claim() / 100_000_000;
            match counts.get_mut(tenth_of_a_second as usize) {
                Some(count) => *count += 1.0,
                None => break,
            }
        }
        let n = counts.len() as f64;
        let mean = counts.iter().sum::<f64>() / n;
        let variance = counts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / n;
        // Four standard deviations of both estimates.
        assert!((mean - 100.0).abs() < 4.0 * (100.0 / n).sqrt(), "{mean}");
        let tolerance = 4.0 * (2.0 / n).sqrt();
        assert!((variance / mean - 1.0).abs() < tolerance, "{variance}");
    }

    #[test]
    fn a_schedule_depends_on_the_seed_alone_and_not_on_the_threads_that_claim_it() {
        let alone = claimed(&schedule(Arrival::Poisson, 1e6, 9), 4000);
        let shared = schedule(Arrival::Poisson, 1e6, 9);
        let mut claimed_by_all = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| claimed(&shared, 1000)))
                .collect();
            let parts = threads.into_iter().map(|thread| thread.join().unwrap());
            parts.flatten().collect::<Vec<_>>()
        });
        claimed_by_all.sort_unstable();
        assert_eq!(claimed_by_all, alone);
        let other = claimed(&schedule(Arrival::Poisson, 1e6, 10), 4000);
        assert_ne!(other, alone);
    }

    #[test]
    fn a_schedule_begins_again_after_a_restart() {
        for distribution in [Arrival::Poisson, Arrival::Uniform] {
            let schedule = schedule(distribution, 10.0, 1);
            let before = claimed(&schedule, 10);
            schedule.restart();
            assert_eq!(claimed(&schedule, 10), before);
        }
    }

    #[test]
    fn unclaimed_arrivals_are_counted_or_beyond_a_million_expected() {
        for distribution in [Arrival::Poisson, Arrival::Uniform] {
            let schedule = schedule(distribution, 1e6, 1);
            let arrivals = claimed(&schedule, 1001);
            schedule.restart();
            assert_eq!(schedule.unclaimed(arrivals[999]), 1000);
            claimed(&schedule, 400);
            assert_eq!(schedule.unclaimed(arrivals[999]), 600);
            assert_eq!(schedule.unclaimed(arrivals[100]), 0);
            // Of 5e9 in 5000 s, within 4 standard deviations.
            let many = schedule.unclaimed(5000 * HZ as u64) as f64;
            assert!((many - 5e9).abs() < 4.0 * 5e9f64.sqrt(), "{many}");
        }
    }

    #[test]
    fn the_highest_rate_and_the_lowest_give_arrivals_in_order() {
        for rate in [1e-6, 1e12] {
            for distribution in [Arrival::Poisson, Arrival::Uniform] {
                let arrivals = claimed(&schedule(distribution, rate, 2), 10_000);
                assert!(arrivals.is_sorted(), "{rate}");
                let last = *arrivals.last().unwrap() as f64;
                let expected = 1e4 / rate * HZ;
                assert!(
                    (last - expected).abs() <= 0.05 * expected + 1.0,
                    "{rate}: {last}"
                );
            }
        }
    }
}
