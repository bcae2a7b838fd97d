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
        let raw_ns = later.raw_ns.saturating_sub(self.raw_ns);
        later.ticks.since(self.ticks) as f64 / raw_ns as f64 * 1e9
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

/// Spans of a calibration, each of which must confirm the rate.
#[cfg(target_arch = "x86_64")]
const SPANS: u32 = 4;

/// Calibrations until one is confirmed: the readings of a busy machine are sometimes far apart.
#[cfg(target_arch = "x86_64")]
const CALIBRATIONS: usize = 3;

/// Measures the clock's rate over this time, several times if necessary; None if repeated readings
/// never confirm it.
#[cfg(target_arch = "x86_64")]
pub(super) fn calibrated_hz<C: Clock>(clock: C, time: Duration) -> Option<f64> {
    let calibrate = || {
        let mut readings = vec![Reference::take(clock)];
        for _ in 0..SPANS {
            std::thread::sleep(time / SPANS);
            readings.push(Reference::take(clock));
        }
        confirmed_hz(&readings)
    };
    (0..CALIBRATIONS).find_map(|_| calibrate())
}

/// Returns the rate from the first to the last reading if each span between two readings has the
/// same one, within the uncertainty of the two.
#[cfg(target_arch = "x86_64")]
fn confirmed_hz(readings: &[Reference]) -> Option<f64> {
    /// Covers the resolution of the kernel's clock sources: 279 ns for the ACPI timer.
    const RESOLUTION_NS: f64 = 1000.0;
    /// Largest relative change of the rate between two spans.
    const RATE_CHANGE: f64 = 200e-6;
    let hz = readings.first()?.hz(readings.last()?);
    let ns = |ticks: u64| ticks as f64 / hz * 1e9;
    let is_confirmed = |start: &Reference, end: &Reference| {
        let by_clock = ns(end.ticks.since(start.ticks));
        let by_raw = end.raw_ns as f64 - start.raw_ns as f64;
        let uncertainty = RESOLUTION_NS + ns(start.width + end.width) / 2.0 + by_raw * RATE_CHANGE;
        (by_clock - by_raw).abs() <= uncertainty
    };
    let mut spans = readings.windows(2);
    (hz.is_finite() && spans.all(|span| is_confirmed(&span[0], &span[1]))).then_some(hz)
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

    /// Readings of a 2 GHz clock: the raw clock's time, the error of the reading in ticks, its width.
    #[cfg(target_arch = "x86_64")]
    fn readings(of: &[(u64, i64, u64)]) -> Vec<Reference> {
        let reading = |&(raw_ns, error, width): &(u64, i64, u64)| Reference {
            width,
            ..at((1 << 40) + (2 * raw_ns).wrapping_add_signed(error), raw_ns)
        };
        of.iter().map(reading).collect()
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_rate_is_confirmed_if_each_span_has_it_within_the_uncertainty_of_its_readings() {
        const MS: u64 = 1_000_000;
        let exact = readings(&[(0, 0, 100), (5 * MS, 0, 100), (11 * MS, 0, 100)]);
        assert_eq!(confirmed_hz(&exact), Some(2e9));
        // A preempted reading: the error is at most half of its width.
        let wide = readings(&[(0, 0, 100), (5 * MS, 400_000, 800_000), (11 * MS, 0, 100)]);
        assert_eq!(confirmed_hz(&wide), Some(2e9));
        assert_eq!(confirmed_hz(&readings(&[(5, 0, 1), (5, 0, 1)])), None);
        assert_eq!(confirmed_hz(&[]), None);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn readings_of_a_raw_clock_that_counts_timer_interrupts_do_not_confirm_a_rate() {
        const JIFFY: u64 = 4_000_000;
        // Spans of 5 ms, in which the raw clock advances by one or two steps.
        let behind = |ns: u64| -> i64 { (2 * (ns % JIFFY)) as i64 };
        let times = [1, 6, 11, 16, 21].map(|ms: u64| ms * 1_000_000);
        let coarse = times.map(|ns| (ns - ns % JIFFY, behind(ns), 100));
        assert_eq!(confirmed_hz(&readings(&coarse)), None);
    }

    #[test]
    fn drift_is_unknown_if_no_time_passed() {
        assert_eq!(at(1, 1).drift_ppm(&at(2, 1), 1e9), None);
    }
}
