//! Turns the runs in each cell of a table into samples and compares them.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Question;
use super::comparison::{Against, AxisPoint, Entry, Section, Table};
use super::histogram::Merged;
use super::matching::Work;
use super::metric::{Metric, Of};
use super::natural::natural_order;
use super::run::Run;
use super::stats::{self, Sample};
use crate::histogram::Merger;
use crate::result::Warning;
use crate::warning::ComparisonWarning;

/// The runs of each group, by workload key and value of the second axis.
pub struct Cells<'a> {
    works: Vec<BTreeMap<Option<String>, Vec<Vec<&'a Run>>>>,
    groups: usize,
}

impl<'a> Cells<'a> {
    /// Creates empty cells for this many workload keys and groups.
    pub fn new(works: usize, groups: usize) -> Self {
        Self {
            works: vec![BTreeMap::new(); works],
            groups,
        }
    }

    /// Adds a run to its cell.
    pub fn put(&mut self, work: usize, value: Option<String>, group: usize, run: &'a Run) {
        let groups = self.groups;
        let point = self.works[work].entry(value);
        point.or_insert_with(|| vec![Vec::new(); groups])[group].push(run);
    }

    /// The runs of each cell.
    pub fn iter(&self) -> impl Iterator<Item = &[&'a Run]> {
        let groups = self.works.iter().flat_map(BTreeMap::values);
        groups.flatten().map(Vec::as_slice)
    }

    /// Compares the groups, separately for each workload key and value of the second axis. The
    /// p-values are not yet corrected.
    pub fn into_sections(
        self,
        works: Vec<Work>,
        question: &Question,
    ) -> (Vec<Section>, Vec<Warning>) {
        let distinct = distinct_params(&works);
        let cells: Vec<&[&Run]> = self.iter().collect();
        // Nearly all of the time is spent here.
        let merged: Vec<_> = cells
            .par_iter()
            .map(|runs| (merged(Of::Events, runs), merged(Of::Fsyncs, runs)))
            .collect();
        let mut warnings = Vec::new();
        let mut told = |merged: Result<Option<Merged>, Warning>| {
            merged.unwrap_or_else(|warning| {
                warnings.push(warning);
                None
            })
        };
        let mut merged = merged.into_iter().map(|(l, f)| (told(l), told(f)));
        let sections = works
            .into_iter()
            .zip(distinct)
            .zip(&self.works)
            .map(|((work, distinct), points)| {
                let axis = points.iter().map(|(value, groups)| {
                    let (latency, fsync) = merged.by_ref().take(groups.len()).unzip();
                    let point = AxisPoint {
                        value: value.clone(),
                        latency,
                        fsync,
                    };
                    (point, groups.as_slice())
                });
                section(work, distinct, axis.collect(), question)
            })
            .filter(|section| !section.tables.is_empty())
            .collect();
        drop(merged);
        (sections, warnings)
    }
}

/// For each workload key, the names of the parameters that differ between the keys of its test.
fn distinct_params(works: &[Work]) -> Vec<Vec<String>> {
    let differs = |work: &Work, name: &String| {
        let value = work.params.get(name);
        let others = works.iter().filter(|other| other.test == work.test);
        others
            .into_iter()
            .any(|other| other.params.get(name) != value)
    };
    works
        .iter()
        .map(|work| {
            work.params
                .keys()
                .filter(|name| differs(work, name))
                .cloned()
                .collect()
        })
        .collect()
}

fn section(
    work: Work,
    distinct: Vec<String>,
    mut points: Vec<(AxisPoint, &[Vec<&Run>])>,
    question: &Question,
) -> Section {
    points.sort_by(|(a, _), (b, _)| {
        let text = |point: &AxisPoint| point.value.clone().unwrap_or_default();
        natural_order(&text(a), &text(b))
    });
    let natural = || {
        let mut runs = points
            .iter()
            .flat_map(|(_, groups)| groups.iter().flatten());
        runs.next().map(|run| Metric::natural(run))
    };
    let metrics = match question.metrics.as_slice() {
        [] => natural().into_iter().collect(),
        chosen => chosen.to_vec(),
    };
    let rows = |metric| {
        let points = points.iter();
        points.map(move |(point, groups)| entries(metric, groups, point, question.test))
    };
    // A metric that no run has gets no table.
    let told = |table: &Table| table.rows.iter().flatten().any(Option::is_some);
    let tables = metrics.into_iter().map(|metric| Table {
        metric,
        rows: rows(metric).collect(),
    });
    Section {
        work,
        distinct,
        tables: tables.filter(told).collect(),
        points: points.into_iter().map(|(point, _)| point).collect(),
    }
}

/// Merges the durations of several runs. `None` if a run has no histogram; a warning if one cannot
/// be decoded.
fn merged(of: Of, runs: &[&Run]) -> Result<Option<Merged>, Warning> {
    let mut merger = Merger::default();
    let mut longest: f64 = 0.0;
    for run in runs {
        let durations = of.durations(&run.figures);
        let Some(histogram) = durations.histogram.as_deref() else {
            return Ok(None);
        };
        merger
            .add(histogram)
            .map_err(|error| ComparisonWarning::BadHistogram {
                source: run.source.to_string(),
                error: format!("{error:#}"),
            })?;
        longest = longest.max(durations.max.unwrap_or(f64::MAX));
    }
    Ok(Merged::of(&merger, longest as u64))
}

fn entries(
    metric: Metric,
    groups: &[Vec<&Run>],
    point: &AxisPoint,
    test: stats::Test,
) -> Vec<Option<Entry>> {
    let sample = |runs: &Vec<&Run>| {
        let told = runs.iter().filter_map(|run| metric.of(&run.figures));
        Sample::new(told.collect())
    };
    let samples: Vec<_> = groups.iter().map(sample).collect();
    let baseline = samples.first().and_then(Option::as_ref);
    let against = |place: usize, sample: &Sample| {
        let baseline = baseline.filter(|_| place > 0)?;
        Some(Against::of(metric, &test.compare(baseline, sample)))
    };
    samples
        .iter()
        .enumerate()
        .map(|(place, sample)| {
            let sample = sample.as_ref()?;
            Some(Entry {
                summary: sample.summary(),
                merged: point.merged(metric, place),
                against: against(place, sample),
            })
        })
        .collect()
}
