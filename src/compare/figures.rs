//! Measured figures of a run.

use super::explain::TimeBudget;
use crate::histogram::Percentile;

/// Upper limit of every figure of a run: no counter has more than 64 bits.
pub const LARGEST: f64 = 1e20;

/// Measured figures; `None` if missing in the source.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Duration of the run in seconds.
    pub wall_s: Option<f64>,
    /// Events per second.
    pub events_per_s: Option<f64>,
    /// MiB (2^20 bytes) per second; `None` if the run moves no data.
    pub mib_per_s: Option<f64>,
    /// Durations of the events.
    pub latency: Durations,
    /// Durations of the fsyncs.
    pub fsync: Durations,
    /// Where the threads spent their time.
    pub budget: Option<TimeBudget>,
}

/// A distribution of durations, in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Maximum.
    pub max: Option<f64>,
    /// The percentiles in the source.
    pub percentiles: Vec<(Percentile, f64)>,
    /// The whole distribution, encoded as in the result file.
    pub histogram: Option<Box<str>>,
}

impl Durations {
    /// The value of a percentile.
    pub fn percentile(&self, wanted: Percentile) -> Option<f64> {
        let mut known = self.percentiles.iter();
        known.find_map(|&(percentile, ns)| (percentile == wanted).then_some(ns))
    }
}
