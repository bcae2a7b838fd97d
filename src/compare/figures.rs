//! Measured figures of a run.

use super::explain::TimeBudget;
use crate::histogram::Percentile;
use crate::result::{Latency, RunResult};

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
    /// Durations of the events without their wait for a start, in an open loop.
    pub service: Durations,
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

impl From<&RunResult> for Figures {
    /// Returns the figures of a result, without histograms and time budget.
    fn from(result: &RunResult) -> Self {
        let durations = |latency: &Option<Latency>| latency.as_ref().map(Durations::from);
        Self {
            wall_s: Some(result.totals.wall_s),
            events_per_s: Some(result.rates.events_per_s),
            // A result has 0 for a run that moves no data.
            mib_per_s: Some(result.rates.mib_per_s).filter(|rate| *rate > 0.0),
            latency: durations(&result.latency_ns).unwrap_or_default(),
            service: durations(&result.service_latency_ns).unwrap_or_default(),
            fsync: durations(&result.fsync_latency_ns).unwrap_or_default(),
            budget: None,
        }
    }
}

impl From<&Latency> for Durations {
    fn from(latency: &Latency) -> Self {
        let percentiles = latency.percentiles.iter();
        Self {
            mean: Some(latency.mean),
            max: Some(latency.max as f64),
            percentiles: percentiles
                .map(|(percentile, ns)| (percentile, *ns as f64))
                .collect(),
            histogram: None,
        }
    }
}

impl Durations {
    /// The value of a percentile.
    pub fn percentile(&self, wanted: Percentile) -> Option<f64> {
        let mut known = self.percentiles.iter();
        known.find_map(|&(percentile, ns)| (percentile == wanted).then_some(ns))
    }
}
