//! The table of a sweep: a row for each environment and concurrency, and below what went wrong.

use super::format::{count, duration, significant};
use super::table::{aligned, median};
use super::text::moves_bytes;
use crate::result::Workload;
use crate::sweep::digest::{Digest, spreads};
use crate::sweep::{Batch, Sweep};
use crate::warning::LATE_S;

/// Reasons of failures that are shown.
const REASONS: usize = 3;

/// All that was done, with the reasons of what failed below.
pub fn table(sweep: &Sweep, digests: &[Digest]) -> String {
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
    let rows = sweep.batches().into_iter().map(|batch| {
        let row = Row::of(&batch, digests);
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
    text
}

/// A batch in a line, as it ends.
pub fn line(sweep: &Sweep, batch: &Batch, digests: &[Digest]) -> String {
    let row = Row::of(batch, digests);
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
        let first = of_batch(batch, digests).find(|digest| !digest.complete);
        let reason = first.map_or("", reason).lines().next().unwrap_or_default();
        text.push_str(&format!(", {} FAILED: {reason}", row.failed));
    }
    text
}

fn unit(sweep: &Sweep) -> &'static str {
    match moves_bytes(&Workload::of(&sweep.measurement.plan)) {
        true => "MiB/s",
        false => "events/s",
    }
}

/// What the instances of a batch came to; figures are medians of the complete ones.
struct Row {
    done: usize,
    failed: usize,
    rate: String,
    range: String,
    spread: String,
    wall: String,
}

impl Row {
    fn of(batch: &Batch, digests: &[Digest]) -> Self {
        let complete = || of_batch(batch, digests).filter(|digest| digest.complete);
        let rates: Vec<f64> = complete().map(|digest| digest.rate).collect();
        let walls: Vec<f64> = complete().map(|digest| digest.wall_s).collect();
        let low = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let high = rates.iter().copied().fold(0.0, f64::max);
        let figure = |value: Option<f64>| value.map_or("-".to_owned(), significant);
        Self {
            done: rates.len(),
            failed: of_batch(batch, digests).count() - rates.len(),
            range: match rates.len() {
                0 => "-".to_owned(),
                _ => format!("{} - {}", significant(low), significant(high)),
            },
            rate: figure(median(rates)),
            spread: spread(spreads(complete())),
            wall: figure(median(walls)),
        }
    }
}

fn of_batch<'a>(batch: &Batch, digests: &'a [Digest]) -> impl Iterator<Item = &'a Digest> {
    let (env, concurrency) = (batch.env, batch.concurrency);
    digests
        .iter()
        .filter(move |it| (it.instance.env, it.instance.concurrency) == (env, concurrency))
}

/// That of the only wave; the median and the largest of several.
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

/// Who was late for a common start, and what helps.
fn late(sweep: &Sweep, digests: &[Digest]) -> Option<String> {
    let late_s = |digest: &&Digest| digest.late_s().unwrap_or(0.0);
    let late: Vec<&Digest> = digests.iter().filter(|it| late_s(it) > LATE_S).collect();
    let worst = late.iter().max_by(|a, b| late_s(a).total_cmp(&late_s(b)))?;
    let together = digests.iter().filter(|it| it.late_s().is_some()).count();
    Some(format!(
        "{} of {together} began more than {} ms after their common start, {} by {:.2} s: a longer \
         --lead gives them time to get ready",
        late.len(),
        LATE_S * 1e3,
        sweep.name(worst.instance),
        late_s(worst)
    ))
}

fn failures(sweep: &Sweep, digests: &[Digest]) -> Option<String> {
    let failed: Vec<&Digest> = digests.iter().filter(|it| !it.complete).collect();
    let mut lines = vec![format!(
        "{} failed:",
        count(failed.len() as u64, "instance")
    )];
    for digest in failed.iter().take(REASONS) {
        let reason = reason(digest).replace('\n', "\n    ");
        lines.push(format!("  {}: {reason}", sweep.name(digest.instance)));
    }
    if failed.len() > REASONS {
        lines.push("  the others say why under `error` in their results".to_owned());
    }
    (!failed.is_empty()).then(|| lines.join("\n"))
}

fn reason(digest: &Digest) -> &str {
    digest.error.as_deref().unwrap_or("it was interrupted")
}
