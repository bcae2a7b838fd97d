//! Estimates with their confidence intervals.

use serde::Serialize;

/// Closed confidence interval: covers the true value with a probability of at least 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ConfidenceInterval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl ConfidenceInterval {
    fn map(self, ascending: impl Fn(f64) -> f64) -> Self {
        Self {
            low: ascending(self.low),
            high: ascending(self.high),
        }
    }
}

/// Point estimate from a sample, with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Confidence interval; absent if the sample is too small for one.
    pub interval: Option<ConfidenceInterval>,
}

impl Estimate {
    /// Applies an ascending function to the value and the bounds.
    pub fn map(self, ascending: impl Fn(f64) -> f64) -> Self {
        Self {
            value: ascending(self.value),
            interval: self.interval.map(|interval| interval.map(&ascending)),
        }
    }
}
