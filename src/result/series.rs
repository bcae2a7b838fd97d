//! Position of a run in a suite or a sweep.

use serde::{Deserialize, Serialize};

use super::{Host, Tool};

/// Position of a run in a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SuiteRun {
    /// Name of the profile.
    pub profile: String,
    /// Name of the measurement in the profile.
    pub measurement: String,
    /// Round of the suite, from 1.
    pub round: u32,
    /// Factor applied to the times, events, total sizes and file sets of the profile.
    pub scale: f64,
}

/// Position of a run in a sweep. Its environment is the label `env`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Launch {
    /// Command of the launcher with its placeholders; empty if wbench was started directly.
    pub command: String,
    /// Arguments of the measurement.
    pub measurement: String,
    /// How instances follow each other.
    pub runner: Runner,
    /// Concurrency: instances running at the same time.
    pub concurrency: u32,
    /// Number of this instance, from 1, within its environment and concurrency.
    pub instance: u32,
    /// Number of instances per environment and concurrency.
    pub count: u32,
    /// Machine that ran the sweep, which is not the host of an instance on another machine; null
    /// if unknown.
    #[serde(default)]
    pub host: Option<Host>,
    /// Program that ran the sweep; null if unknown.
    #[serde(default)]
    pub tool: Option<Tool>,
}

/// How instances follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// Keep K instances running: the first K start together, a new one starts when one ends
    #[default]
    Constant,
    /// Start K instances together, and the next K when all have ended
    Waves,
}
