//! Suites: several measurements in sequence, as defined by a profile.

pub mod resume;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::plan::{ClockChoice, RunPlan};
use crate::result::{RunResult, SuiteRun};
use crate::resume::check_size;
use crate::warning::RunWarning;

/// Contents of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Name, recorded in each result.
    pub name: String,
    /// Measurements in order of execution.
    pub measurements: Vec<Measurement>,
}

/// One measurement of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Name, unique in the profile.
    pub name: String,
    /// Plan of its runs.
    pub plan: RunPlan,
}

/// Options that override those of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Overrides {
    /// Factor for times, events, totals and file sets; above 0, at most 1.
    pub scale: f64,
    /// Directory of the test files.
    pub dir: PathBuf,
    /// Number of worker threads.
    pub threads: Option<NonZeroUsize>,
    /// Pin worker threads to CPUs, even if the profile does not.
    pub pin: bool,
    /// Clock that times events.
    pub clock: Option<ClockChoice>,
    /// Length of a report interval.
    pub report_interval: Option<Duration>,
    /// Labels of each result.
    pub labels: BTreeMap<String, String>,
}

impl Overrides {
    fn apply(&self, plan: &RunPlan) -> Result<RunPlan> {
        let mut plan = plan.scaled(self.scale)?;
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

/// One run of a suite: a measurement in a round.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRun {
    /// Measurement and round.
    pub position: SuiteRun,
    /// Plan of the run.
    pub plan: RunPlan,
}

impl PlannedRun {
    /// Records the run's position in its result.
    pub fn record_in(&self, result: &mut RunResult) {
        result.suite = Some(self.position.clone());
        if self.position.scale < 1.0 {
            result
                .warnings
                .push(RunWarning::Scaled(self.position.scale).into());
        }
    }
}

/// Returns all runs of a profile, round by round.
///
/// Fails if there are too many.
pub fn planned_runs(
    profile: &Profile,
    overrides: &Overrides,
    rounds: NonZeroU32,
) -> Result<Vec<PlannedRun>> {
    let results = u64::from(rounds.get()).saturating_mul(profile.measurements.len() as u64);
    check_size(results, "lower --repeat, or write several result files")?;
    let measurements = profile.measurements.iter();
    let plans = measurements
        .map(|measurement| {
            let plan = overrides.apply(&measurement.plan);
            plan.with_context(|| format!("{} at scale {}", measurement.name, overrides.scale))
        })
        .collect::<Result<Vec<_>>>()?;
    let round = |round| {
        let named = profile.measurements.iter().zip(&plans);
        named.map(move |(measurement, plan)| PlannedRun {
            position: SuiteRun {
                profile: profile.name.clone(),
                measurement: measurement.name.clone(),
                round,
                scale: overrides.scale,
            },
            plan: plan.clone(),
        })
    };
    Ok((1..=rounds.get()).flat_map(round).collect())
}
