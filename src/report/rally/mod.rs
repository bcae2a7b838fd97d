//! Results as Rally takes them from a command's standard output.
//!
//! Rally's scenario `VMTasks.boot_runcommand_delete` looks for one JSON object with the keys
//! `additive` and `complete`, lists of charts. It shows the additive ones over all iterations of
//! a workload, the complete ones for each iteration alone. What Rally does with them decides what
//! they hold:
//!
//! - It puts the additive charts of the iterations together by their place in the list, and the
//!   figures in a chart by name. So the list depends on what was to run, never on what came of
//!   it, and a unit depends on the test, never on a value.
//! - It rounds tables to 3 decimals and heads statistics with "(sec)", whatever they are of; on a
//!   terminal it shows lines as such statistics, too. So each name has its unit.
//! - It takes the figures of whatever ended with exit status 0. So those of a run that is not
//!   complete, which `wbench show` can print, stand in no additive chart.
//! - It decodes the output in pieces of 4096 bytes. So all of it is ASCII.

mod chart;

use anyhow::{Context, Result};

use self::chart::{Additive, Cell, Chart, Complete, Document, ascii};
use super::text;
use crate::plan::Test;
use crate::result::{Interval, Latency, RunResult, Status};
use crate::terminal;

/// Characters on a line of the result itself, so that it does not stretch Rally's page.
const RESULT_LINE: usize = 120;

/// The document for one iteration of a workload: the charts of each result, in their order.
pub fn document(results: &[RunResult]) -> Result<String> {
    let mut document = Document::default();
    for result in results {
        document.additive.extend(additive(result));
        document.complete.extend(complete(result)?);
    }
    let json = serde_json::to_string(&document).context("making JSON for Rally")?;
    Ok(ascii(&terminal::json(json)) + "\n")
}

/// The rate that a test is known by.
struct Rate {
    name: &'static str,
    unit: &'static str,
    value: f64,
    of: fn(&Interval) -> f64,
}

impl Rate {
    fn of(result: &RunResult) -> Self {
        match text::moves_bytes(&result.workload) {
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

/// The unit of a test's latencies.
#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    ns: f64,
}

impl Unit {
    /// One in which 3 decimals tell enough.
    fn of(test: &Test) -> Self {
        match test {
            Test::Memory(_) => Self {
                name: "ns",
                ns: 1.0,
            },
            Test::Cpu(_) | Test::Fileio(_) => Self {
                name: "us",
                ns: 1e3,
            },
        }
    }

    fn of_ns(self, ns: f64) -> f64 {
        ns / self.ns
    }
}

/// Columns of a distribution.
const DISTRIBUTION: [&str; 9] = [
    "min", "mean", "stddev", "p50", "p90", "p95", "p99", "p99.9", "max",
];

/// A distribution in the order of [`DISTRIBUTION`].
fn distribution(latency: &Latency, unit: Unit) -> [f64; 9] {
    [
        latency.min as f64,
        latency.mean,
        latency.stddev,
        latency.p50 as f64,
        latency.p90 as f64,
        latency.p95 as f64,
        latency.p99 as f64,
        latency.p99_9 as f64,
        latency.max as f64,
    ]
    .map(|ns| unit.of_ns(ns))
}

/// The distributions that a result has, by the name of what took so long.
fn distributions(result: &RunResult) -> impl Iterator<Item = (&'static str, &Latency)> {
    let all = [
        ("latency", &result.latency_ns),
        ("fsync", &result.fsync_latency_ns),
    ];
    all.into_iter()
        .filter_map(|(name, latency)| Some((name, latency.as_ref()?)))
}

fn additive(result: &RunResult) -> [Chart<Additive>; 3] {
    let title = text::title(&result.workload);
    let unit = Unit::of(&result.workload.params.test);
    let rate = Rate::of(result);
    let complete = result.status == Status::Complete;
    let figures = |figures: Vec<(String, f64)>| if complete { figures } else { Vec::new() };

    let mut table = vec![("rate, events/s".to_owned(), result.rates.events_per_s)];
    if text::moves_bytes(&result.workload) {
        table.push(("bandwidth, MiB/s".to_owned(), result.rates.mib_per_s));
    }
    table.push(("time of the run, s".to_owned(), result.totals.wall_s));
    for (name, latency) in distributions(result) {
        let named = DISTRIBUTION.iter().zip(distribution(latency, unit));
        table.extend(
            named.map(|(column, value)| (format!("{name} {column}, {}", unit.name), value)),
        );
    }
    let latency = result.latency_ns.as_ref();
    let percentiles = latency.map_or(Vec::new(), |latency| {
        let of = |name, ns: u64| (format!("{name}, {}", unit.name), unit.of_ns(ns as f64));
        vec![
            of("p50", latency.p50),
            of("p95", latency.p95),
            of("p99", latency.p99),
        ]
    });
    let main = vec![(format!("{}, {}", rate.name, rate.unit), rate.value)];
    [
        Chart {
            description: "The units are those that the rows name, whatever the columns are headed \
                          with; Count is iterations.",
            ..Chart::new(title.clone(), Additive::StatsTable(figures(table)))
        },
        Chart::new(
            format!("{title}: {}", rate.name),
            Additive::Lines(figures(main)),
        )
        .with_axes(rate.unit, "Iteration"),
        Chart::new(
            format!("{title}: latency"),
            Additive::Lines(figures(percentiles)),
        )
        .with_axes(unit.name, "Iteration"),
    ]
}

fn complete(result: &RunResult) -> Result<Vec<Chart<Complete>>> {
    let title = text::title(&result.workload);
    let unit = Unit::of(&result.workload.params.test);
    let named = |what: &str, plot| Chart::new(format!("{title}: {what}"), plot);

    let mut charts = vec![Chart::new(
        title.clone(),
        Complete::TextArea(report(result)),
    )];
    let rows: Vec<Vec<Cell>> = distributions(result)
        .map(|(name, latency)| {
            let figures = distribution(latency, unit).map(|value| (value * 1e3).round() / 1e3);
            [Cell::Name(name)]
                .into_iter()
                .chain(figures.map(Cell::Figure))
                .collect()
        })
        .collect();
    if !rows.is_empty() {
        let cols = [unit.name].into_iter().chain(DISTRIBUTION).collect();
        charts.push(named("durations", Complete::Table { cols, rows }));
    }
    // Rally draws no line of one point.
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
    charts.push(Chart {
        description: "The lines joined are the JSON that wbench show and wbench compare take.",
        ..Chart::new(format!("{} of {title}", result.schema), lines)
    });
    Ok(charts)
}

/// Rally prints a mark of the axis only where it is a whole number.
fn at(interval: &Interval) -> f64 {
    (interval.at_s * 1e3).round() / 1e3
}

/// The report for a person, and what it leaves out because who sees it knows: when, and the
/// labels.
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

/// The result as it stands in its file, without space, cut into lines.
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
    fn the_output_is_ascii_and_the_same_text() {
        let mut result = example();
        let label = "Genève \u{1d11e} \"quoted\"";
        result.labels.insert("site".into(), label.into());
        let text = document(&[result]).unwrap();
        assert!(text.is_ascii() && text.ends_with("}\n"), "{text}");
        let complete = &serde_json::from_str::<Value>(&text).unwrap()["complete"];
        assert_eq!(complete[0]["data"][1], format!("label site={label}"));
    }

    #[test]
    fn the_result_itself_can_be_had_back_from_its_lines() {
        let mut result = example();
        result.labels.insert("site".into(), "Genève".into());
        let complete = &parsed(std::slice::from_ref(&result))["complete"];
        let last = complete.as_array().unwrap().last().unwrap();
        let lines = last["data"].as_array().unwrap();
        let joined: String = lines.iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(serde_json::from_str::<RunResult>(&joined).unwrap(), result);
    }

    #[test]
    fn a_run_that_is_not_complete_keeps_its_places_and_gives_no_figure() {
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
        let told = of_cut["complete"][0]["data"].to_string();
        assert!(
            told.contains("error the disk is gone") && told.contains("FAILED"),
            "{told}"
        );
    }

    #[test]
    fn a_suite_has_the_charts_of_each_result() {
        let one = parsed(&[example()])["additive"].as_array().unwrap().len();
        let two = parsed(&[example(), example()])["additive"]
            .as_array()
            .unwrap()
            .len();
        assert_eq!(two, 2 * one);
    }
}
