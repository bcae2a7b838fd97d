//! Compares results: how much they differ, whether the difference is significant, and what else
//! differed.
//!
//! Data flows one way: inputs are [`read`] into [`run`]s; runs are divided into [`group`]s and
//! rows, one for each [`workload_key`]; each group of a row becomes a sample of a [`metric`], which
//! [`stats`] compares with the baseline's; significant differences are [`explain`]ed; the whole
//! [`comparison`] becomes text ([`output`]) or the result of a [`threshold`] check. Nothing here runs a workload.

mod cells;
pub mod comparison;
pub mod differences;
pub mod explain;
pub mod fields;
pub mod figures;
pub mod group;
pub mod histogram;
pub mod method;
pub mod metric;
mod natural;
pub mod output;
mod paired;
pub mod read;
pub mod run;
pub mod stats;
pub mod threads;
pub mod threshold;
pub mod verdict;
mod warnings;
pub mod workload_key;

use anyhow::{Result, bail};
use rayon::prelude::*;

use self::cells::Cells;
use self::comparison::{Comparison, ExcludedRun};
use self::group::{Grouping, Groups};
use self::method::Method;
use self::metric::Metric;
use self::read::Input;
use self::run::ComparedRun;
use self::workload_key::WorkloadKey;

/// What to compare, and how.
#[derive(Debug, Clone)]
pub struct ComparisonOptions {
    /// What defines a group.
    pub grouping: Grouping,
    /// Name of the baseline group; `None` = the first.
    pub baseline: Option<String>,
    /// Label, parameter or field whose values form a second axis.
    pub vary: Option<String>,
    /// Metrics to compare; empty = bandwidth, or the rate of runs that move no data.
    pub metrics: Vec<Metric>,
    /// How groups are compared; `None` for the default of the runs.
    pub method: Option<Method>,
    /// Whether interrupted and failed runs are included.
    pub include_incomplete: bool,
}

impl ComparisonOptions {
    /// The names of the fields by which runs are grouped and varied.
    fn axes(&self) -> Vec<&str> {
        let by = match &self.grouping {
            Grouping::By(name) => Some(name.as_str()),
            Grouping::Input => None,
        };
        by.into_iter().chain(self.vary.as_deref()).collect()
    }
}

/// Compares the runs of several inputs, each given with the index of its input.
///
/// Fails if the runs cannot be grouped as requested or have no such baseline.
pub fn compare(
    inputs: &[Input],
    runs: Vec<(usize, ComparedRun)>,
    options: &ComparisonOptions,
) -> Result<Comparison> {
    let (runs, excluded): (Vec<_>, Vec<_>) = runs
        .into_iter()
        .partition(|(_, run)| options.include_incomplete || run.is_complete());
    let options = &paired::with_defaults(options, &runs)?;
    let axes = options.axes();
    check_axes(&axes, &runs)?;
    let groups = Groups::of(
        &runs,
        inputs,
        &options.grouping,
        options.baseline.as_deref(),
    )?;
    let keys: Vec<_> = runs
        .par_iter()
        .map(|(_, run)| WorkloadKey::of(run, &axes))
        .collect();
    let (keys, key_of_run) = workload_key::match_up(&keys);
    let mut cells = Cells::new(keys.len(), groups.names.len());
    for (((_, run), &key), &group) in runs.iter().zip(&key_of_run).zip(&groups.of_run) {
        let vary = options.vary.as_deref();
        let value = vary.map(|name| run.value(name).unwrap_or("-").to_owned());
        cells.put(key, value, group, run);
    }
    let with_runs = groups.with_runs(&runs);
    let differences = differences::differences(&with_runs, &axes);
    let mut warnings = warnings::of_groups(&with_runs, &differences);
    let unused_labels = warnings::unused_labels(cells.iter());
    let (mut sections, undecodable) = cells.into_sections(keys, options);
    warnings.extend(undecodable);
    warnings.extend(unused_labels.map(Into::into));
    warnings.extend(warnings::incomplete(&with_runs));
    let corrected = comparison::correct(&mut sections);
    explain::explain(&mut sections, &differences);
    Ok(Comparison {
        method: options.method.unwrap_or_default(),
        vary: options.vary.clone(),
        sections,
        corrected,
        excluded: excluded.into_iter().map(ExcludedRun::from).collect(),
        differences,
        warnings,
        groups: groups.names,
    })
}

/// Fails if no run has one of the fields by which runs are grouped or varied.
fn check_axes(axes: &[&str], runs: &[(usize, ComparedRun)]) -> Result<()> {
    let fields = || runs.iter().map(|(_, run)| &run.fields);
    for name in axes {
        if !runs.is_empty() && fields().all(|fields| fields.resolve(name).is_none()) {
            bail!(
                "no result has a label, parameter or field '{name}'{}",
                fields::alternatives(name, fields())
            );
        }
    }
    Ok(())
}
