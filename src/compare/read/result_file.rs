//! Converts a result document to a run. Unknown fields are ignored and missing ones stay unknown,
//! as an older or newer version of the program may have written it.

use std::sync::Arc;

use anyhow::{Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::documents::{Document, Fault};
use crate::compare::metric::Percentile;
use crate::compare::run::{Durations, Facts, Figures, Run, Source};
use crate::result::SCHEMA;

/// The fields of the document that a comparison uses.
#[derive(Deserialize)]
struct ResultFile<'a> {
    #[serde(default)]
    tool: Value,
    #[serde(default)]
    labels: Value,
    #[serde(default)]
    suite: Value,
    #[serde(default)]
    host: Value,
    #[serde(default)]
    clock: Value,
    workload: Value,
    #[serde(default)]
    storage: Value,
    status: String,
    totals: Totals,
    rates: Rates,
    #[serde(borrow)]
    latency_ns: Option<Latency<'a>>,
    #[serde(borrow)]
    fsync_latency_ns: Option<Latency<'a>>,
    #[serde(default)]
    noise: Value,
    #[serde(default)]
    warnings: Vec<Warning>,
}

/// Upper limit of every figure of a run: no counter has more than 64 bits.
pub(super) const LARGEST: f64 = 1e20;

impl ResultFile<'_> {
    /// Fails if a figure is negative or above [`LARGEST`], as its statistics would be meaningless.
    fn check(&self) -> Result<()> {
        let figures = [
            ("totals.wall_s", self.totals.wall_s),
            ("rates.events_per_s", self.rates.events_per_s),
            ("rates.mib_per_s", self.rates.mib_per_s),
        ];
        let latencies = [
            ("latency_ns", &self.latency_ns),
            ("fsync_latency_ns", &self.fsync_latency_ns),
        ];
        for (name, figure) in figures {
            check_figure(name, figure)?;
        }
        for (name, latency) in latencies {
            let figures = latency.iter().flat_map(Latency::figures);
            for (field, figure) in figures {
                check_figure(&format!("{name}.{field}"), figure)?;
            }
        }
        Ok(())
    }
}

fn check_figure(name: &str, figure: f64) -> Result<()> {
    ensure!(
        (0.0..=LARGEST).contains(&figure),
        "invalid {name} {figure:?}: expected a number from 0 to {LARGEST:e}"
    );
    Ok(())
}

#[derive(Deserialize)]
struct Totals {
    wall_s: f64,
}

#[derive(Deserialize)]
struct Rates {
    events_per_s: f64,
    mib_per_s: f64,
}

#[derive(Deserialize)]
struct Latency<'a> {
    mean: Option<f64>,
    max: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    p99_9: Option<f64>,
    histogram: Option<&'a str>,
}

impl Latency<'_> {
    /// The figures in the document, by name.
    fn figures(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let all = [
            ("mean", self.mean),
            ("max", self.max),
            ("p50", self.p50),
            ("p90", self.p90),
            ("p95", self.p95),
            ("p99", self.p99),
            ("p99_9", self.p99_9),
        ];
        let known = all.into_iter();
        known.filter_map(|(name, figure)| Some((name, figure?)))
    }
}

#[derive(Deserialize)]
struct Warning {
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct Schema {
    schema: Option<String>,
}

/// Reads one document.
pub fn run(document: Document<'_>, file: &Arc<str>) -> Result<Run, Fault> {
    let fault = |reason| Fault {
        line: document.line,
        reason,
    };
    check_schema(document).map_err(fault)?;
    let told: ResultFile = serde_json::from_str(document.text)
        .map_err(|error| Fault::of_json(document.line, &error))?;
    told.check().map_err(fault)?;
    let test = told.workload["test"].as_str();
    let test = test
        .ok_or_else(|| fault(anyhow!("workload.test is missing")))?
        .to_owned();
    let mut facts = Facts::default();
    for (name, value) in [
        ("tool", &told.tool),
        ("labels", &told.labels),
        ("suite", &told.suite),
        ("host", &told.host),
        ("clock", &told.clock),
        ("workload", &told.workload),
        ("storage", &told.storage),
        ("noise", &told.noise),
    ] {
        if !value.is_null() {
            facts.insert(name, value);
        }
    }
    Ok(Run {
        source: Source {
            file: Arc::clone(file),
            line: document.line,
        },
        test,
        status: told.status,
        facts,
        figures: Figures {
            wall_s: Some(told.totals.wall_s),
            events_per_s: Some(told.rates.events_per_s),
            // The document has 0 for a run that moves no data.
            mib_per_s: Some(told.rates.mib_per_s).filter(|rate| *rate > 0.0),
            latency: told.latency_ns.map(Durations::from).unwrap_or_default(),
            fsync: told
                .fsync_latency_ns
                .map(Durations::from)
                .unwrap_or_default(),
        },
        warnings: told
            .warnings
            .into_iter()
            .map(|w| (w.code, w.message))
            .collect(),
    })
}

/// Fails unless the document declares the schema version that this program supports.
pub fn check_schema(document: Document<'_>) -> Result<()> {
    let told = serde_json::from_str::<Schema>(document.text).ok();
    match told.and_then(|told| told.schema).as_deref() {
        Some(SCHEMA) => Ok(()),
        Some(other) if other.starts_with("wbench.result/") => {
            bail!("its schema {other} is not the one that this version reads, {SCHEMA}")
        }
        Some(other) => bail!("its schema is {other}, not that of a result, {SCHEMA}"),
        None => bail!("no result of wbench: JSON without the schema {SCHEMA}"),
    }
}

impl From<Latency<'_>> for Durations {
    fn from(told: Latency<'_>) -> Self {
        let percentiles = [
            (Percentile::P50, told.p50),
            (Percentile::P90, told.p90),
            (Percentile::P95, told.p95),
            (Percentile::P99, told.p99),
            (Percentile::P99_9, told.p99_9),
        ];
        Self {
            mean: told.mean,
            max: told.max,
            percentiles: percentiles
                .into_iter()
                .filter_map(|(percentile, ns)| Some((percentile, ns?)))
                .collect(),
            histogram: told.histogram.map(Into::into),
        }
    }
}
