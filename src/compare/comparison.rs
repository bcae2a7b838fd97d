//! The answer: each work, each group in it, beside the baseline.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use super::environment::Environment;
use super::histogram::Merged;
use super::matching::Work;
use super::metric::{Metric, Of, Point};
use super::run::Source;
use super::stats::{self, ALPHA, Estimate, Outcome, Summary, holm};

/// The answer.
#[derive(Debug)]
pub struct Comparison {
    /// How a difference is told from chance.
    pub test: stats::Test,
    /// The groups' names, the baseline first.
    pub groups: Vec<String>,
    /// The second axis.
    pub vary: Option<String>,
    /// Each work, by test and parameters.
    pub sections: Vec<Section>,
    /// How many p were corrected together.
    pub corrected: usize,
    /// Runs that don't count, as they did not end by themselves.
    pub left_out: Vec<LeftOut>,
    /// What else differed.
    pub environment: Environment,
}

/// One work.
#[derive(Debug)]
pub struct Section {
    /// The test and its parameters.
    pub work: Work,
    /// Names of the parameters in which the sections of this test differ.
    pub distinct: Vec<String>,
    /// The values of the second axis; a single None without one.
    pub points: Vec<AxisPoint>,
    /// The metrics that are compared.
    pub tables: Vec<Table>,
}

/// A work at one value of the second axis.
#[derive(Debug)]
pub struct AxisPoint {
    /// That value.
    pub value: Option<String>,
    /// Durations of the events of each group's runs together; None where a run has no histogram.
    pub latency: Vec<Option<Merged>>,
    /// The same of the fsyncs.
    pub fsync: Vec<Option<Merged>>,
}

/// One metric of one work.
#[derive(Debug)]
pub struct Table {
    /// What is compared.
    pub metric: Metric,
    /// For each point of the second axis, each group's figures; None where it has no run.
    pub rows: Vec<Vec<Option<Entry>>>,
}

/// The figures of a group.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Of the runs' values.
    pub summary: Summary,
    /// For a percentile, that of the events of all runs together, in nanoseconds.
    pub merged: Option<u64>,
    /// Beside the baseline; None for the baseline itself, and where the baseline has no run.
    pub against: Option<Against>,
}

/// A group beside the baseline.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Against {
    /// The ratio less 1; None where a value is not above 0.
    pub change: Option<Estimate>,
    /// None where either group has one run only.
    pub p: Option<Corrected>,
    /// It lies on the better side, shown or not.
    #[serde(skip)]
    better: bool,
    /// What follows.
    pub verdict: Verdict,
}

/// A two-sided p before and after Holm's correction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Corrected {
    /// Of this comparison alone.
    pub raw: f64,
    /// Corrected for all comparisons of the answer.
    pub holm: f64,
    /// The corrected p if no two groups overlapped anywhere: what these numbers of runs can show
    /// at best.
    #[serde(skip)]
    pub at_best: f64,
}

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Shown to be better.
    Better,
    /// Shown to be worse.
    Worse,
    /// The data does not tell.
    Undecided,
    /// Too few runs: even the largest difference would not be told from chance.
    TooFew,
}

/// A run that doesn't count.
#[derive(Debug)]
pub struct LeftOut {
    /// Where it stands.
    pub source: Source,
    /// How it ended.
    pub status: String,
}

impl Against {
    /// A comparison by itself, not yet corrected.
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

/// Corrects all p together, and judges anew; tells how many there were.
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
    /// A word for programs.
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

/// One work at one value of the second axis, and one metric of it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The groups' names, the baseline first.
    pub groups: &'a [String],
    /// The work.
    pub section: &'a Section,
    /// The value of the second axis, and the durations there.
    pub point: &'a AxisPoint,
    /// What is compared.
    pub metric: Metric,
    /// Each group's figures.
    pub entries: &'a [Option<Entry>],
}

impl<'a> Row<'a> {
    /// The groups that have runs, each with its place and its figures.
    pub fn told(self) -> impl Iterator<Item = (usize, &'a str, &'a Entry)> {
        let named = self.groups.iter().zip(self.entries).enumerate();
        named.filter_map(|(place, (name, entry))| Some((place, name.as_str(), entry.as_ref()?)))
    }

    /// The groups that stand beside the baseline.
    pub fn compared(self) -> impl Iterator<Item = (&'a str, &'a Against)> {
        self.told()
            .filter_map(|(_, name, entry)| Some((name, entry.against.as_ref()?)))
    }
}

impl Section {
    /// The rows of one of its tables.
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
    /// The percentile of all runs of a group together that a metric is about.
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
