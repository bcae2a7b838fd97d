//! Limits of a run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of a run; the first one reached ends it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limits {
    /// Time limit in seconds; null = no limit.
    pub max_time_s: Option<f64>,
    /// Maximum number of events; null = no limit.
    pub max_requests: Option<u64>,
    /// Seconds after `max_time_s` at which a hung run is abandoned; null = never.
    pub forced_shutdown_s: Option<f64>,
}

impl Limits {
    /// The time limit.
    pub fn max_time(&self) -> Option<Duration> {
        self.max_time_s.map(seconds)
    }

    /// Time after the start at which a hung run is abandoned.
    pub fn forced_shutdown(&self) -> Option<Duration> {
        let after = seconds(self.forced_shutdown_s?);
        Some(self.max_time()?.saturating_add(after))
    }
}

/// Converts seconds; an invalid number in a result file becomes the longest duration.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
