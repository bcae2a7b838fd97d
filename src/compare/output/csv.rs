//! CSV: one line for each group of each row.

use anyhow::Result;

use super::Exporter;
use crate::compare::comparison::{Comparison, ComparisonRow, Entry};
use crate::compare::explain::Explanation;
use crate::compare::stats::Estimate;
use crate::terminal;

const HEAD: [&str; 26] = [
    "test",
    "params",
    "vary",
    "value",
    "metric",
    "unit",
    "more_is_better",
    "group",
    "n",
    "mean",
    "stddev",
    "median",
    "median_low",
    "median_high",
    "merged",
    "change_percent",
    "change_percent_low",
    "change_percent_high",
    "p",
    "p_holm",
    "verdict",
    "baseline",
    "time_per_event_difference_ns",
    "time_per_event_difference_ns_low",
    "time_per_event_difference_ns_high",
    "causes",
];

/// CSV (RFC 4180) with a header. Absent figures are empty.
pub struct Csv;

impl Exporter for Csv {
    fn export(&self, comparison: &Comparison) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEAD)?;
        for row in comparison.rows() {
            let row_fields = row_fields(comparison, row);
            for (group, name, entry) in row.groups_with_runs() {
                let fields = row_fields.iter().cloned();
                writer.write_record(fields.chain(group_fields(group, name, entry)))?;
            }
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

/// The fields that all groups of a row share.
fn row_fields(comparison: &Comparison, row: ComparisonRow<'_>) -> [String; 7] {
    let params = row.section.key.params.iter();
    let params: Vec<_> = params
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    [
        text_field(&row.section.key.test),
        text_field(&params.join(" ")),
        text_field(comparison.vary.as_deref().unwrap_or_default()),
        text_field(row.point.value.as_deref().unwrap_or_default()),
        row.metric.to_string(),
        row.metric.unit().into(),
        row.metric.more_is_better().to_string(),
    ]
}

fn group_fields(group: usize, name: &str, entry: &Entry) -> [String; 19] {
    let summary = &entry.summary;
    let comparison = entry.comparison;
    let [median, median_low, median_high] = estimate_fields(Some(summary.median), 1.0);
    let change = comparison.and_then(|it| it.change);
    let [change, change_low, change_high] = estimate_fields(change, 100.0);
    let p = comparison.and_then(|it| it.p);
    let verdict = comparison.map_or("", |it| it.verdict().name());
    let why = entry.why.as_ref();
    let [difference, difference_low, difference_high] =
        estimate_fields(why.map(|why| why.difference), 1.0);
    [
        text_field(name),
        summary.n.to_string(),
        summary.mean.to_string(),
        figure_field(summary.stddev),
        median,
        median_low,
        median_high,
        entry.merged.map(|ns| ns.to_string()).unwrap_or_default(),
        change,
        change_low,
        change_high,
        figure_field(p.map(|p| p.raw)),
        figure_field(p.map(|p| p.holm)),
        verdict.into(),
        (group == 0).to_string(),
        difference,
        difference_low,
        difference_high,
        why.map(causes).unwrap_or_default(),
    ]
}

/// The causes of a difference with their shares, largest first: `contended=0.97 system=0.03`.
fn causes(why: &Explanation) -> String {
    let causes = why.causes().into_iter().map(|part| {
        let share = part.share.map(|share| share.value);
        format!("{}={}", part.component.name(), figure_field(share))
    });
    causes.collect::<Vec<_>>().join(" ")
}

fn figure_field(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The value and the bounds of its confidence interval.
fn estimate_fields(estimate: Option<Estimate>, scale: f64) -> [String; 3] {
    let interval = estimate.and_then(|it| it.interval);
    [
        estimate.map(|it| it.value),
        interval.map(|it| it.low),
        interval.map(|it| it.high),
    ]
    .map(|value| figure_field(value.map(|value| value * scale)))
}

/// A field that comes from labels, parameters or file names.
///
/// Control characters are escaped. A single quote before `=`, `+`, `-`, `@` and their full-width
/// forms keeps spreadsheets from evaluating the field as a formula, as OWASP advises (CSV
/// injection); numbers remain numbers, and `-` alone is the mark of an absent value.
fn text_field(text: &str) -> String {
    let field = terminal::line(text);
    let begins_formula = field.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    match begins_formula && field != "-" && !is_number(&field) {
        true => format!("'{field}"),
        false => field.into_owned(),
    }
}

/// A number in decimal notation, such as -1.5e+3.
fn is_number(text: &str) -> bool {
    let digits = text.bytes().all(|byte| b"0123456789+-.eE".contains(&byte));
    digits && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_quoted_and_a_number_is_not() {
        for (text, field) in [
            ("=1+1", "'=1+1"),
            ("@SUM(1)", "'@SUM(1)"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-2+3", "'-2+3"),
            ("-inf", "'-inf"),
            ("＝1", "'＝1"),
            ("\t=1", "\\t=1"),
            ("\r=1", "\\r=1"),
            ("\n=1", "\\n=1"),
            ("-1.5e+3", "-1.5e+3"),
            ("+7", "+7"),
            ("-", "-"),
            ("kvm=on", "kvm=on"),
            ("", ""),
        ] {
            assert_eq!(text_field(text), field, "{text:?}");
        }
    }
}
