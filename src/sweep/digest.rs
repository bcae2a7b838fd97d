//! What is kept in mind of each result, and the table that is made of it at the end.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::{Batch, Instance, Sweep};
use crate::report::format::{duration, significant};
use crate::result::{RunResult, Status};
use crate::warning::LATE_S;

/// Reasons of failures that are shown.
const REASONS: usize = 3;

/// A result in short: the whole has its histograms, and there may be many.
#[derive(Debug, Clone)]
pub struct Digest {
    instance: Instance,
    complete: bool,
    error: Option<String>,
    /// MiB or events in a second.
    rate: f64,
    wall_s: f64,
    /// The common start, and how late this one was.
    start: Option<(String, f64)>,
}

/// How far apart the real starts of each wave were, in seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spreads(Vec<f64>);

impl Digest {
    /// Of the result of an instance.
    pub fn of(instance: Instance, result: &RunResult) -> Self {
        let start = result.start.as_ref();
        let bytes = result.rates.mib_per_s > 0.0;
        Self {
            instance,
            complete: result.status == Status::Complete,
            error: result.error.clone(),
            rate: if bytes {
                result.rates.mib_per_s
            } else {
                result.rates.events_per_s
            },
            wall_s: result.totals.wall_s,
            start: start.and_then(|start| Some((start.asked_at.clone(), start.late_s?))),
        }
    }

    /// The instance.
    pub fn instance(&self) -> Instance {
        self.instance
    }

    /// It came to its own end.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How late it started, where it was to start with others.
    pub fn late_s(&self) -> Option<f64> {
        self.start.as_ref().map(|(_, late_s)| *late_s)
    }
}

impl Spreads {
    /// Of each wave with more than one member, in no order.
    pub fn of<'a>(digests: impl Iterator<Item = &'a Digest>) -> Self {
        let mut waves = std::collections::BTreeMap::<&str, (f64, f64, u32)>::new();
        for (moment, late_s) in digests.filter_map(|digest| digest.start.as_ref()) {
            let wave = waves.entry(moment).or_insert((f64::INFINITY, 0.0, 0));
            *wave = (wave.0.min(*late_s), wave.1.max(*late_s), wave.2 + 1);
        }
        let several = waves.into_values().filter(|(_, _, members)| *members > 1);
        Self(several.map(|(first, last, _)| last - first).collect())
    }

    fn in_words(&self) -> String {
        let ns = |s: f64| duration(s * 1e9);
        match (median(&self.0), self.0.len()) {
            (None, _) => "-".to_owned(),
            (Some(only), 1) => ns(only),
            (Some(median), _) => format!("{} (max {})", ns(median), ns(largest(&self.0))),
        }
    }
}

/// The middle, or the mean of the two in the middle; None of nothing.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => None,
        1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn smallest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// A batch in a line, as it ends.
pub fn line(sweep: &Sweep, batch: &Batch, digests: &[Digest]) -> String {
    let row = Row::of(sweep, batch, digests);
    format!(
        "{} at {}: {} done, {} failed, rate {} {}, start spread {}",
        row.env, row.concurrency, row.done, row.failed, row.rate, row.range, row.spread
    )
}

struct Row {
    env: String,
    concurrency: u32,
    done: usize,
    failed: usize,
    rate: String,
    range: String,
    spread: String,
    wall: String,
}

impl Row {
    fn of(sweep: &Sweep, batch: &Batch, digests: &[Digest]) -> Self {
        let of_batch = |digest: &&Digest| {
            let Instance {
                env, concurrency, ..
            } = digest.instance;
            (env, concurrency) == (batch.env, batch.concurrency)
        };
        let all: Vec<&Digest> = digests.iter().filter(of_batch).collect();
        let complete = || all.iter().copied().filter(|digest| digest.complete);
        let rates: Vec<f64> = complete().map(|digest| digest.rate).collect();
        let walls: Vec<f64> = complete().map(|digest| digest.wall_s).collect();
        let figure = |value: Option<f64>| value.map_or("-".to_owned(), significant);
        Self {
            env: sweep.environments[batch.env].name.clone(),
            concurrency: batch.concurrency,
            done: rates.len(),
            failed: all.len() - rates.len(),
            rate: figure(median(&rates)),
            range: match rates.len() {
                0 => "-".to_owned(),
                _ => format!(
                    "{} - {}",
                    significant(smallest(&rates)),
                    significant(largest(&rates))
                ),
            },
            spread: Spreads::of(complete()).in_words(),
            wall: figure(median(&walls)),
        }
    }
}

/// The table of all that was done, with the reasons of what failed below.
pub fn summary(sweep: &Sweep, digests: &[Digest], moves_bytes: bool) -> String {
    let unit = if moves_bytes { "MiB/s" } else { "events/s" };
    let head = [
        "concurrency",
        "env",
        "done",
        "failed",
        unit,
        "range",
        "start spread",
        "wall s",
    ];
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head.map(Cell::new));
    for batch in sweep.batches() {
        let row = Row::of(sweep, &batch, digests);
        if row.done + row.failed > 0 {
            let numbers = [row.done.to_string(), row.failed.to_string()];
            let cells = [row.concurrency.to_string(), row.env]
                .into_iter()
                .chain(numbers);
            table.add_row(cells.chain([row.rate, row.range, row.spread, row.wall]));
        }
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if i == 0 { 2 } else { 0 }, 2));
        if i != 1 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    let mut text = format!("{}\n", lines.join("\n"));
    for remark in [late(sweep, digests), failures(sweep, digests)]
        .into_iter()
        .flatten()
    {
        text.push_str(&format!("\n{remark}\n"));
    }
    text
}

/// Who was late for a common start, and what helps.
fn late(sweep: &Sweep, digests: &[Digest]) -> Option<String> {
    let late_s = |digest: &&Digest| digest.late_s().unwrap_or(0.0);
    let late: Vec<&Digest> = digests.iter().filter(|it| late_s(it) > LATE_S).collect();
    let worst = late.iter().max_by(|a, b| late_s(a).total_cmp(&late_s(b)))?;
    Some(format!(
        "{} of {} began more than {} ms after their common start, {} {:.2} s: a longer --lead gives \
         them time to get ready",
        late.len(),
        digests
            .iter()
            .filter(|digest| digest.start.is_some())
            .count(),
        LATE_S * 1e3,
        sweep.name(worst.instance),
        late_s(worst)
    ))
}

fn failures(sweep: &Sweep, digests: &[Digest]) -> Option<String> {
    let failed: Vec<&Digest> = digests.iter().filter(|digest| !digest.complete).collect();
    let mut lines = vec![format!("{} failed:", failed.len())];
    for digest in failed.iter().take(REASONS) {
        let error = digest.error.as_deref().unwrap_or("it was interrupted");
        lines.push(format!(
            "  {}: {}",
            sweep.name(digest.instance),
            error.replace('\n', "\n    ")
        ));
    }
    if failed.len() > REASONS {
        lines.push("  the others say why in `error` of their results".to_owned());
    }
    (!failed.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(moment: &str, late_s: f64) -> Digest {
        Digest {
            instance: Instance {
                env: 0,
                concurrency: 2,
                number: 1,
            },
            complete: true,
            error: None,
            rate: 1.0,
            wall_s: 1.0,
            start: Some((moment.to_owned(), late_s)),
        }
    }

    #[test]
    fn a_spread_is_that_of_the_starts_of_one_wave() {
        let all = [
            digest("a", 0.001),
            digest("b", 5.0),
            digest("a", 0.004),
            digest("b", 5.5),
            digest("c", 9.0),
        ];
        let Spreads(spreads) = Spreads::of(all.iter());
        assert_eq!(spreads.len(), 2, "one alone has no spread");
        assert!((spreads[0] - 0.003).abs() < 1e-12 && (spreads[1] - 0.5).abs() < 1e-12);
        assert_eq!(Spreads(spreads).in_words(), "251.5 ms (max 500.0 ms)");
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[4.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
