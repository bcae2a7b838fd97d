//! Table of a suite: one row per measurement, followed by warnings.

use std::fmt::Write as _;

use super::statistics::median;
use super::table::aligned as aligned_columns;
use super::text::rate;
use crate::format::{count, duration, significant};
use crate::result::{EndedBy, Latency, RunResult, Status};
use crate::suite::PlannedRun;
use crate::terminal;

/// Results of one measurement.
struct SuiteRow<'a> {
    name: &'a str,
    results: Vec<&'a RunResult>,
}

/// Formats the results of a suite, one row per measurement.
pub fn table(runs: &[PlannedRun], results: &[RunResult]) -> String {
    let rows = rows(runs, results);
    let mut text = head(runs, results);
    _ = writeln!(text, "\n{}", aligned(&rows));
    let rounds = rows.iter().map(|row| row.results.len()).max().unwrap_or(0);
    if rounds > 1 {
        text.push_str(
            "\nmedians over the rounds; range: difference between the highest and the lowest rate, in \
             percent of the median\n",
        );
    }
    for (names, message) in warnings(&rows) {
        _ = write!(text, "\nWARNING {names}: {message}");
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    terminal::lines(&text).into_owned()
}

/// Formats one result as a line.
pub fn line(result: &RunResult) -> String {
    let name = result.suite.as_ref().map_or("", |suite| &suite.measurement);
    let mut text = name.to_owned();
    if result.totals.wall_s > 0.0 {
        _ = write!(
            text,
            ": {} in {} s",
            rate(result),
            significant(result.totals.wall_s)
        );
    }
    match result.status {
        Status::Complete => {}
        Status::Interrupted => text.push_str(", interrupted"),
        Status::Failed => text.push_str(": FAILED"),
    }
    text
}

fn rows<'a>(runs: &'a [PlannedRun], results: &'a [RunResult]) -> Vec<SuiteRow<'a>> {
    let first = runs.iter().map(|run| run.position.round).min();
    runs.iter()
        .filter(|run| Some(run.position.round) == first)
        .map(|run| {
            let name = run.position.measurement.as_str();
            let of = |result: &&RunResult| {
                let suite = result.suite.as_ref();
                suite.is_some_and(|suite| suite.measurement == name)
            };
            SuiteRow {
                name,
                results: results.iter().filter(of).collect(),
            }
        })
        .collect()
}

fn head(runs: &[PlannedRun], results: &[RunResult]) -> String {
    let suite = runs.first().map(|run| &run.position);
    let (profile, scale) = suite.map_or(("", 1.0), |suite| (suite.profile.as_str(), suite.scale));
    let mut text = format!("suite {profile}");
    if scale < 1.0 {
        _ = write!(text, " at scale {scale}");
    }
    if let Some(host) = results
        .first()
        .and_then(|result| result.host.hostname.as_deref())
    {
        _ = write!(text, " on {host}");
    }
    let complete = results
        .iter()
        .filter(|r| r.status == Status::Complete)
        .count();
    if complete < runs.len() {
        _ = write!(
            text,
            ": {complete} of {} complete",
            count(runs.len() as u64, "measurement")
        );
    }
    text.push('\n');
    text
}

fn aligned(rows: &[SuiteRow<'_>]) -> String {
    let repeated = rows.iter().any(|row| row.results.len() > 1);
    let mut head = vec![
        "measurement",
        "events/s",
        "MiB/s",
        "mean",
        "p95",
        "p99",
        "time",
        "end",
    ];
    if repeated {
        head.splice(1..2, ["n", "events/s", "range"]);
    }
    let figures = 1..head.len() - 1;
    let rows = rows.iter().map(|row| cells(row, repeated));
    aligned_columns(&head, rows, figures)
}

fn cells(row: &SuiteRow<'_>, repeated: bool) -> Vec<String> {
    // Incomplete runs count only if no run is complete.
    let complete: Vec<_> = row
        .results
        .iter()
        .copied()
        .filter(|result| result.status == Status::Complete)
        .collect();
    let shown = if complete.is_empty() {
        &row.results
    } else {
        &complete
    };
    let of = |figure: &dyn Fn(&RunResult) -> Option<f64>, format: fn(f64) -> String| {
        let values: Vec<f64> = shown.iter().filter_map(|result| figure(result)).collect();
        median(values).map_or("-".to_owned(), format)
    };
    let latency =
        |part: fn(&Latency) -> f64| of(&|result| result.latency_ns.as_ref().map(part), duration);
    let ran = |result: &RunResult| result.totals.wall_s > 0.0;
    let mut cells = vec![
        row.name.to_owned(),
        of(&|r| ran(r).then_some(r.rates.events_per_s), significant),
        of(
            &|r| (ran(r) && r.workload.params.test.moves_bytes()).then_some(r.rates.mib_per_s),
            significant,
        ),
        latency(|l| l.mean),
        latency(|l| l.percentiles.p95 as f64),
        latency(|l| l.percentiles.p99 as f64),
        of(&|r| ran(r).then_some(r.totals.wall_s * 1e9), duration),
        end(row),
    ];
    if repeated {
        let rates = shown.iter().map(|result| result.rates.events_per_s);
        let n = shown.len().to_string();
        cells.splice(1..1, [n]);
        cells.splice(3..3, [range(rates.collect())]);
    }
    cells
}

/// Returns the worst outcome of a measurement's runs.
fn end(row: &SuiteRow<'_>) -> String {
    let has = |status| row.results.iter().any(|result| result.status == status);
    let by_time = row
        .results
        .iter()
        .any(|result| result.ended_by == EndedBy::Time);
    let outcome = match row.results.is_empty() {
        true => "missing",
        false if has(Status::Failed) => "FAILED",
        false if has(Status::Interrupted) => "interrupted",
        false if by_time => "time limit",
        false => "complete",
    };
    outcome.into()
}

/// Formats the range from lowest to highest, in percent of the median.
fn range(values: Vec<f64>) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    match median(values) {
        Some(median) if median > 0.0 && high > low => {
            format!("{:.1} %", 100.0 * (high - low) / median)
        }
        _ => "-".into(),
    }
}

/// The warnings of one code.
struct CodeWarnings<'a> {
    code: &'a str,
    /// The first message.
    message: &'a str,
    /// Whether other messages differ from the first, such as in a number.
    varies: bool,
    /// The measurements concerned.
    names: Vec<&'a str>,
}

/// Returns one warning of each code, with the measurements concerned.
fn warnings(rows: &[SuiteRow<'_>]) -> Vec<(String, String)> {
    let mut codes: Vec<CodeWarnings<'_>> = Vec::new();
    let all = rows.iter().filter(|row| !row.results.is_empty()).count();
    for row in rows {
        for warning in row.results.iter().flat_map(|result| &result.warnings) {
            let Some(known) = codes.iter_mut().find(|known| known.code == warning.code) else {
                codes.push(CodeWarnings {
                    code: &warning.code,
                    message: &warning.message,
                    varies: false,
                    names: vec![row.name],
                });
                continue;
            };
            known.varies |= known.message != warning.message;
            if !known.names.contains(&row.name) {
                known.names.push(row.name);
            }
        }
    }
    codes
        .into_iter()
        .map(|warnings| {
            let names = match warnings.names.len() {
                n if n == all && n > 1 => "all".to_owned(),
                _ => warnings.names.join(", "),
            };
            let varies = match warnings.varies {
                true => " (in the first run)",
                false => "",
            };
            (names, format!("{}{varies}", warnings.message))
        })
        .collect()
}
