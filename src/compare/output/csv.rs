//! CSV: one line for each group of each row.

use anyhow::Result;

use crate::compare::comparison::{Comparison, Row};
use crate::compare::stats::Estimate;
use crate::terminal;

const HEAD: [&str; 22] = [
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
];

/// Formats the comparison as CSV (RFC 4180) with a header. Absent figures are empty.
pub fn text(comparison: &Comparison) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEAD)?;
    for row in comparison.rows() {
        for line in lines(comparison, row) {
            writer.write_record(line)?;
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn lines(comparison: &Comparison, row: Row<'_>) -> Vec<Vec<String>> {
    let params = row.section.work.params.iter();
    let params: Vec<_> = params
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let of_row = [
        text_field(&row.section.work.test),
        text_field(&params.join(" ")),
        text_field(comparison.vary.as_deref().unwrap_or_default()),
        text_field(row.point.value.as_deref().unwrap_or_default()),
        row.metric.to_string(),
        row.metric.unit().into(),
        row.metric.more_is_better().to_string(),
    ];
    let figure = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
    let estimate = |estimate: Option<Estimate>, scale: f64| {
        let interval = estimate.and_then(|e| e.interval);
        [
            estimate.map(|e| e.value),
            interval.map(|i| i.low),
            interval.map(|i| i.high),
        ]
        .map(|value| figure(value.map(|v| v * scale)))
    };
    row.told()
        .map(|(place, group, entry)| {
            let summary = &entry.summary;
            let against = entry.against;
            let p = against.and_then(|a| a.p);
            let verdict = against.map(|a| a.verdict.name()).unwrap_or_default();
            of_row
                .iter()
                .cloned()
                .chain([
                    text_field(group),
                    summary.n.to_string(),
                    summary.mean.to_string(),
                ])
                .chain([figure(summary.stddev)])
                .chain(estimate(Some(summary.median), 1.0))
                .chain([entry.merged.map(|ns| ns.to_string()).unwrap_or_default()])
                .chain(estimate(against.and_then(|a| a.change), 100.0))
                .chain([
                    figure(p.map(|p| p.raw)),
                    figure(p.map(|p| p.holm)),
                    verdict.into(),
                ])
                .chain([(place == 0).to_string()])
                .collect()
        })
        .collect()
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
