//! Clocks, ticks and their conversion to nanoseconds.
//!
//! Events are timed by the time stamp counter if it can be trusted, else by CLOCK_MONOTONIC. The
//! engine is monomorphized for each clock, so that a reading needs no dispatch.

mod calibrate;
mod effective;
mod monotonic;
mod permission;
#[cfg(target_arch = "x86_64")]
mod tsc;

use std::cell::Cell;
use std::time::Duration;

use anyhow::Result;

pub use effective::EffectiveClock;
pub use monotonic::Monotonic;
pub use permission::permit_rdtsc;
#[cfg(target_arch = "x86_64")]
pub use tsc::Tsc;

use calibrate::Reference;

use crate::plan::ClockChoice;
use crate::result::{ClockInfo, ClockSource, HzFrom};

/// A reading of a clock, in its own unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(pub u64);

impl Ticks {
    /// A time that is never reached.
    pub const NEVER: Self = Self(u64::MAX);

    /// Returns the ticks since an earlier reading; 0 if that was not earlier.
    #[inline(always)]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A duration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanoseconds(pub u64);

impl Nanoseconds {
    /// Limit of a short duration, about 0.27 s; see [`Scale::short_nanoseconds`].
    pub const MAX_SHORT: Self = Self(1 << 28);

    /// Converts to seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// The rate of a clock, as fixed-point nanoseconds per tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    hz: f64,
    /// Nanoseconds per 2^32 ticks.
    multiplier: u64,
    /// Most ticks of a short duration; a power of two less 1.
    max_short_ticks: u64,
}

impl Scale {
    const SHIFT: u32 = 32;

    /// Creates the scale of a clock with this rate.
    pub fn from_hz(hz: f64) -> Self {
        let multiplier = (1e9 / hz * (1u64 << Self::SHIFT) as f64).round() as u64;
        let max_short_ticks = (Nanoseconds::MAX_SHORT.0 << Self::SHIFT) / multiplier.max(1);
        Self {
            hz,
            multiplier,
            max_short_ticks: (max_short_ticks + 1).next_power_of_two() / 2 - 1,
        }
    }

    /// Ticks per second.
    pub fn hz(self) -> f64 {
        self.hz
    }

    /// Returns the nanoseconds between two readings, rounded to nearest.
    #[inline(always)]
    pub fn between(self, earlier: Ticks, later: Ticks) -> Nanoseconds {
        self.nanoseconds(later.since(earlier))
    }

    /// Converts ticks to nanoseconds, rounded to nearest.
    #[inline(always)]
    pub fn nanoseconds(self, ticks: u64) -> Nanoseconds {
        let product = u128::from(ticks) * u128::from(self.multiplier);
        let half = 1u128 << (Self::SHIFT - 1);
        Nanoseconds(((product + half) >> Self::SHIFT) as u64)
    }

    /// Returns whether none of these durations exceeds [`Nanoseconds::MAX_SHORT`]; false for some
    /// that exceed a quarter of it.
    #[inline(always)]
    pub fn are_short(self, ticks: impl Iterator<Item = u64>) -> bool {
        ticks.fold(0, |all, ticks| all | ticks) <= self.max_short_ticks
    }

    /// Converts ticks that [are short](Self::are_short), in 64 bits instead of 128.
    #[inline(always)]
    pub fn short_nanoseconds(self, ticks: u64) -> Nanoseconds {
        let half = 1u64 << (Self::SHIFT - 1);
        Nanoseconds((ticks * self.multiplier + half) >> Self::SHIFT)
    }

    /// Returns the reading this long after another, or [`Ticks::NEVER`] on overflow.
    pub fn after(self, start: Ticks, duration: Duration) -> Ticks {
        let ticks = duration.as_secs_f64() * self.hz;
        // A float to integer cast saturates, so that the far future stays in the future.
        Ticks(start.0.saturating_add(ticks as u64))
    }
}

/// A source of ticks.
pub trait Clock: Copy + Send + Sync + 'static {
    /// Reads the clock before timed work: the compiler moves none of the work before it.
    fn start(self) -> Ticks;

    /// Reads the clock after timed work: all instructions of the work have completed before it.
    fn stop(self) -> Ticks;

    /// The clock's rate.
    fn scale(self) -> Scale;
}

/// The clock that times the events.
#[derive(Debug, Clone, Copy)]
pub enum AnyClock {
    /// The time stamp counter.
    #[cfg(target_arch = "x86_64")]
    Tsc(Tsc),
    /// CLOCK_MONOTONIC.
    Monotonic(Monotonic),
}

/// Evaluates an expression with the concrete clock, compiled once per clock type.
#[macro_export]
macro_rules! with_clock {
    ($any:expr, $clock:ident => $body:expr) => {
        match $any {
            #[cfg(target_arch = "x86_64")]
            $crate::clock::AnyClock::Tsc($clock) => $body,
            $crate::clock::AnyClock::Monotonic($clock) => $body,
        }
    };
}

impl Clock for AnyClock {
    #[inline(always)]
    fn start(self) -> Ticks {
        with_clock!(self, clock => clock.start())
    }

    #[inline(always)]
    fn stop(self) -> Ticks {
        with_clock!(self, clock => clock.stop())
    }

    #[inline(always)]
    fn scale(self) -> Scale {
        with_clock!(self, clock => clock.scale())
    }
}

/// The clock of a run, with its drift measurement and the reason for a fallback.
#[derive(Debug)]
pub struct TimeSource {
    /// The clock.
    pub clock: AnyClock,
    reason: Option<String>,
    hz_from: HzFrom,
    read_ns: f64,
    began: Cell<Reference>,
}

impl TimeSource {
    /// Selects the clock and takes the first of the two readings that determine its drift.
    ///
    /// Takes tens of milliseconds for the TSC, which is calibrated against CLOCK_MONOTONIC_RAW.
    /// Fails if the TSC is required but cannot be trusted.
    pub fn establish(choice: ClockChoice) -> Result<Self> {
        let (clock, hz_from, reason) = match choice {
            ClockChoice::Monotonic => {
                let reason = "--clock monotonic was requested".into();
                (
                    AnyClock::Monotonic(Monotonic),
                    HzFrom::Definition,
                    Some(reason),
                )
            }
            ClockChoice::Auto => match trusted_tsc() {
                Ok((clock, hz_from)) => (clock, hz_from, None),
                Err(reason) => (
                    AnyClock::Monotonic(Monotonic),
                    HzFrom::Definition,
                    Some(reason.to_string()),
                ),
            },
            ClockChoice::Tsc => {
                let (clock, hz_from) = trusted_tsc().map_err(|reason| {
                    anyhow::anyhow!(
                        "--clock tsc: the TSC cannot be trusted here: {reason}; \
                         use --clock auto or --clock monotonic"
                    )
                })?;
                (clock, hz_from, None)
            }
        };
        Ok(Self {
            clock,
            reason,
            hz_from,
            read_ns: with_clock!(clock, c => calibrate::reading_cost(c)),
            began: Cell::new(with_clock!(clock, c => Reference::take(c))),
        })
    }

    /// Repeats the first of the two readings that determine the drift: timed work begins now.
    pub fn begin(&self) {
        let now = with_clock!(self.clock, c => Reference::take(c));
        self.began.set(now);
    }

    /// Returns the description of the clock for a result, with the drift from the start until now.
    pub fn info(&self) -> ClockInfo {
        let (source, scale) = match self.clock {
            #[cfg(target_arch = "x86_64")]
            AnyClock::Tsc(tsc) => (ClockSource::Tsc, tsc.scale()),
            AnyClock::Monotonic(clock) => (ClockSource::Monotonic, clock.scale()),
        };
        let now = with_clock!(self.clock, c => Reference::take(c));
        ClockInfo {
            source,
            reason: self.reason.clone(),
            hz: scale.hz(),
            hz_from: Some(self.hz_from),
            read_ns: self.read_ns,
            drift_ppm: self.began.get().drift_ppm(&now, scale.hz()),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn trusted_tsc() -> Result<(AnyClock, HzFrom)> {
    let (tsc, hz_from) = Tsc::trusted(&crate::host::SystemRoot::default())?;
    Ok((AnyClock::Tsc(tsc), hz_from))
}

#[cfg(not(target_arch = "x86_64"))]
fn trusted_tsc() -> Result<(AnyClock, HzFrom)> {
    anyhow::bail!("the TSC is supported on x86-64 only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ticks_convert_to_the_nearest_nanosecond(ticks in 0u64..1 << 45, mhz in 100u32..6000) {
            let hz = f64::from(mhz) * 1e6;
            let exact = ticks as f64 / hz * 1e9;
            let got = Scale::from_hz(hz).between(Ticks(77), Ticks(77 + ticks)).0 as f64;
            prop_assert!((got - exact).abs() <= 0.5 + exact * 1e-8, "{} for {}", got, exact);
        }
    }

    #[test]
    fn short_durations_convert_like_all_others_up_to_their_limit() {
        for hz in [1e6, 24e6, 1e9, 2.6e9, 5e9] {
            let scale = Scale::from_hz(hz);
            let longest = scale.max_short_ticks;
            assert!(scale.are_short([0, longest].into_iter()));
            assert!(!scale.are_short([0, longest + 1].into_iter()));
            assert!(scale.nanoseconds(longest) <= Nanoseconds::MAX_SHORT);
            assert!(scale.nanoseconds(longest).0 * 5 > Nanoseconds::MAX_SHORT.0);
            for ticks in [0, 1, longest / 3, longest] {
                assert_eq!(scale.short_nanoseconds(ticks), scale.nanoseconds(ticks));
            }
        }
    }

    #[test]
    fn ticks_of_a_nanosecond_clock_convert_unchanged() {
        let scale = Scale::from_hz(1e9);
        for ns in [0, 1, 999, u64::MAX / 2] {
            assert_eq!(scale.between(Ticks(0), Ticks(ns)), Nanoseconds(ns));
        }
    }

    #[test]
    fn a_reading_that_went_backward_gives_a_zero_duration() {
        assert_eq!(
            Scale::from_hz(2.5e9).between(Ticks(9), Ticks(8)),
            Nanoseconds(0)
        );
    }

    #[test]
    fn a_duration_beyond_the_range_of_the_counter_never_ends() {
        let at = Scale::from_hz(3e9).after(Ticks(5), Duration::MAX);
        assert_eq!(at, Ticks::NEVER);
    }

    #[test]
    fn every_clock_agrees_with_the_standard_library_on_a_sleep() {
        for choice in [ClockChoice::Auto, ClockChoice::Monotonic] {
            let source = TimeSource::establish(choice).unwrap();
            let (seen, outside) = with_clock!(source.clock, c => {
                let outside = std::time::Instant::now();
                let start = c.start();
                std::thread::sleep(Duration::from_millis(20));
                let seen = c.scale().between(start, c.stop());
                (seen.0 as f64, outside.elapsed().as_nanos() as f64)
            });
            assert!(
                seen >= 20e6 * 0.999,
                "{choice:?}: {seen} ns of a sleep of 20 ms"
            );
            assert!(
                seen <= outside * 1.001,
                "{choice:?}: {seen} of {outside} ns"
            );
        }
    }

    #[test]
    fn the_fallback_reports_its_reason() {
        let info = TimeSource::establish(ClockChoice::Monotonic)
            .unwrap()
            .info();
        assert_eq!(info.source, ClockSource::Monotonic);
        assert!(info.reason.unwrap().contains("--clock monotonic"));
        assert_eq!(info.hz, 1e9);
    }
}
