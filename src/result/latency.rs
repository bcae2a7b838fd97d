//! Latency distribution of a run.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::histogram::{LatencyHistogram, Merger, Percentiles};

/// Latency distribution, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Latency {
    /// Minimum, exact.
    pub min: u64,
    /// Mean, exact.
    pub mean: f64,
    /// Maximum, exact.
    pub max: u64,
    /// Population standard deviation, exact.
    pub stddev: f64,
    /// Percentiles.
    #[serde(flatten)]
    pub percentiles: Percentiles<u64>,
    /// The whole distribution: HdrHistogram V2 with DEFLATE, in base64; values in nanoseconds.
    pub histogram: String,
}

impl Latency {
    /// Returns the distribution in a histogram; `None` if it is empty.
    pub fn of(histogram: &LatencyHistogram) -> Option<Self> {
        let (min, max) = histogram.range()?;
        Some(Self {
            min: min.0,
            mean: histogram.mean(),
            max: max.0,
            stddev: histogram.stddev(),
            percentiles: histogram.percentiles(),
            histogram: histogram.encode(),
        })
    }

    /// Returns the duration that this percentage (0 to 100) of all does not exceed.
    pub fn percentile(&self, percent: f64) -> Result<u64> {
        let mut merger = Merger::default();
        merger.add(&self.histogram)?;
        Ok(merger.values_at(&[percent])[0].min(self.max))
    }
}
