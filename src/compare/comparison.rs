//! The result of a comparison: each group beside the baseline, for each workload key.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use super::environment::Environment;
use super::histogram::Merged;
use super::matching::Work;
use super::metric::{Metric, Of, Point};
use super::run::Source;
use super::stats::{self, ALPHA, Estimate, Outcome, Summary, holm};

/// The result of a comparison.
#[derive(Debug)]
pub struct Comparison {
    /// The significance test.
    pub test: stats::Test,
    /// Names of the groups, baseline first.
    pub groups: Vec<String>,
    /// Name of the second axis.
    pub vary: Option<String>,
    /// One section per workload key, by test and parameters.
    pub sections: Vec<Section>,
    /// Number of p-values corrected together.
    pub corrected: usize,
    /// Runs left out because they did not end normally.
    pub left_out: Vec<LeftOut>,
    /// What else differed.
    pub environment: Environment,
}

/// The comparison for one workload key.
#[derive(Debug)]
pub struct Section {
    /// The workload key.
    pub work: Work,
    /// Names of the parameters in which the sections of this test differ.
    pub distinct: Vec<String>,
    /// Values of the second axis; a single `None` if there is no second axis.
    pub points: Vec<AxisPoint>,
    /// One table per metric.
    pub tables: Vec<Table>,
}

/// A workload key at one value of the second axis.
#[derive(Debug)]
pub struct AxisPoint {
    /// The value of the second axis.
    pub value: Option<String>,
    /// Durations of all events in each group's runs; `None` if a run has no histogram.
    pub latency: Vec<Option<Merged>>,
    /// The same for the fsyncs.
    pub fsync: Vec<Option<Merged>>,
}

/// One metric for one workload key.
#[derive(Debug)]
pub struct Table {
    /// The metric.
    pub metric: Metric,
    /// For each point of the second axis, the figures of each group; `None` if it has no run.
    pub rows: Vec<Vec<Option<Entry>>>,
}

/// The figures of one group in one row.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Summary of the runs' values.
    pub summary: Summary,
    /// For a percentile, its value over the events of all runs, in nanoseconds.
    pub merged: Option<u64>,
    /// Comparison with the baseline; `None` for the baseline itself or if the baseline has no run.
    pub against: Option<Against>,
}

/// Comparison of a group with the baseline.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Against {
    /// Ratio minus 1; `None` if any value is zero or negative.
    pub change: Option<Estimate>,
    /// `None` if either group has only one run.
    pub p: Option<Corrected>,
    /// Whether the difference is for the better, significant or not.
    #[serde(skip)]
    better: bool,
    /// The conclusion.
    pub verdict: Verdict,
}

/// Two-sided p-value before and after Holm's correction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Corrected {
    /// The p-value of this comparison alone.
    pub raw: f64,
    /// Corrected for all comparisons of the report.
    pub holm: f64,
    /// The corrected p-value if no groups overlapped in any row: the smallest that these numbers of
    /// runs can give.
    #[serde(skip)]
    pub at_best: f64,
}

/// Conclusion of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Significantly better.
    Better,
    /// Significantly worse.
    Worse,
    /// No significant difference.
    Undecided,
    /// Too few runs: even the largest difference would not be significant.
    TooFew,
}

/// A run that is left out.
#[derive(Debug)]
pub struct LeftOut {
    /// The file and line of the run.
    pub source: Source,
    /// Status of the run.
    pub status: String,
}

impl Against {
    /// A single comparison, before correction.
    pub(super) fn of(metric: Metric, outcome: &Outcome) -> Self {
        let larger_wins = metric.more_is_better();
        let mut against = Self {
            change: outcome.change,
            p: outcome.p.map(|p| Corrected {
                raw: p.p,
                holm: p.p,
                at_best: p.smallest,
            }),
            better: (outcome.direction == Ordering::Greater) == larger_wins,
            verdict: Verdict::TooFew,
        };
        against.judge();
        against
    }

    fn judge(&mut self) {
        self.verdict = match self.p {
            Some(p) if p.holm < ALPHA && self.better => Verdict::Better,
            Some(p) if p.holm < ALPHA => Verdict::Worse,
            Some(p) if p.at_best < ALPHA => Verdict::Undecided,
            _ => Verdict::TooFew,
        };
    }
}

/// Corrects all p-values together and updates the verdicts. Returns the number of p-values.
pub(super) fn correct(sections: &mut [Section]) -> usize {
    let mut tested: Vec<&mut Against> = sections
        .iter_mut()
        .flat_map(|section| &mut section.tables)
        .flat_map(|table| table.rows.iter_mut().flatten().flatten())
        .filter_map(|entry| entry.against.as_mut())
        .filter(|against| against.p.is_some())
        .collect();
    let all = |what: fn(Corrected) -> f64| {
        let told = tested.iter().filter_map(|against| against.p.map(what));
        holm(&told.collect::<Vec<_>>())
    };
    let (corrected, at_best) = (all(|p| p.raw), all(|p| p.at_best));
    for ((against, corrected), at_best) in tested.iter_mut().zip(&corrected).zip(&at_best) {
        if let Some(p) = &mut against.p {
            (p.holm, p.at_best) = (*corrected, *at_best);
        }
        against.judge();
    }
    corrected.len()
}

impl Verdict {
    /// Name in machine-readable output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Undecided => "undecided",
            Self::TooFew => "too-few",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Undecided => "~",
            Self::TooFew => "~ needs repeats",
        })
    }
}

/// One metric for one workload key at one value of the second axis.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
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

impl<'a> Row<'a> {
    /// The groups that have runs, each with its index, name and figures.
    pub fn told(self) -> impl Iterator<Item = (usize, &'a str, &'a Entry)> {
        let named = self.groups.iter().zip(self.entries).enumerate();
        named.filter_map(|(place, (name, entry))| Some((place, name.as_str(), entry.as_ref()?)))
    }

    /// The groups compared with the baseline.
    pub fn compared(self) -> impl Iterator<Item = (&'a str, &'a Against)> {
        self.told()
            .filter_map(|(_, name, entry)| Some((name, entry.against.as_ref()?)))
    }
}

impl Section {
    /// The rows of one table.
    pub fn rows<'a>(
        &'a self,
        groups: &'a [String],
        table: &'a Table,
    ) -> impl Iterator<Item = Row<'a>> {
        let rows = self.points.iter().zip(&table.rows);
        rows.map(move |(point, entries)| Row {
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
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.sections.iter().flat_map(|section| {
            let tables = section.tables.iter();
            tables.flat_map(|table| section.rows(&self.groups, table))
        })
    }
}

impl AxisPoint {
    /// If the metric is a percentile, its value over all runs of a group.
    pub(super) fn merged(&self, metric: Metric, group: usize) -> Option<u64> {
        let Metric::Latency(of, Point::At(percentile)) = metric else {
            return None;
        };
        let durations = match of {
            Of::Events => &self.latency,
            Of::Fsyncs => &self.fsync,
        };
        Some(durations[group].as_ref()?.at(percentile))
    }
}
