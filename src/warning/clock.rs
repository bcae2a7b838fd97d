//! The clock that timed the events.

use std::fmt;

use super::{Code, Reason};
use crate::result::ClockInfo;

/// Largest drift against CLOCK_MONOTONIC_RAW over a run without a warning, in parts per million.
pub const DRIFT_PPM: f64 = 200.0;

/// Why the clock may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum ClockWarning {
    /// It drifted against CLOCK_MONOTONIC_RAW by this, in parts per million.
    Drift(f64),
    /// The TSC was wanted but cannot be trusted, for this reason.
    Fallback(String),
}

impl ClockWarning {
    /// Returns the warnings of a clock.
    pub fn of(clock: &ClockInfo) -> impl Iterator<Item = Self> {
        let drift = drift_above_threshold(clock.drift_ppm).map(Self::Drift);
        let fallback = clock.reason.clone().map(Self::Fallback);
        drift.into_iter().chain(fallback)
    }
}

/// Returns a drift that is above the threshold, in either direction.
pub fn drift_above_threshold(drift_ppm: Option<f64>) -> Option<f64> {
    drift_ppm.filter(|drift| drift.abs() > DRIFT_PPM)
}

impl Reason for ClockWarning {
    fn code(&self) -> Code {
        match self {
            Self::Drift(_) => Code::ClockDrift,
            Self::Fallback(_) => Code::ClockFallback,
        }
    }
}

impl fmt::Display for ClockWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drift(ppm) => write!(
                f,
                "the clock drifted by {ppm:+.0} ppm against CLOCK_MONOTONIC_RAW during the run: \
                 times and rates may be wrong by as much"
            ),
            Self::Fallback(reason) => {
                write!(f, "timed by CLOCK_MONOTONIC instead of the TSC: {reason}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{ClockSource, HzFrom, Warning};

    fn of(drift_ppm: Option<f64>, reason: Option<&str>) -> Vec<ClockWarning> {
        let clock = ClockInfo {
            source: ClockSource::Tsc,
            reason: reason.map(Into::into),
            hz: 2e9,
            hz_from: Some(HzFrom::Calibration),
            read_ns: 10.0,
            drift_ppm,
        };
        ClockWarning::of(&clock).collect()
    }

    #[test]
    fn a_drift_above_the_threshold_in_either_direction_is_a_warning() {
        assert_eq!(of(Some(DRIFT_PPM), None), []);
        assert_eq!(of(None, None), []);
        for drift in [DRIFT_PPM + 1.0, -DRIFT_PPM - 1.0] {
            assert_eq!(of(Some(drift), None), [ClockWarning::Drift(drift)]);
        }
    }

    #[test]
    fn a_fallback_is_a_warning_with_its_reason() {
        let [fallback] = &of(None, Some("no invariant TSC"))[..] else {
            panic!("one warning");
        };
        let warning = Warning::from(fallback.clone());
        assert!(warning.message.contains("no invariant TSC"));
    }
}
