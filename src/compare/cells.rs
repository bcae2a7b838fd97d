//! Turns the runs in each cell of a table into samples and compares them.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::ComparisonOptions;
use super::comparison::{AxisPoint, Entry, MergedOfCell, MetricTable, Section};
use super::explain::TimeBudget;
use super::histogram::Merged;
use super::method::Method;
use super::metric::{Metric, Timed};
use super::natural::natural_order;
use super::paired;
use super::run::ComparedRun;
use super::stats::Sample;
use super::verdict::BaselineComparison;
use super::workload_key::WorkloadKey;
use crate::error::describe;
use crate::histogram::Merger;
use crate::result::Warning;
use crate::warning::ComparisonWarning;

/// The runs of each group at one point of the second axis.
type RunsByGroup<'a> = Vec<Vec<&'a ComparedRun>>;

/// The runs of each group, by workload key and value of the second axis.
pub struct Cells<'a> {
    keys: Vec<BTreeMap<Option<String>, RunsByGroup<'a>>>,
    groups: usize,
}

impl<'a> Cells<'a> {
    /// Creates empty cells for this many workload keys and groups.
    pub fn new(keys: usize, groups: usize) -> Self {
        Self {
            keys: vec![BTreeMap::new(); keys],
            groups,
        }
    }

    /// Adds a run to its cell.
    pub fn put(&mut self, key: usize, value: Option<String>, group: usize, run: &'a ComparedRun) {
        let groups = self.groups;
        let point = self.keys[key].entry(value);
        point.or_insert_with(|| vec![Vec::new(); groups])[group].push(run);
    }

    /// The runs of each cell.
    pub fn iter(&self) -> impl Iterator<Item = &[&'a ComparedRun]> {
        let groups = self.keys.iter().flat_map(BTreeMap::values);
        groups.flatten().map(Vec::as_slice)
    }

    /// Compares the groups, separately for each workload key and value of the second axis. The
    /// p-values are not yet corrected. Returns also a warning for each histogram that cannot be
    /// decoded.
    pub fn into_sections(
        self,
        keys: Vec<WorkloadKey>,
        options: &ComparisonOptions,
    ) -> (Vec<Section>, Vec<Warning>) {
        let (merged, warnings) = self.merged();
        let mut merged = merged.into_iter();
        let distinct = distinct_params(&keys);
        let sections = keys
            .into_iter()
            .zip(distinct)
            .zip(self.keys)
            .map(|((key, distinct), points)| {
                let points = points.into_iter().map(|(value, runs)| {
                    let point = AxisPoint {
                        value,
                        merged: merged.by_ref().take(runs.len()).collect(),
                        budgets: runs.iter().map(|runs| budgets(runs)).collect(),
                    };
                    (point, runs)
                });
                section(key, distinct, points.collect(), options)
            })
            .filter(|section| !section.tables.is_empty())
            .collect();
        (sections, warnings)
    }

    /// The merged durations in each cell.
    fn merged(&self) -> (Vec<MergedOfCell>, Vec<Warning>) {
        let cells: Vec<&[&ComparedRun]> = self.iter().collect();
        // Nearly all of the time is spent here.
        let results: Vec<_> = cells
            .par_iter()
            .map(|runs| Timed::ALL.map(|timed| merge(timed, runs)))
            .collect();
        let mut warnings = Vec::new();
        let mut or_warn = |merged: Result<Option<Merged>, Warning>| {
            merged.unwrap_or_else(|warning| {
                warnings.push(warning);
                None
            })
        };
        let merged = results.into_iter();
        let merged = merged.map(|of_cell| of_cell.map(&mut or_warn)).collect();
        (merged, warnings)
    }
}

/// Merges the durations of several runs. `None` if a run has no histogram; a warning if one cannot
/// be decoded.
fn merge(timed: Timed, runs: &[&ComparedRun]) -> Result<Option<Merged>, Warning> {
    let mut merger = Merger::default();
    let mut longest: f64 = 0.0;
    for run in runs {
        let durations = timed.durations(&run.figures);
        let Some(histogram) = durations.histogram.as_deref() else {
            return Ok(None);
        };
        merger
            .add(histogram)
            .map_err(|error| ComparisonWarning::BadHistogram {
                source: run.location.to_string(),
                error: describe(&error),
            })?;
        longest = longest.max(durations.max.unwrap_or(f64::MAX));
    }
    Ok(Merged::of(&merger, longest as u64))
}

/// The time budgets of a group's runs; `None` if there are no runs or one has none.
fn budgets(runs: &[&ComparedRun]) -> Option<Vec<TimeBudget>> {
    let budgets = runs.iter().map(|run| run.figures.budget);
    budgets
        .collect::<Option<Vec<_>>>()
        .filter(|it| !it.is_empty())
}

/// For each workload key, the names of the parameters that differ between the keys of its test.
fn distinct_params(keys: &[WorkloadKey]) -> Vec<Vec<String>> {
    let differs = |key: &WorkloadKey, name: &String| {
        let value = key.params.get(name);
        let mut others = keys.iter().filter(|other| other.test == key.test);
        others.any(|other| other.params.get(name) != value)
    };
    keys.iter()
        .map(|key| {
            let names = key.params.keys();
            names.filter(|name| differs(key, name)).cloned().collect()
        })
        .collect()
}

fn section(
    key: WorkloadKey,
    distinct: Vec<String>,
    mut points: Vec<(AxisPoint, RunsByGroup<'_>)>,
    options: &ComparisonOptions,
) -> Section {
    points.sort_unstable_by(|(a, _), (b, _)| {
        let value = |point: &AxisPoint| point.value.clone().unwrap_or_default();
        natural_order(&value(a), &value(b))
    });
    let metrics = match options.metrics.as_slice() {
        [] => vec![default_metric(&points)],
        chosen => chosen.to_vec(),
    };
    let rows = |metric| {
        let points = points.iter();
        points.map(move |(point, runs)| {
            entries(metric, runs, point, options.method.unwrap_or_default())
        })
    };
    let tables = metrics.into_iter().map(|metric| MetricTable {
        metric,
        rows: rows(metric).collect(),
    });
    // A metric that no run has gets no table.
    let has_entries = |table: &MetricTable| table.rows.iter().flatten().any(Option::is_some);
    Section {
        key,
        distinct,
        tables: tables.filter(has_entries).collect(),
        points: points.into_iter().map(|(point, _)| point).collect(),
    }
}

/// Bandwidth if a run moves data, else the rate of events.
fn default_metric(points: &[(AxisPoint, RunsByGroup<'_>)]) -> Metric {
    let mut runs = points.iter().flat_map(|(_, runs)| runs.iter().flatten());
    match runs.any(|run| run.figures.mib_per_s.is_some()) {
        true => Metric::Bandwidth,
        false => Metric::Rate,
    }
}

fn entries(
    metric: Metric,
    runs: &RunsByGroup<'_>,
    point: &AxisPoint,
    method: Method,
) -> Vec<Option<Entry>> {
    let sample = |runs: &Vec<&ComparedRun>| {
        let values = runs.iter().filter_map(|run| metric.value(&run.figures));
        Sample::new(values.collect())
    };
    let samples: Vec<_> = runs.iter().map(sample).collect();
    let baseline = samples.first().and_then(Option::as_ref);
    let blocks = match method {
        Method::Paired => paired::common_blocks(runs),
        _ => BTreeSet::new(),
    };
    let compare = |group: usize, sample: &Sample| {
        let outcome = match method.unpaired() {
            Some(test) => test.compare(baseline?, sample),
            None => paired::compare(metric, &runs[0], &runs[group], &blocks)?,
        };
        Some(BaselineComparison::new(metric, &outcome))
    };
    samples
        .iter()
        .enumerate()
        .map(|(group, sample)| {
            let sample = sample.as_ref()?;
            Some(Entry {
                summary: sample.summary(),
                merged: point.merged(metric, group),
                comparison: if group == 0 {
                    None
                } else {
                    compare(group, sample)
                },
                why: None,
            })
        })
        .collect()
}
