//! Calibration of a clock against CLOCK_MONOTONIC_RAW.

#[cfg(target_arch = "x86_64")]
use std::time::Duration;

use super::monotonic::read_raw;
use super::{Clock, Ticks};

/// Attempts per pair of readings; the one with the shortest gap counts.
const TRIES: usize = 32;

/// A simultaneous reading of a clock and CLOCK_MONOTONIC_RAW.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference {
    /// The clock's reading.
    pub ticks: Ticks,
    /// CLOCK_MONOTONIC_RAW.
    pub raw_ns: u64,
    /// Ticks that passed around the reading of the raw clock; the error is at most half of this.
    pub width: u64,
}

impl Reference {
    /// Reads both clocks as close together as possible.
    pub fn take<C: Clock>(clock: C) -> Self {
        let once = || {
            let before = clock.stop();
            let raw_ns = read_raw();
            let width = clock.stop().since(before);
            Self {
                ticks: Ticks(before.0 + width / 2),
                raw_ns,
                width,
            }
        };
        (0..TRIES)
            .map(|_| once())
            .min_by_key(|pair| pair.width)
            .expect("there was at least one try")
    }

    /// Returns the clock's ticks per second between this reading and a later one.
    pub fn hz(&self, later: &Self) -> f64 {
        later.ticks.since(self.ticks) as f64 / (later.raw_ns - self.raw_ns) as f64 * 1e9
    }

    /// Returns by how many parts per million the clock ran faster than its nominal rate; None if
    /// no time passed.
    pub fn drift_ppm(&self, later: &Self, hz: f64) -> Option<f64> {
        (later.raw_ns > self.raw_ns).then(|| (self.hz(later) / hz - 1.0) * 1e6)
    }
}

/// Returns the step of CLOCK_MONOTONIC_RAW if it is coarse, as on a kernel whose clock source is
/// the timer interrupt: many consecutive readings are then equal.
#[cfg(target_arch = "x86_64")]
pub(super) fn coarse_raw_step() -> Option<Duration> {
    coarse_step(read_raw)
}

/// Observes several steps: there are few equal readings if they begin shortly before a step or are
/// preempted during one. Many equal readings prove a coarse clock.
#[cfg(target_arch = "x86_64")]
fn coarse_step(mut read_ns: impl FnMut() -> u64) -> Option<Duration> {
    /// A clock with nanosecond resolution, or a counter of a few MHz, never repeats this often.
    const SAME: u32 = 100;
    const STEPS: u32 = 8;
    let mut last = read_ns();
    let mut most_same = 0;
    let mut shortest = u64::MAX;
    for _ in 0..STEPS {
        let mut same = 0;
        let next = loop {
            let now = read_ns();
            if now != last {
                break now;
            }
            same += 1;
        };
        most_same = most_same.max(same);
        shortest = shortest.min(next.saturating_sub(last));
        last = next;
    }
    (most_same >= SAME).then_some(Duration::from_nanos(shortest))
}

/// Measures the clock's rate over this time.
#[cfg(target_arch = "x86_64")]
pub(super) fn calibrated_hz<C: Clock>(clock: C, time: Duration) -> f64 {
    let began = Reference::take(clock);
    std::thread::sleep(time);
    began.hz(&Reference::take(clock))
}

/// Returns the cost in nanoseconds of a reading at the end of an event: the minimum of several
/// batches, as a disturbance can only make a batch slower.
pub(super) fn reading_cost<C: Clock>(clock: C) -> f64 {
    const READINGS: u32 = 1000;
    let batch = || {
        let start = clock.start();
        for _ in 1..READINGS {
            clock.stop();
        }
        clock.scale().between(start, clock.stop())
    };
    let best = (0..10).map(|_| batch()).min().expect("there are batches");
    best.0 as f64 / f64::from(READINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ticks: u64, raw_ns: u64) -> Reference {
        Reference {
            ticks: Ticks(ticks),
            raw_ns,
            width: 0,
        }
    }

    #[test]
    fn drift_is_the_excess_over_the_nominal_rate_in_parts_per_million() {
        let (start, end) = (at(1000, 500), at(1000 + 2_000_600_000, 500 + 1_000_000_000));
        let drift = start.drift_ppm(&end, 2e9).unwrap();
        assert!((drift - 300.0).abs() < 1e-6, "{drift}");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_clock_that_repeats_many_readings_is_coarse() {
        let stepping = |readings: u64, step: u64| {
            let mut count = 0;
            move || {
                count += 1;
                count / readings * step
            }
        };
        let jiffy = Duration::from_millis(4);
        assert_eq!(coarse_step(stepping(10_000, 4_000_000)), Some(jiffy));
        assert_eq!(coarse_step(stepping(1, 25)), None);
        assert_eq!(coarse_step(stepping(5, 279)), None);
        assert_eq!(coarse_raw_step(), None, "of the machine that tests this");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_coarse_clock_is_detected_even_if_most_steps_are_seen_in_part_or_missed() {
        const JIFFY: u64 = 4_000_000;
        // Equal readings before each change of the clock, and the steps that the change spans.
        let seen = [
            (3, 1),
            (1, 5),
            (0, 1),
            (2, 3),
            (90, 1),
            (5_000, 2),
            (7, 1),
            (1, 1),
        ];
        let mut now = 0;
        let mut readings = seen.into_iter().flat_map(move |(same, steps)| {
            let before = now;
            now += steps * JIFFY;
            std::iter::repeat_n(before, same + 1)
        });
        let step = coarse_step(|| readings.next().unwrap_or(u64::MAX));
        assert_eq!(step, Some(Duration::from_nanos(JIFFY)));
    }

    #[test]
    fn drift_is_unknown_if_no_time_passed() {
        assert_eq!(at(1, 1).drift_ppm(&at(2, 1), 1e9), None);
    }
}
