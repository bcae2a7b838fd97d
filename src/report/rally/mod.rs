//! Results in the format that Rally reads from a command's standard output.
//!
//! Rally's scenario `VMTasks.boot_runcommand_delete` expects one JSON object with the keys
//! `additive` and `complete`, lists of charts. It shows the additive charts across all iterations
//! of a workload and the complete charts for each iteration. How Rally processes them determines
//! their contents:
//!
//! - It merges the additive charts of the iterations by position in the list, and the values in a
//!   chart by name. The list therefore depends only on the plan, never on the outcome, and a unit
//!   depends on the test, never on a value.
//! - It rounds tables to 3 decimals and labels statistics "(sec)" whatever their unit; on a
//!   terminal it also shows lines as such statistics. Each name therefore includes its unit.
//! - It accepts values from every command with exit status 0. Incomplete runs, which `wbench show`
//!   can print, therefore add no values to additive charts.
//! - It decodes the output in chunks of 4096 bytes. The output is therefore pure ASCII.

mod chart;

use anyhow::{Context, Result};

use self::chart::{Additive, Cell, Complete, RallyChart, ScenarioOutput, ascii};
use super::text;
use crate::histogram::Percentile;
use crate::plan::Test;
use crate::result::{Interval, Latency, RunResult, Status};
use crate::terminal;

/// Line length of the embedded result, so that it does not widen Rally's page.
const RESULT_LINE: usize = 120;

/// Returns the document for one iteration of a workload: the charts of each result, in order.
pub fn document(results: &[RunResult]) -> Result<String> {
    let mut output = ScenarioOutput::default();
    for result in results {
        output.additive.extend(additive(result));
        output.complete.extend(complete(result)?);
    }
    let json = serde_json::to_string(&output).context("making JSON for Rally")?;
    Ok(ascii(&terminal::json(json)) + "\n")
}

/// Primary rate of a test.
struct Rate {
    name: &'static str,
    unit: &'static str,
    value: f64,
    of: fn(&Interval) -> f64,
}

impl Rate {
    fn of(result: &RunResult) -> Self {
        match result.workload.params.test.moves_bytes() {
            true => Self {
                name: "bandwidth",
                unit: "MiB/s",
                value: result.rates.mib_per_s,
                of: |interval| interval.mib_per_s,
            },
            false => Self {
                name: "rate",
                unit: "events/s",
                value: result.rates.events_per_s,
                of: |interval| interval.events_per_s,
            },
        }
    }
}

/// Unit of a test's latencies.
#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    ns: f64,
}

impl Unit {
    /// Returns a unit in which 3 decimals are precise enough.
    fn of(test: &Test) -> Self {
        match test.memory() {
            Some(_) => Self {
                name: "ns",
                ns: 1.0,
            },
            None => Self {
                name: "us",
                ns: 1e3,
            },
        }
    }

    fn of_ns(self, ns: f64) -> f64 {
        ns / self.ns
    }
}

/// Percentiles that a chart shows as lines.
const LINES: [Percentile; 3] = [Percentile::P50, Percentile::P95, Percentile::P99];

/// Returns the columns of a latency distribution: names and values.
fn distribution(latency: &Latency, unit: Unit) -> Vec<(String, f64)> {
    let exact = |name: &str, ns: f64| (name.to_owned(), unit.of_ns(ns));
    let mut columns = vec![
        exact("min", latency.min as f64),
        exact("mean", latency.mean),
        exact("stddev", latency.stddev),
    ];
    let percentiles = latency.percentiles.iter();
    columns.extend(percentiles.map(|(p, &ns)| (p.to_string(), unit.of_ns(ns as f64))));
    columns.push(exact("max", latency.max as f64));
    columns
}

/// Iterates over the distributions of a result and the name of the operation each describes.
fn distributions(result: &RunResult) -> impl Iterator<Item = (&'static str, &Latency)> {
    let all = [
        ("latency", &result.latency_ns),
        ("service", &result.service_latency_ns),
        ("fsync", &result.fsync_latency_ns),
    ];
    all.into_iter()
        .filter_map(|(name, latency)| Some((name, latency.as_ref()?)))
}

fn additive(result: &RunResult) -> [RallyChart<Additive>; 3] {
    let title = result.workload.title();
    let unit = Unit::of(&result.workload.params.test);
    let rate = Rate::of(result);
    let complete = result.status == Status::Complete;
    let figures = |figures: Vec<(String, f64)>| if complete { figures } else { Vec::new() };

    let mut table = vec![("rate, events/s".to_owned(), result.rates.events_per_s)];
    if result.workload.params.test.moves_bytes() {
        table.push(("bandwidth, MiB/s".to_owned(), result.rates.mib_per_s));
    }
    table.push(("time of the run, s".to_owned(), result.totals.wall_s));
    for (name, latency) in distributions(result) {
        let columns = distribution(latency, unit).into_iter();
        table.extend(
            columns.map(|(column, value)| (format!("{name} {column}, {}", unit.name), value)),
        );
    }
    let latency = result.latency_ns.as_ref();
    let percentiles = latency.map_or(Vec::new(), |latency| {
        let of = |percentile| {
            let ns = *latency.percentiles.get(percentile);
            (
                format!("{percentile}, {}", unit.name),
                unit.of_ns(ns as f64),
            )
        };
        LINES.map(of).to_vec()
    });
    let main = vec![(format!("{}, {}", rate.name, rate.unit), rate.value)];
    [
        RallyChart {
            description: "Units are those in the row names, not those in the column headings; Count \
                          is the number of iterations.",
            ..RallyChart::new(title.clone(), Additive::StatsTable(figures(table)))
        },
        RallyChart::new(
            format!("{title}: {}", rate.name),
            Additive::Lines(figures(main)),
        )
        .with_axes(rate.unit, "Iteration"),
        RallyChart::new(
            format!("{title}: latency"),
            Additive::Lines(figures(percentiles)),
        )
        .with_axes(unit.name, "Iteration"),
    ]
}

fn complete(result: &RunResult) -> Result<Vec<RallyChart<Complete>>> {
    let title = result.workload.title();
    let unit = Unit::of(&result.workload.params.test);
    let named = |what: &str, plot| RallyChart::new(format!("{title}: {what}"), plot);

    let mut charts = vec![RallyChart::new(
        title.clone(),
        Complete::TextArea(report(result)),
    )];
    let mut cols = Vec::new();
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for (name, latency) in distributions(result) {
        let (columns, figures): (Vec<_>, Vec<_>) = distribution(latency, unit).into_iter().unzip();
        cols = [unit.name.to_owned()].into_iter().chain(columns).collect();
        let figures = figures.into_iter().map(|value| (value * 1e3).round() / 1e3);
        let name = [Cell::Name(name)].into_iter();
        rows.push(name.chain(figures.map(Cell::Figure)).collect());
    }
    if !rows.is_empty() {
        charts.push(named("durations", Complete::Table { cols, rows }));
    }
    // Rally does not draw a line with a single point.
    if let intervals @ [_, _, ..] = result.intervals.as_slice() {
        let rate = Rate::of(result);
        let points = intervals
            .iter()
            .map(|interval| (at(interval), (rate.of)(interval)));
        let lines = Complete::Lines(vec![(rate.name, points.collect())]);
        charts.push(named(rate.name, lines).with_axes(rate.unit, "Seconds"));
        let points = intervals
            .iter()
            .filter_map(|interval| Some((at(interval), unit.of_ns(interval.p95_ns? as f64))));
        let lines = Complete::Lines(vec![("p95", points.collect())]);
        charts.push(named("latency", lines).with_axes(unit.name, "Seconds"));
    }
    let lines = Complete::TextArea(document_lines(result)?);
    charts.push(RallyChart {
        description: "Join the lines to get the JSON document that wbench show and wbench compare \
                      read.",
        ..RallyChart::new(format!("{} of {title}", result.schema), lines)
    });
    Ok(charts)
}

/// Returns the end of an interval in seconds, rounded: Rally labels the axis only at whole numbers.
fn at(interval: &Interval) -> f64 {
    (interval.at_s * 1e3).round() / 1e3
}

/// Returns the text report, preceded by the start time, labels and error, which the text report
/// omits because its reader knows them.
fn report(result: &RunResult) -> Vec<String> {
    let labels = result
        .labels
        .iter()
        .map(|(key, value)| terminal::line(&format!("label {key}={value}")).into_owned());
    let error = result.error.iter();
    let error = error.map(|error| terminal::line(&format!("error {error}")).into_owned());
    let report = text::report(result);
    let lines = report.lines().skip(1).map(str::trim).map(str::to_owned);
    [format!("started {}", result.started_at)]
        .into_iter()
        .chain(labels)
        .chain(error)
        .chain(lines.filter(|line| !line.is_empty()))
        .collect()
}

/// Returns the result as minified JSON, split into lines.
fn document_lines(result: &RunResult) -> Result<Vec<String>> {
    let json = serde_json::to_string(result).context("making JSON of the result")?;
    let characters: Vec<char> = ascii(&terminal::json(json)).chars().collect();
    let lines = characters.chunks(RESULT_LINE);
    Ok(lines.map(|line| line.iter().collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn example() -> RunResult {
        serde_json::from_str(include_str!("../../../docs/examples/quiet/1.json")).unwrap()
    }

    fn parsed(results: &[RunResult]) -> Value {
        serde_json::from_str(&document(results).unwrap()).unwrap()
    }

    #[test]
    fn the_output_is_ascii_and_decodes_to_the_original_text() {
        let mut result = example();
        let label = "Genève \u{1d11e} \"quoted\"";
        result.labels.insert("site".into(), label.into());
        let text = document(&[result]).unwrap();
        assert!(text.is_ascii() && text.ends_with("}\n"), "{text}");
        let complete = &serde_json::from_str::<Value>(&text).unwrap()["complete"];
        assert_eq!(complete[0]["data"][1], format!("label site={label}"));
    }

    #[test]
    fn the_result_can_be_restored_from_its_lines() {
        let mut result = example();
        result.labels.insert("site".into(), "Genève".into());
        let complete = &parsed(std::slice::from_ref(&result))["complete"];
        let last = complete.as_array().unwrap().last().unwrap();
        let lines = last["data"].as_array().unwrap();
        let joined: String = lines.iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(serde_json::from_str::<RunResult>(&joined).unwrap(), result);
    }

    #[test]
    fn an_incomplete_run_keeps_its_charts_but_adds_no_values() {
        let whole = example();
        let mut cut = whole.clone();
        cut.status = Status::Failed;
        cut.error = Some("the disk is gone".into());
        let (of_whole, of_cut) = (parsed(&[whole]), parsed(&[cut]));
        let charts = |document: &Value, key: &str| -> Vec<Value> {
            let charts = document["additive"].as_array().unwrap();
            charts.iter().map(|chart| chart[key].clone()).collect()
        };
        assert_eq!(charts(&of_whole, "title"), charts(&of_cut, "title"));
        assert!(
            charts(&of_cut, "data")
                .iter()
                .all(|data| data == &Value::Array(vec![]))
        );
        assert!(
            charts(&of_whole, "data")
                .iter()
                .all(|data| data != &Value::Array(vec![]))
        );
        let text = of_cut["complete"][0]["data"].to_string();
        assert!(
            text.contains("error the disk is gone") && text.contains("FAILED"),
            "{text}"
        );
    }

    #[test]
    fn a_suite_contains_the_charts_of_each_result() {
        let one = parsed(&[example()])["additive"].as_array().unwrap().len();
        let two = parsed(&[example(), example()])["additive"]
            .as_array()
            .unwrap()
            .len();
        assert_eq!(two, 2 * one);
    }
}
