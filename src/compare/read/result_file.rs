//! Converts a result document to a run. Unknown fields are read like all others and missing ones
//! stay unknown, as an older or newer version of the program may have written it.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::LineError;
use super::documents::JsonDocument;
use crate::compare::explain::TimeBudget;
use crate::compare::fields::{Fields, PARAMS};
use crate::compare::figures::{Durations, Figures, LARGEST};
use crate::compare::run::{ComparedRun, Location};
use crate::histogram::Percentile;
use crate::result::{SCHEMA, Warning};

/// What a comparison uses of a document besides its [`Fields`].
#[derive(Default, Deserialize)]
#[serde(default)]
struct NotInFields<'a> {
    #[serde(borrow)]
    latency_ns: Option<Encoded<'a>>,
    #[serde(borrow)]
    service_latency_ns: Option<Encoded<'a>>,
    #[serde(borrow)]
    fsync_latency_ns: Option<Encoded<'a>>,
    warnings: Vec<Warning>,
}

/// An encoded histogram.
#[derive(Deserialize)]
struct Encoded<'a> {
    histogram: Option<&'a str>,
}

/// Reads one document.
pub fn run(document: JsonDocument<'_>, file: &Arc<str>) -> Result<ComparedRun, LineError> {
    let location = Location {
        file: Arc::clone(file),
        line: document.line,
    };
    let in_document = |reason| LineError {
        line: document.line,
        reason,
    };
    check_schema(document).map_err(in_document)?;
    let in_line = |error| LineError::of_json(document.line, &error);
    let mut fields: Fields = serde_json::from_str(document.text).map_err(in_line)?;
    // Versions without open loops and warm-ups did not state this.
    for name in ["rate_per_s", "arrival", "warmup_s"] {
        fields.insert_missing(&format!("{PARAMS}{name}"), "null");
    }
    let rest: NotInFields = serde_json::from_str(document.text).map_err(in_line)?;
    of_fields(fields, rest, location).map_err(in_document)
}

fn of_fields(fields: Fields, rest: NotInFields<'_>, location: Location) -> Result<ComparedRun> {
    let text = |path| {
        let value = fields.get(path).map(str::to_owned);
        value.with_context(|| format!("{path} is missing"))
    };
    let required = |path| figure(&fields, path)?.with_context(|| format!("{path} is missing"));
    let closed_loop = fields.get(&format!("{PARAMS}rate_per_s")) == Some("null");
    let figures = Figures {
        wall_s: Some(required("totals.wall_s")?),
        events_per_s: Some(required("rates.events_per_s")?),
        // The document has 0 for a run that moves no data.
        mib_per_s: Some(required("rates.mib_per_s")?).filter(|rate| *rate > 0.0),
        latency: durations(&fields, "latency_ns", rest.latency_ns)?,
        service: durations(&fields, "service_latency_ns", rest.service_latency_ns)?,
        fsync: durations(&fields, "fsync_latency_ns", rest.fsync_latency_ns)?,
        budget: match closed_loop {
            true => TimeBudget::of(|path| figure(&fields, path))?,
            // The threads of an open loop spend most of their time waiting for arrivals.
            false => None,
        },
    };
    Ok(ComparedRun {
        location,
        test: text("workload.test")?,
        status: text("status")?,
        figures,
        warnings: rest.warnings,
        fields,
    })
}

fn durations(fields: &Fields, name: &str, encoded: Option<Encoded<'_>>) -> Result<Durations> {
    let of = |statistic: &str| figure(fields, &format!("{name}.{statistic}"));
    let mut percentiles = Vec::new();
    for percentile in Percentile::ALL {
        if let Some(ns) = of(percentile.field())? {
            percentiles.push((percentile, ns));
        }
    }
    Ok(Durations {
        mean: of("mean")?,
        max: of("max")?,
        percentiles,
        histogram: encoded.and_then(|it| it.histogram).map(Into::into),
    })
}

/// A number in the document; `None` if missing or null.
///
/// Fails if it is negative or above [`LARGEST`], as its statistics would be meaningless.
fn figure(fields: &Fields, path: &str) -> Result<Option<f64>> {
    let Some(text) = fields.get(path).filter(|text| *text != "null") else {
        return Ok(None);
    };
    let number = text.parse().unwrap_or(f64::NAN);
    ensure!(
        (0.0..=LARGEST).contains(&number),
        "invalid {path} {text}: expected a number from 0 to {LARGEST:e}"
    );
    Ok(Some(number))
}

/// Fails unless the document declares the schema version that this program supports.
pub fn check_schema(document: JsonDocument<'_>) -> Result<()> {
    #[derive(Deserialize)]
    struct Declared {
        schema: Option<String>,
    }
    let declared = serde_json::from_str::<Declared>(document.text).ok();
    match declared.and_then(|it| it.schema).as_deref() {
        Some(SCHEMA) => Ok(()),
        Some(other) if other.starts_with("wbench.result/") => {
            bail!("schema {other} is not supported: this version reads {SCHEMA}")
        }
        Some(other) => bail!("schema {other} is not that of a result, {SCHEMA}"),
        None => bail!("not a result of wbench: JSON without the schema {SCHEMA}"),
    }
}
