//! Position of a run in a suite, a sweep or a trial.

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

/// How a sweep or a trial started the run. Its environment is the label `env`.
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
    /// Number of this instance, from 1, within its environment and concurrency; in a trial, its block.
    pub instance: u32,
    /// Number of instances per environment and concurrency; in a trial, the limit of blocks.
    pub count: u32,
    /// Machine that ran the sweep or trial, which is not the host of an instance on another machine; null
    /// if unknown.
    #[serde(default)]
    pub host: Option<Host>,
    /// Program that ran the sweep or trial; null if unknown.
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

/// Position of a run in a trial. Its environment is the label `env`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TrialRun {
    /// Block, from 1 through all sessions. Every environment runs once in each block.
    pub block: u32,
    /// Position in the order of the block, from 1; in a duet, the number of the CPU set.
    pub position: u32,
    /// Session, from 1. The environments are restarted between sessions.
    pub session: u32,
    /// Seed of the order in all blocks.
    pub seed: u32,
    /// Environment that the others are compared with.
    pub baseline: String,
    /// CPUs of the run in a duet, as in taskset(1); null if the environments of a block run one
    /// after the other.
    pub cpus: Option<String>,
}
