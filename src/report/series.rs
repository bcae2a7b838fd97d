//! Table and chart of a series: the memory test with several block sizes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::table::aligned;
use crate::format::{duration, significant};
use crate::plan::MemoryParams;
use crate::result::{LoadLatency, RunResult, Status};
use crate::size::Size;
use crate::terminal;

/// Length of the longest bar.
const CHART_WIDTH: f64 = 40.0;

/// What the chart shows of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charted {
    NanosecondsPerLoad,
    MibPerSecond,
    EventsPerSecond,
}

impl Charted {
    fn of(params: &MemoryParams) -> Self {
        match (params.chase, params.moves_bytes()) {
            (Some(_), _) => Self::NanosecondsPerLoad,
            (None, true) => Self::MibPerSecond,
            (None, false) => Self::EventsPerSecond,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::NanosecondsPerLoad => "ns/load",
            Self::MibPerSecond => "MiB/s",
            Self::EventsPerSecond => "events/s",
        }
    }

    /// The value in a run; None if it has none.
    fn value(self, result: &RunResult) -> Option<f64> {
        let value = match self {
            Self::NanosecondsPerLoad => result.load_latency?.median_ns,
            Self::MibPerSecond => result.rates.mib_per_s,
            Self::EventsPerSecond => result.rates.events_per_s,
        };
        (value > 0.0).then_some(value)
    }
}

/// Formats the results of a series, one row each, with a chart and the warnings.
pub fn table(results: &[RunResult]) -> String {
    let rows: Vec<_> = results
        .iter()
        .filter_map(|result| Some((result, result.workload.params.test.memory()?)))
        .collect();
    let Some(charted) = rows.first().map(|(_, params)| Charted::of(params)) else {
        return String::new();
    };
    let values: Vec<_> = rows.iter().map(|(it, _)| charted.value(it)).collect();
    let bars = bars(&values);
    let is_chase = charted == Charted::NanosecondsPerLoad;
    let has_walks = rows.iter().any(|(_, params)| stride(params) > Some(64));
    let mut head = vec!["block size", charted.title()];
    if is_chase {
        head.extend(["cycles", "mean", "min"]);
    } else {
        head.extend(["mean", "p99"]);
    }
    if has_walks {
        head.splice(1..1, ["stride"]);
        head.push("page walk");
    }
    let figures = 0..head.len();
    head.push("");
    let cells = rows
        .iter()
        .zip(&values)
        .zip(bars)
        .map(|(((result, params), value), bar)| {
            let mut cells = vec![Size(params.block_size_bytes).to_string(), known(*value)];
            cells.extend(figures_of(result, is_chase));
            if has_walks {
                let stride = stride(params).map_or("-".to_owned(), |it| Size(it).to_string());
                cells.insert(1, stride);
                cells.push(of_load(result, |latency| latency.walk_ns));
            }
            cells.push(match result.status {
                Status::Complete => bar,
                Status::Interrupted => format!("{bar} interrupted"),
                Status::Failed => "FAILED".to_owned(),
            });
            cells
        });
    let mut text = format!("{}\n\n", title(&rows));
    _ = writeln!(text, "{}", aligned(&head, cells, figures));
    _ = writeln!(text, "\nbars: {}, on a logarithmic scale", charted.title());
    // Warnings of one code differ in their numbers: the first of each is enough.
    let mut seen = BTreeSet::new();
    for warning in results.iter().flat_map(|result| &result.warnings) {
        if seen.insert(&warning.code) {
            _ = writeln!(text, "\nWARNING {}: {}", warning.code, warning.message);
        }
    }
    terminal::lines(&text).into_owned()
}

fn title(rows: &[(&RunResult, &MemoryParams)]) -> String {
    let sizes = rows.iter().map(|(_, params)| params.block_size_bytes);
    let size = |size: Option<u64>| Size(size.unwrap_or_default()).to_string();
    let (least, most) = (size(sizes.clone().min()), size(sizes.max()));
    let last = rows.last().map(|(result, _)| result.workload.title());
    // The title of a run names its own block size.
    last.unwrap_or_default().replace(
        &format!(" {most} blocks"),
        &format!(" blocks of {least} to {most}"),
    )
}

fn stride(params: &MemoryParams) -> Option<u64> {
    params.chase.map(|chase| chase.stride_bytes)
}

fn figures_of(result: &RunResult, is_chase: bool) -> Vec<String> {
    if is_chase {
        return vec![
            of_load(result, |latency| latency.median_cycles),
            of_load(result, |latency| Some(latency.mean_ns)),
            of_load(result, |latency| Some(latency.min_ns)),
        ];
    }
    let latency = result.latency_ns.as_ref();
    let time = |ns: Option<f64>| ns.map_or("-".to_owned(), duration);
    vec![
        time(latency.map(|latency| latency.mean)),
        time(latency.map(|latency| latency.percentiles.p99 as f64)),
    ]
}

fn of_load(result: &RunResult, value: fn(&LoadLatency) -> Option<f64>) -> String {
    known(result.load_latency.as_ref().and_then(value))
}

fn known(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), significant)
}

/// Returns a bar for each value on a logarithmic scale, from half of the smallest to the largest.
fn bars(values: &[Option<f64>]) -> Vec<String> {
    let known = values.iter().flatten().copied();
    let least = known.clone().fold(f64::INFINITY, f64::min) / 2.0;
    let span = known.fold(0.0, f64::max) / least;
    let length = |value: f64| CHART_WIDTH * (value / least).ln() / span.ln();
    values
        .iter()
        .map(|value| "#".repeat(value.map_or(0, |value| length(value).round() as usize)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_logarithmic_and_the_largest_value_has_the_longest() {
        let bars = bars(&[Some(1.0), Some(2.0), None, Some(8.0)]);
        let lengths: Vec<_> = bars.iter().map(String::len).collect();
        assert_eq!(lengths, [10, 20, 0, 40]);
    }

    #[test]
    fn equal_values_have_equal_bars_and_no_value_has_none() {
        assert_eq!(
            bars(&[Some(3.0), Some(3.0)]),
            ["#".repeat(40), "#".repeat(40)]
        );
        assert_eq!(bars(&[None]), [""]);
        assert_eq!(table(&[]), "");
    }
}
