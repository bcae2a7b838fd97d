//! Trials: paired comparisons of environments that end when they are decided.
//!
//! A trial consists of blocks. In each block every environment runs once, in random [`order`], so that
//! noise of the machine is as likely to affect one environment as another. Only runs of the same
//! block are compared ([`analysis`]).

pub mod analysis;
pub mod assessment;
mod duet;
pub mod observations;
pub mod order;
mod resume;

use std::time::Duration;

use crate::compare::metric::Metric;
use crate::host::CpuList;
use crate::result::TrialRun;
use crate::sweep::launcher::Launcher;
use crate::sweep::{Instance, Sweep};
use analysis::Margin;

pub use duet::CpuSets;

/// Plan of a trial.
#[derive(Debug, Clone)]
pub struct Trial {
    /// How runs are launched: the instances of an environment are its runs, one per block.
    pub sweep: Sweep,
    /// Index of the environment that the others are compared with.
    pub baseline: usize,
    /// Index of the copy of the baseline (`--aa`).
    pub copy: Option<usize>,
    /// Seed of the order in all blocks; None until it is chosen or read from earlier results.
    pub seed: Option<u32>,
    /// CPUs of a duet, one set per position; empty if the environments of a block run one after the
    /// other.
    pub cpu_sets: Vec<CpuList>,
    /// Number of sessions.
    pub sessions: u32,
    /// Command that restarts the environments between two sessions.
    pub between: Option<Launcher>,
    /// What is compared, and how exactly.
    pub question: Question,
    /// What ends the trial if it is not decided.
    pub limits: TrialLimits,
}

/// What a trial decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Metrics to compare.
    pub metrics: Vec<Metric>,
    /// Largest difference that does not matter.
    pub margin: Margin,
}

/// Limits of a trial.
#[derive(Debug, Clone, Copy)]
pub struct TrialLimits {
    /// Maximum number of blocks in a session.
    pub blocks: u32,
    /// Maximum duration; no block starts later.
    pub time: Duration,
    /// Warm-up runs of each environment, which do not count.
    pub warmup: u32,
}

impl Trial {
    /// Returns the runs of a block in order.
    pub fn runs(&self, seed: u32, block: u32) -> impl Iterator<Item = Instance> + use<> {
        let order = order::order(seed, block, self.sweep.environments.len());
        let concurrency = self.sweep.most_concurrent();
        order.into_iter().map(move |env| Instance {
            env,
            concurrency,
            number: block,
        })
    }

    /// Returns the position of a run, as recorded in its result.
    pub fn position(&self, seed: u32, session: u32, instance: Instance) -> TrialRun {
        let mut order = self.runs(seed, instance.number);
        let index = order
            .position(|run| run.env == instance.env)
            .unwrap_or_default();
        TrialRun {
            block: instance.number,
            position: 1 + index as u32,
            session,
            seed,
            baseline: self.sweep.environments[self.baseline].name.clone(),
            cpus: self.cpu_sets.get(index).map(CpuList::to_string),
        }
    }

    /// Returns the CPUs of each environment in a block; empty if they may use all.
    pub fn cpus(&self, seed: u32, block: u32) -> Vec<CpuList> {
        let mut by_env: Vec<_> = self.runs(seed, block).zip(&self.cpu_sets).collect();
        by_env.sort_by_key(|(run, _)| run.env);
        by_env.into_iter().map(|(_, cpus)| cpus.clone()).collect()
    }
}
