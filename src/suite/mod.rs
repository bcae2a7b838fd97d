//! Several measurements one after the other, as a profile says.

pub mod profile;
pub mod resume;
mod scale;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::plan::{ClockChoice, RunPlan};
use crate::result::{RunResult, SuiteRun};
use crate::resume::check_size;
use crate::warning::RunWarning;
use profile::Profile;

/// What the plans of a profile are changed by.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// By this times, events, totals and file sets are multiplied; above 0, at most 1.
    pub scale: f64,
    /// The folder of the test files.
    pub dir: PathBuf,
    /// Worker threads, where not those of the profile.
    pub threads: Option<NonZeroUsize>,
    /// Worker threads are bound to CPUs, even where the profile doesn't say so.
    pub pin: bool,
    /// The clock, where not that of the profile.
    pub clock: Option<ClockChoice>,
    /// Length of an interval of the statistics, where not that of the profile.
    pub report_interval: Option<Duration>,
    /// Labels of each result.
    pub labels: BTreeMap<String, String>,
}

impl Changes {
    fn apply(&self, plan: &RunPlan) -> Result<RunPlan> {
        let mut plan = scale::scaled(plan, self.scale)?;
        plan.threads = self.threads.unwrap_or(plan.threads);
        plan.pin |= self.pin;
        plan.clock = self.clock.unwrap_or(plan.clock);
        plan.report_interval = self.report_interval.or(plan.report_interval);
        plan.labels = self.labels.clone();
        if let Some(files) = &mut plan.files {
            files.dir = self.dir.clone();
        }
        Ok(plan)
    }
}

/// One run of a suite.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its place.
    pub place: SuiteRun,
    /// What it runs.
    pub plan: RunPlan,
}

impl Member {
    /// Says in a result what it is of.
    pub fn sign(&self, result: &mut RunResult) {
        result.suite = Some(self.place.clone());
        if self.place.scale < 1.0 {
            result
                .warnings
                .push(RunWarning::Scaled(self.place.scale).into());
        }
    }
}

/// All runs of a profile, one round after the other.
///
/// Fails if there are too many.
pub fn members(profile: &Profile, changes: &Changes, rounds: NonZeroU32) -> Result<Vec<Member>> {
    let results = u64::from(rounds.get()).saturating_mul(profile.measurements.len() as u64);
    check_size(results, "lower --repeat, or write several result files")?;
    let measurements = profile.measurements.iter();
    let plans = measurements
        .map(|measurement| {
            let plan = changes.apply(&measurement.plan);
            plan.with_context(|| format!("{} at scale {}", measurement.name, changes.scale))
        })
        .collect::<Result<Vec<_>>>()?;
    let round = |round| {
        let named = profile.measurements.iter().zip(&plans);
        named.map(move |(measurement, plan)| Member {
            place: SuiteRun {
                profile: profile.name.clone(),
                measurement: measurement.name.clone(),
                round,
                scale: changes.scale,
            },
            plan: plan.clone(),
        })
    };
    Ok((1..=rounds.get()).flat_map(round).collect())
}
