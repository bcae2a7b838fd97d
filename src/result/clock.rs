//! The clock of a run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Clock that timed events, and how reliable it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClockInfo {
    /// Time source.
    pub source: ClockSource,
    /// Why the TSC was not used, else null.
    pub reason: Option<String>,
    /// Ticks per second.
    pub hz: f64,
    /// Origin of `hz`.
    #[serde(default)]
    pub hz_from: Option<HzFrom>,
    /// Cost of one reading.
    pub read_ns: f64,
    /// Drift against CLOCK_MONOTONIC_RAW over the run, in parts per million; null if the run did
    /// not take place.
    pub drift_ppm: Option<f64>,
}

/// Time source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClockSource {
    /// Time stamp counter of the CPU.
    Tsc,
    /// CLOCK_MONOTONIC.
    Monotonic,
}

impl fmt::Display for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tsc => "TSC",
            Self::Monotonic => "CLOCK_MONOTONIC",
        })
    }
}

/// Origin of a clock's frequency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HzFrom {
    /// CPUID leaf 15h.
    CpuidTsc,
    /// CPUID leaf 40000010h of the hypervisor.
    CpuidHypervisor,
    /// Calibrated against CLOCK_MONOTONIC_RAW.
    Calibration,
    /// Fixed by definition.
    Definition,
}
