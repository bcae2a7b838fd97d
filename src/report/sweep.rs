//! Table of a sweep: one row per environment and concurrency, followed by failures.

use super::table::{aligned, median};
use crate::format::{count, duration, significant};
use crate::sweep::digest::{Digest, Digests};
use crate::sweep::{Batch, Instance, Sweep};
use crate::terminal;
use crate::warning::LATE_S;

/// Maximum number of failure reasons shown.
const REASONS: usize = 3;

/// Formats all batches so far, followed by the reasons for failures.
pub fn table(sweep: &Sweep, digests: &Digests) -> String {
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
        let row = Row::of(digests.of(batch));
        let figures = [row.rate, row.range, row.spread, row.wall];
        let numbers = [row.done.to_string(), row.failed.to_string()];
        let env = sweep.environments[batch.env].name.clone();
        let place = [batch.concurrency.to_string(), env];
        place.into_iter().chain(numbers).chain(figures).collect()
    });
    let figures = 2..head.len();
    let mut text = aligned(&head, rows, figures);
    text.push('\n');
    for remark in [late(sweep, digests), failures(sweep, digests)]
        .into_iter()
        .flatten()
    {
        text.push_str(&format!("\n{remark}\n"));
    }
    terminal::lines(&text).into_owned()
}

/// Formats a finished batch as a line.
pub fn line(sweep: &Sweep, batch: Batch, digests: &Digests) -> String {
    let digest = digests.of(batch);
    let row = Row::of(digest);
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
        let first = digest.and_then(|digest| digest.reasons.first());
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
struct Row {
    done: usize,
    failed: u64,
    rate: String,
    range: String,
    spread: String,
    wall: String,
}

impl Row {
    fn of(digest: Option<&Digest>) -> Self {
        let none = Digest::default();
        let digest = digest.unwrap_or(&none);
        let rates = &digest.rates;
        let low = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let high = rates.iter().copied().fold(0.0, f64::max);
        let figure = |values: &Vec<f64>| median(values.clone()).map_or("-".to_owned(), significant);
        Self {
            done: rates.len(),
            failed: digest.failed,
            range: match rates.len() {
                0 => "-".to_owned(),
                _ => format!("{} - {}", significant(low), significant(high)),
            },
            rate: figure(rates),
            spread: spread(digest.spreads()),
            wall: figure(&digest.walls),
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
fn late(sweep: &Sweep, digests: &Digests) -> Option<String> {
    let late: u64 = digests.all().map(|digest| digest.late).sum();
    let together: u64 = digests.all().map(|digest| digest.together).sum();
    let latest = digests.all().filter_map(|digest| digest.latest);
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
pub fn failures(sweep: &Sweep, digests: &Digests) -> Option<String> {
    let failed = digests.failed();
    let mut lines = vec![format!("{} failed:", count(failed, "instance"))];
    let reasons = digests.all().flat_map(|digest| &digest.reasons);
    for (instance, reason) in reasons.take(REASONS) {
        lines.push(failure(sweep, *instance, reason));
    }
    if failed > REASONS as u64 {
        lines.push("  the reasons of the others are in `error` of their results".to_owned());
    }
    (failed > 0).then(|| lines.join("\n"))
}

fn failure(sweep: &Sweep, instance: Instance, reason: &str) -> String {
    let reason = reason.replace('\n', "\n    ");
    format!("  {}: {reason}", sweep.name(instance))
}
