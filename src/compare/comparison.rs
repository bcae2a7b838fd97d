//! The result of a comparison: each group and the baseline, for each workload key.

use super::differences::DifferingField;
use super::explain::{Explanation, TimeBudget};
use super::histogram::Merged;
use super::method::Method;
use super::metric::{Metric, Timed};
use super::run::{ComparedRun, Location};
use super::stats::Summary;
use super::verdict::{self, BaselineComparison};
use super::workload_key::WorkloadKey;
use crate::result::Warning;

/// The result of a comparison.
#[derive(Debug)]
pub struct Comparison {
    /// How groups are compared.
    pub method: Method,
    /// Names of the groups, baseline first.
    pub groups: Vec<String>,
    /// Name of the second axis.
    pub vary: Option<String>,
    /// One section per workload key, by test and parameters.
    pub sections: Vec<Section>,
    /// Number of p-values corrected together.
    pub corrected: usize,
    /// Runs excluded because they did not end normally.
    pub excluded: Vec<ExcludedRun>,
    /// What else differed.
    pub differences: Vec<DifferingField>,
    /// Reasons to doubt the comparison.
    pub warnings: Vec<Warning>,
}

/// The comparison for one workload key.
#[derive(Debug)]
pub struct Section {
    /// The workload key.
    pub key: WorkloadKey,
    /// Names of the parameters in which the sections of this test differ.
    pub distinct: Vec<String>,
    /// Values of the second axis; a single `None` if there is no second axis.
    pub points: Vec<AxisPoint>,
    /// One table per metric.
    pub tables: Vec<MetricTable>,
}

/// A workload key at one value of the second axis.
#[derive(Debug)]
pub struct AxisPoint {
    /// The value of the second axis.
    pub value: Option<String>,
    /// The merged durations of each group.
    pub merged: Vec<MergedOfCell>,
    /// Time budgets of each group's runs; `None` if a run has none.
    pub budgets: Vec<Option<Vec<TimeBudget>>>,
}

/// Durations of one group's runs, in the order of [`Timed::ALL`]; `None` if a run has no histogram.
pub type MergedOfCell = [Option<Merged>; Timed::ALL.len()];

/// One metric for one workload key.
#[derive(Debug)]
pub struct MetricTable {
    /// The metric.
    pub metric: Metric,
    /// For each point of the second axis, the figures of each group; `None` if it has no run.
    pub rows: Vec<Vec<Option<Entry>>>,
}

/// The figures of one group in one row.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Summary of the runs' values.
    pub summary: Summary,
    /// For a percentile, its value over the events of all runs, in nanoseconds.
    pub merged: Option<u64>,
    /// Comparison with the baseline; `None` for the baseline itself or if the baseline has no run.
    pub comparison: Option<BaselineComparison>,
    /// What explains the difference; `None` if it is not significant, if the metric is not a function
    /// of the time per event, or if a run has no time budget.
    pub why: Option<Explanation>,
}

/// A run that is excluded.
#[derive(Debug)]
pub struct ExcludedRun {
    /// Where the run was read.
    pub location: Location,
    /// Status of the run.
    pub status: String,
}

impl From<(usize, ComparedRun)> for ExcludedRun {
    fn from((_, run): (usize, ComparedRun)) -> Self {
        Self {
            location: run.location,
            status: run.status,
        }
    }
}

/// Corrects all p-values together. Returns their number.
pub(super) fn correct(sections: &mut [Section]) -> usize {
    let tables = sections.iter_mut().flat_map(|section| &mut section.tables);
    let entries = tables.flat_map(|table| table.rows.iter_mut().flatten().flatten());
    verdict::correct(entries.filter_map(|entry| entry.comparison.as_mut()))
}

/// One metric for one workload key at one value of the second axis.
#[derive(Debug, Clone, Copy)]
pub struct ComparisonRow<'a> {
    /// Names of the groups, baseline first.
    pub groups: &'a [String],
    /// The section of the workload key.
    pub section: &'a Section,
    /// The point on the second axis, with the durations there.
    pub point: &'a AxisPoint,
    /// The metric.
    pub metric: Metric,
    /// The figures of each group.
    pub entries: &'a [Option<Entry>],
}

impl<'a> ComparisonRow<'a> {
    /// The groups that have runs, each with its index, name and figures.
    pub fn groups_with_runs(self) -> impl Iterator<Item = (usize, &'a str, &'a Entry)> {
        let named = self.groups.iter().zip(self.entries).enumerate();
        named.filter_map(|(place, (name, entry))| Some((place, name.as_str(), entry.as_ref()?)))
    }

    /// The groups compared with the baseline.
    pub fn compared(self) -> impl Iterator<Item = (&'a str, &'a BaselineComparison)> {
        self.groups_with_runs()
            .filter_map(|(_, name, entry)| Some((name, entry.comparison.as_ref()?)))
    }
}

impl Section {
    /// The rows of one table.
    pub fn rows<'a>(
        &'a self,
        groups: &'a [String],
        table: &'a MetricTable,
    ) -> impl Iterator<Item = ComparisonRow<'a>> {
        let rows = self.points.iter().zip(&table.rows);
        rows.map(move |(point, entries)| ComparisonRow {
            groups,
            section: self,
            point,
            metric: table.metric,
            entries,
        })
    }
}

impl Comparison {
    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = ComparisonRow<'_>> {
        self.sections.iter().flat_map(|section| {
            let tables = section.tables.iter();
            tables.flat_map(|table| section.rows(&self.groups, table))
        })
    }
}

impl AxisPoint {
    /// The merged durations of a group.
    pub fn durations(&self, timed: Timed, group: usize) -> Option<&Merged> {
        self.merged[group][timed as usize].as_ref()
    }

    /// If the metric is a percentile, its value over all runs of a group.
    pub(super) fn merged(&self, metric: Metric, group: usize) -> Option<u64> {
        let (timed, percentile) = metric.percentile()?;
        Some(self.durations(timed, group)?.at(percentile))
    }
}
