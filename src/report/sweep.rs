//! Table of a sweep: one row per environment and concurrency, followed by failures.

use super::statistics::median;
use super::table::aligned;
use crate::format::{count, duration, significant};
use crate::sweep::summary::{BatchSummary, SweepSummary};
use crate::sweep::{Batch, Instance, Sweep};
use crate::terminal;
use crate::warning::LATE_S;

/// Maximum number of failure reasons shown.
const MAX_REASONS: usize = 3;

/// Formats all batches so far, followed by the reasons for failures.
pub fn table(sweep: &Sweep, summary: &SweepSummary) -> String {
    let head = [
        "concurrency",
        "env",
        "done",
        "failed",
        unit(sweep),
        "range",
        "start spread",
        "wall s",
    ];
    let rows = sweep.batches().map(|batch| {
        let row = SweepRow::of(summary.of(batch));
        let figures = [row.rate, row.range, row.spread, row.wall];
        let numbers = [row.done.to_string(), row.failed.to_string()];
        let env = sweep.environments[batch.env].name.clone();
        let name = [batch.concurrency.to_string(), env];
        name.into_iter().chain(numbers).chain(figures).collect()
    });
    let figures = 2..head.len();
    let mut text = aligned(&head, rows, figures);
    text.push('\n');
    for remark in [late(sweep, summary), failures(sweep, summary)]
        .into_iter()
        .flatten()
    {
        text.push_str(&format!("\n{remark}\n"));
    }
    terminal::lines(&text).into_owned()
}

/// Formats a finished batch as a line.
pub fn line(sweep: &Sweep, batch: Batch, summary: &SweepSummary) -> String {
    let batch_summary = summary.of(batch);
    let row = SweepRow::of(batch_summary);
    let env = &sweep.environments[batch.env].name;
    let mut text = format!("{env} at {}: {} done", batch.concurrency, row.done);
    if row.done > 0 {
        text.push_str(&format!(", {} {}", row.rate, unit(sweep)));
    }
    if row.done > 1 {
        text.push_str(&format!(" ({})", row.range));
    }
    if row.spread != "-" {
        text.push_str(&format!(", starts {} apart", row.spread));
    }
    if row.failed > 0 {
        let first = batch_summary.and_then(|batch| batch.reasons.first());
        let reason = first.and_then(|(_, reason)| reason.lines().next());
        text.push_str(&format!(
            ", {} FAILED: {}",
            row.failed,
            reason.unwrap_or_default()
        ));
    }
    text
}

fn unit(sweep: &Sweep) -> &'static str {
    match sweep.measurement.plan.test.moves_bytes() {
        true => "MiB/s",
        false => "events/s",
    }
}

/// Values of a batch: medians of the complete instances.
struct SweepRow {
    done: usize,
    failed: u64,
    rate: String,
    range: String,
    spread: String,
    wall: String,
}

impl SweepRow {
    fn of(batch: Option<&BatchSummary>) -> Self {
        let none = BatchSummary::default();
        let batch = batch.unwrap_or(&none);
        let rates = &batch.rates;
        let low = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let high = rates.iter().copied().fold(0.0, f64::max);
        let figure = |values: &Vec<f64>| median(values.clone()).map_or("-".to_owned(), significant);
        Self {
            done: rates.len(),
            failed: batch.failed,
            range: match rates.len() {
                0 => "-".to_owned(),
                _ => format!("{} - {}", significant(low), significant(high)),
            },
            rate: figure(rates),
            spread: spread(batch.spreads()),
            wall: figure(&batch.walls),
        }
    }
}

/// Formats the start spread: of the only wave, or the median and maximum of several.
fn spread(waves: Vec<f64>) -> String {
    let ns = |s: f64| duration(s * 1e9);
    let largest = waves.iter().copied().fold(0.0, f64::max);
    let several = waves.len() > 1;
    match median(waves) {
        None => "-".to_owned(),
        Some(median) if several => format!("{} (max {})", ns(median), ns(largest)),
        Some(only) => ns(only),
    }
}

/// Reports the instances that missed a common start, with advice.
fn late(sweep: &Sweep, summary: &SweepSummary) -> Option<String> {
    let late: u64 = summary.all().map(|batch| batch.late).sum();
    let together: u64 = summary.all().map(|batch| batch.together).sum();
    let latest = summary.all().filter_map(|batch| batch.latest);
    let (worst, late_s) = latest.max_by(|a, b| a.1.total_cmp(&b.1))?;
    (late > 0).then(|| {
        format!(
            "{late} of {together} instances started more than {} ms after their common start, {} \
             by {late_s:.2} s: a longer --lead gives them time to prepare",
            LATE_S * 1e3,
            sweep.name(worst),
        )
    })
}

/// Reports the number of failed instances and the first reasons; None if none failed.
pub fn failures(sweep: &Sweep, summary: &SweepSummary) -> Option<String> {
    let failed = summary.failed();
    let mut lines = vec![format!("{} failed:", count(failed, "instance"))];
    let reasons = summary
        .all()
        .flat_map(|batch_summary| &batch_summary.reasons);
    for (instance, reason) in reasons.take(MAX_REASONS) {
        lines.push(failure(sweep, *instance, reason));
    }
    if failed > MAX_REASONS as u64 {
        lines.push("  the reasons of the others are in `error` of their results".to_owned());
    }
    (failed > 0).then(|| lines.join("\n"))
}

fn failure(sweep: &Sweep, instance: Instance, reason: &str) -> String {
    let reason = reason.replace('\n', "\n    ");
    format!("  {}: {reason}", sweep.name(instance))
}
