//! JSON: one document for programs.
//!
//! `schema/wbench.compare-2.json` is the JSON Schema generated from these types.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::Exporter;
use crate::compare::comparison::{Comparison, ComparisonRow, Entry, ExcludedRun};
use crate::compare::differences::DifferingField;
use crate::compare::explain::{Component, Explanation, Part};
use crate::compare::histogram::Merged;
use crate::compare::method::Method;
use crate::compare::metric::{Metric, Timed};
use crate::compare::stats::{ALPHA, CONFIDENCE, Estimate, Summary};
use crate::compare::verdict::{CorrectedP, Verdict};
use crate::histogram::Percentiles;
use crate::result::{Tool, Warning};
use crate::terminal;

/// The schema of the document.
const SCHEMA: &str = "wbench.compare/2";

/// One document.
pub struct Json;

impl Exporter for Json {
    fn export(&self, comparison: &Comparison) -> Result<String> {
        let document = ComparisonDocument::of(comparison);
        let mut text = serde_json::to_string_pretty(&document)?;
        text.push('\n');
        Ok(terminal::json(text))
    }
}

/// A comparison of groups of runs.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ComparisonDocument<'a> {
    /// Identifier of this schema.
    schema: &'static str,
    /// Program that made the comparison.
    tool: Tool,
    /// Significance test.
    significance_test: Method,
    /// Confidence level of every interval.
    confidence: f64,
    /// Significance level: a difference is significant if `p.holm` is below this.
    alpha: f64,
    /// Number of p-values corrected together.
    corrected: usize,
    /// Name of the group that the others are compared with; null without groups.
    baseline: Option<&'a str>,
    /// Names of the groups, baseline first.
    groups: &'a [String],
    /// Name of the second axis (`--vary`); null without one.
    vary: Option<&'a str>,
    /// One row for each test, parameters, value of the second axis and metric.
    rows: Vec<RowDocument<'a>>,
    /// Runs excluded because they did not end normally.
    left_out: Vec<ExcludedRunDocument<'a>>,
    /// What else differed, and what may mislead.
    environment: EnvironmentDocument<'a>,
}

/// A metric of runs with the same test, parameters and value of the second axis.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RowDocument<'a> {
    /// Name of the test.
    test: &'a str,
    /// Parameters of the test, by their names in the result file.
    params: &'a BTreeMap<String, String>,
    /// Value of the second axis; null without one.
    value: Option<&'a str>,
    /// Name of the metric.
    #[cfg_attr(test, schemars(with = "String"))]
    metric: Metric,
    /// Unit of the metric's values.
    unit: &'static str,
    /// Whether larger values are better.
    more_is_better: bool,
    /// The groups that have such runs.
    groups: Vec<GroupDocument<'a>>,
}

/// The figures of a group in a row.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct GroupDocument<'a> {
    /// Name of the group.
    group: &'a str,
    #[serde(flatten)]
    summary: &'a Summary,
    /// If the metric is a percentile, its value over the events of all runs; null otherwise.
    merged: Option<u64>,
    /// Change against the baseline in percent; null for the baseline, or if a value is not positive.
    change_percent: Option<Estimate>,
    /// Two-sided p-value; null for the baseline, or if a group has only one run.
    p: Option<CorrectedP>,
    /// Conclusion; null for the baseline.
    verdict: Option<Verdict>,
    /// What explains the difference from the baseline; null if it is not significant, if the metric is
    /// not a function of the mean time per event, or if a run has no `accounting`.
    why: Option<WhyDocument<'a>>,
    /// Durations of the events of all runs; null if a run has no histogram.
    latency_ns: Option<MergedDocument>,
    /// Durations of the events of all runs from their start, in an open loop; null if a run has no
    /// histogram.
    service_latency_ns: Option<MergedDocument>,
    /// Durations of the fsyncs of all runs; null if a run has no histogram.
    fsync_latency_ns: Option<MergedDocument>,
}

/// The difference of a group from the baseline in thread time per event, divided into components.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct WhyDocument<'a> {
    /// Difference in thread time per event in nanoseconds, this group less the baseline.
    difference_ns: Estimate,
    /// Names of the components that are causes, largest share first.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    causes: Vec<Component>,
    /// All components; their differences add up to the whole.
    components: Vec<ComponentDocument>,
    /// Fields whose values differ between the two groups: possible reasons, but never causes.
    candidates: &'a [String],
}

/// A component of the thread time per event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ComponentDocument {
    /// Name of the component, as in `accounting` of a result; "waiting": contended or throttled;
    /// "clock": additional CPU time at a slower clock.
    #[cfg_attr(test, schemars(with = "String"))]
    component: Component,
    /// Mean of the baseline in nanoseconds per event.
    baseline_ns: f64,
    /// Mean of this group in nanoseconds per event.
    group_ns: f64,
    /// Share of the difference, 1 for all of it; its confidence interval holds for all components
    /// together, and is null if the whole difference is too uncertain.
    share: Option<Estimate>,
}

/// A run that is excluded.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ExcludedRunDocument<'a> {
    /// File and line of the run.
    source: String,
    /// Status of the run.
    status: &'a str,
}

/// Differences between the runs, and warnings.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct EnvironmentDocument<'a> {
    /// Fields whose values differ, by name.
    differences: &'a [DifferingField],
    /// Reasons to doubt the comparison.
    warnings: &'a [Warning],
}

/// Percentiles over all events of a group's runs.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct MergedDocument {
    /// Number of runs merged.
    runs: usize,
    /// Number of events merged.
    events: u64,
    #[serde(flatten)]
    percentiles: Percentiles<u64>,
}

impl<'a> ComparisonDocument<'a> {
    fn of(comparison: &'a Comparison) -> Self {
        Self {
            schema: SCHEMA,
            tool: Tool::this(),
            significance_test: comparison.method,
            confidence: CONFIDENCE,
            alpha: ALPHA,
            corrected: comparison.corrected,
            baseline: comparison.groups.first().map(String::as_str),
            groups: &comparison.groups,
            vary: comparison.vary.as_deref(),
            rows: comparison.rows().map(RowDocument::of).collect(),
            left_out: comparison
                .excluded
                .iter()
                .map(ExcludedRunDocument::of)
                .collect(),
            environment: EnvironmentDocument {
                differences: &comparison.differences,
                warnings: &comparison.warnings,
            },
        }
    }
}

impl<'a> RowDocument<'a> {
    fn of(row: ComparisonRow<'a>) -> Self {
        let groups = row.groups_with_runs();
        Self {
            test: &row.section.key.test,
            params: &row.section.key.params,
            value: row.point.value.as_deref(),
            metric: row.metric,
            unit: row.metric.unit(),
            more_is_better: row.metric.more_is_better(),
            groups: groups
                .map(|(group, name, entry)| GroupDocument::of(row, group, name, entry))
                .collect(),
        }
    }
}

impl<'a> GroupDocument<'a> {
    fn of(row: ComparisonRow<'a>, group: usize, name: &'a str, entry: &'a Entry) -> Self {
        let comparison = entry.comparison.as_ref();
        let change = comparison.and_then(|it| it.change);
        let merged = |timed| row.point.durations(timed, group).map(MergedDocument::of);
        Self {
            group: name,
            summary: &entry.summary,
            merged: entry.merged,
            change_percent: change.map(|change| change.map(|ratio| 100.0 * ratio)),
            p: comparison.and_then(|it| it.p),
            verdict: comparison.map(|it| it.verdict()),
            why: entry.why.as_ref().map(WhyDocument::of),
            latency_ns: merged(Timed::Event),
            service_latency_ns: merged(Timed::Service),
            fsync_latency_ns: merged(Timed::Fsync),
        }
    }
}

impl<'a> WhyDocument<'a> {
    fn of(why: &'a Explanation) -> Self {
        let causes = why.causes().into_iter();
        Self {
            difference_ns: why.difference,
            causes: causes.map(|part| part.component).collect(),
            components: why.parts.iter().map(ComponentDocument::of).collect(),
            candidates: &why.candidates,
        }
    }
}

impl ComponentDocument {
    fn of(part: &Part) -> Self {
        Self {
            component: part.component,
            baseline_ns: part.baseline_ns,
            group_ns: part.candidate_ns,
            share: part.share,
        }
    }
}

impl<'a> ExcludedRunDocument<'a> {
    fn of(run: &'a ExcludedRun) -> Self {
        Self {
            source: run.location.to_string(),
            status: &run.status,
        }
    }
}

impl MergedDocument {
    fn of(merged: &Merged) -> Self {
        Self {
            runs: merged.runs,
            events: merged.events,
            percentiles: merged.percentiles,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/wbench.compare-2.json");

    #[test]
    fn the_published_schema_matches_these_types() {
        let schema = schemars::schema_for!(ComparisonDocument<'static>);
        let mut schema = serde_json::to_value(schema).unwrap();
        schema["title"] = "A comparison by wbench".into();
        schema["properties"]["schema"]["const"] = SCHEMA.into();
        let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("WBENCH_WRITE_SCHEMA").is_some() {
            std::fs::write(SCHEMA_FILE, &generated).unwrap();
        }
        let published = std::fs::read_to_string(SCHEMA_FILE).unwrap();
        assert!(
            published == generated,
            "schema/wbench.compare-2.json is out of date; `make schema` regenerates it"
        );
    }
}
