//! Latency distribution of a run.

use serde::{Deserialize, Serialize};

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
    /// Median; percentiles have 3 significant digits.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p99_9: u64,
    /// The whole distribution: HdrHistogram V2 with DEFLATE, in base64; values in nanoseconds.
    pub histogram: String,
}
