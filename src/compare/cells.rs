//! Runs in their places become samples and statements.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Question;
use super::comparison::{Against, AxisPoint, Entry, Section, Table};
use super::histogram::{Merged, Merger};
use super::matching::Work;
use super::metric::{Metric, Of};
use super::natural::natural_order;
use super::run::Run;
use super::stats::{self, Sample};
use crate::result::Warning;

/// The runs of each group, for each work and each value of the second axis.
pub struct Cells<'a> {
    works: Vec<BTreeMap<Option<String>, Vec<Vec<&'a Run>>>>,
    groups: usize,
}

impl<'a> Cells<'a> {
    /// No runs, for so many works and groups.
    pub fn new(works: usize, groups: usize) -> Self {
        Self {
            works: vec![BTreeMap::new(); works],
            groups,
        }
    }

    /// Puts a run in its place.
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

    /// Compares, each value of the second axis of each work by itself; p is not yet corrected.
    pub fn into_sections(
        self,
        works: Vec<Work>,
        question: &Question,
    ) -> (Vec<Section>, Vec<Warning>) {
        let distinct = distinct_params(&works);
        let sections: Vec<_> = works
            .into_par_iter()
            .zip(distinct)
            .zip(self.works)
            .map(|((work, distinct), points)| section(work, distinct, points, question))
            .collect();
        let (sections, warnings): (Vec<_>, Vec<_>) = sections.into_iter().unzip();
        (sections, warnings.into_iter().flatten().collect())
    }
}

/// For each work, the names of the parameters in which those of its test differ.
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
    points: BTreeMap<Option<String>, Vec<Vec<&Run>>>,
    question: &Question,
) -> (Section, Vec<Warning>) {
    let mut points: Vec<_> = points.into_iter().collect();
    points.sort_by(|(a, _), (b, _)| {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        natural_order(&text(a), &text(b))
    });
    let natural = || points.iter().flat_map(|(_, runs)| runs.iter().flatten());
    let metrics = match question.metrics.as_slice() {
        [] => natural()
            .next()
            .map(|run| Metric::natural(run))
            .into_iter()
            .collect(),
        chosen => chosen.to_vec(),
    };
    let merged: Vec<_> = points
        .par_iter()
        .map(|(value, groups)| {
            let (latency, bad) = merged(Of::Events, groups);
            let (fsync, bad_fsync) = merged(Of::Fsyncs, groups);
            let point = AxisPoint {
                value: value.clone(),
                latency,
                fsync,
            };
            (point, bad.into_iter().chain(bad_fsync).collect::<Vec<_>>())
        })
        .collect();
    let (axis, bad): (Vec<_>, Vec<_>) = merged.into_iter().unzip();
    let tables = metrics
        .into_iter()
        .map(|metric| Table {
            metric,
            rows: points
                .par_iter()
                .zip(&axis)
                .map(|((_, groups), point)| entries(metric, groups, point, question.test))
                .collect(),
        })
        .collect();
    let section = Section {
        work,
        distinct,
        points: axis,
        tables,
    };
    (section, bad.into_iter().flatten().collect())
}

/// The durations of each group's runs together; None where one has no histogram. What can't be
/// decoded is named.
fn merged(of: Of, groups: &[Vec<&Run>]) -> (Vec<Option<Merged>>, Vec<Warning>) {
    let mut bad = Vec::new();
    let merged = groups.iter().map(|runs| {
        let mut merger = Merger::default();
        let mut longest: f64 = 0.0;
        for run in runs {
            let durations = of.durations(&run.figures);
            if let Err(error) = merger.add(durations.histogram.as_deref()?) {
                bad.push(Warning {
                    code: "bad-histogram".into(),
                    message: format!("{}: {error:#}", run.source),
                });
                return None;
            }
            longest = longest.max(durations.max.unwrap_or(f64::MAX));
        }
        merger.finish(longest as u64)
    });
    (merged.collect(), bad)
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
