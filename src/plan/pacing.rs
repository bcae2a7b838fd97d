//! Pacing: when the events of a run are to start.

use serde::{Deserialize, Serialize};

/// Arrivals of events at a given rate, whether or not earlier events have ended: an open loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrivals {
    /// Mean number of arrivals per second, for all threads together; more than 0.
    pub rate_per_s: f64,
    /// Distribution of the times between arrivals.
    pub distribution: Arrival,
    /// Number of waiting events at which the run fails; `None` to continue with any number.
    pub max_backlog: Option<u64>,
}

/// Distribution of the times between arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// Exponential, as of many independent clients
    #[default]
    Poisson,
    /// All equal
    Uniform,
}
