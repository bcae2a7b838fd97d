//! JSON: one document for programs.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::compare::comparison::{Comparison, Corrected, Entry, Row, Verdict};
use crate::compare::environment::Environment;
use crate::compare::histogram::Merged;
use crate::compare::metric::Metric;
use crate::compare::stats::{ALPHA, CONFIDENCE, Estimate, Interval, Summary, Test};
use crate::histogram::Percentiles;
use crate::result::Tool;
use crate::terminal;

/// The schema of the document.
const SCHEMA: &str = "wbench.compare/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    tool: Tool,
    test: Test,
    confidence: f64,
    alpha: f64,
    /// Number of p-values corrected together.
    corrected: usize,
    baseline: Option<&'a String>,
    groups: &'a [String],
    vary: Option<&'a String>,
    rows: Vec<JsonRow<'a>>,
    left_out: Vec<LeftOut<'a>>,
    environment: &'a Environment,
}

#[derive(Serialize)]
struct JsonRow<'a> {
    test: &'a str,
    params: &'a BTreeMap<String, String>,
    /// Value of the second axis.
    value: Option<&'a String>,
    metric: Metric,
    unit: &'static str,
    more_is_better: bool,
    groups: Vec<JsonGroup<'a>>,
}

#[derive(Serialize)]
struct JsonGroup<'a> {
    group: &'a str,
    #[serde(flatten)]
    summary: &'a Summary,
    merged: Option<u64>,
    change_percent: Option<Estimate>,
    p: Option<Corrected>,
    verdict: Option<Verdict>,
    latency_ns: Option<Distribution>,
    fsync_latency_ns: Option<Distribution>,
}

#[derive(Serialize)]
struct LeftOut<'a> {
    source: String,
    status: &'a str,
}

/// Percentiles over all events of a group's runs.
#[derive(Serialize)]
struct Distribution {
    runs: usize,
    events: u64,
    #[serde(flatten)]
    percentiles: Percentiles<u64>,
}

/// Formats the comparison as JSON.
pub fn text(comparison: &Comparison) -> Result<String> {
    let document = Document {
        schema: SCHEMA,
        tool: Tool::this(),
        test: comparison.test,
        confidence: CONFIDENCE,
        alpha: ALPHA,
        corrected: comparison.corrected,
        baseline: comparison.groups.first(),
        groups: &comparison.groups,
        vary: comparison.vary.as_ref(),
        rows: comparison.rows().map(JsonRow::of).collect(),
        left_out: comparison
            .left_out
            .iter()
            .map(|run| LeftOut {
                source: run.source.to_string(),
                status: &run.status,
            })
            .collect(),
        environment: &comparison.environment,
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(terminal::json(text))
}

impl<'a> JsonRow<'a> {
    fn of(row: Row<'a>) -> Self {
        let group = |(place, group, entry): (usize, &'a str, &'a Entry)| JsonGroup {
            group,
            summary: &entry.summary,
            merged: entry.merged,
            change_percent: entry.against.and_then(|a| a.change).map(percent),
            p: entry.against.and_then(|a| a.p),
            verdict: entry.against.map(|a| a.verdict),
            latency_ns: row.point.latency[place].as_ref().map(Distribution::of),
            fsync_latency_ns: row.point.fsync[place].as_ref().map(Distribution::of),
        };
        Self {
            test: &row.section.work.test,
            params: &row.section.work.params,
            value: row.point.value.as_ref(),
            metric: row.metric,
            unit: row.metric.unit(),
            more_is_better: row.metric.more_is_better(),
            groups: row.told().map(group).collect(),
        }
    }
}

fn percent(ratio: Estimate) -> Estimate {
    Estimate {
        value: ratio.value * 100.0,
        interval: ratio.interval.map(|interval| Interval {
            low: interval.low * 100.0,
            high: interval.high * 100.0,
        }),
    }
}

impl Distribution {
    fn of(merged: &Merged) -> Self {
        Self {
            runs: merged.runs,
            events: merged.events,
            percentiles: merged.percentiles,
        }
    }
}
