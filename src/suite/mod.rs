//! Suites: several measurements in sequence, as defined by a profile.

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

/// Modifications of a profile's plans.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// Factor for times, events, totals and file sets; above 0, at most 1.
    pub scale: f64,
    /// Directory of the test files.
    pub dir: PathBuf,
    /// Number of worker threads, instead of the profile's.
    pub threads: Option<NonZeroUsize>,
    /// Bind worker threads to CPUs, even if the profile does not.
    pub pin: bool,
    /// Clock, instead of the profile's.
    pub clock: Option<ClockChoice>,
    /// Length of a statistics interval, instead of the profile's.
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
    /// Measurement and round.
    pub place: SuiteRun,
    /// Plan of the run.
    pub plan: RunPlan,
}

impl Member {
    /// Records in a result which run of the suite it belongs to.
    pub fn sign(&self, result: &mut RunResult) {
        result.suite = Some(self.place.clone());
        if self.place.scale < 1.0 {
            result
                .warnings
                .push(RunWarning::Scaled(self.place.scale).into());
        }
    }
}

/// Returns all runs of a profile, round by round.
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
