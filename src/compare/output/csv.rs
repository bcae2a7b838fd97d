//! A line for each group of each row.

use anyhow::Result;

use crate::compare::comparison::{Comparison, Row};
use crate::compare::stats::Estimate;

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

/// The comparison as RFC 4180 has it, with a head. Absent figures are empty.
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
        row.section.work.test.clone(),
        params.join(" "),
        comparison.vary.clone().unwrap_or_default(),
        row.point.value.clone().unwrap_or_default(),
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
                    group.into(),
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
