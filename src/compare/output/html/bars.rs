//! Bar chart by group along the second axis: the mean with its standard deviation, or the
//! percentile of all events.

use anyhow::Result;

use super::chart::{self, Bar, Label, Px, SvgChart, Tick};
use super::scale::AxisScale;
use crate::compare::comparison::{Comparison, ComparisonRow, Entry, MetricTable, Section};
use crate::compare::output::numbers::quantity;

/// Share of the space at each point of the second axis that its bars fill.
const FILLED: f64 = 0.8;

/// Share of a bar's space that it fills.
const BAR: f64 = 0.92;

/// Maximum length of an axis label in characters.
const LABEL: usize = 10;

/// Draws the chart of a table as SVG.
pub fn svg(comparison: &Comparison, section: &Section, table: &MetricTable) -> Result<String> {
    let rows: Vec<ComparisonRow> = section.rows(&comparison.groups, table).collect();
    let entries = || rows.iter().flat_map(|row| row.groups_with_runs());
    let tops = entries().map(|(.., entry)| height(entry) + spread(entry).unwrap_or(0.0));
    let scale = AxisScale::linear(tops.fold(0.0, f64::max));
    let space = 1.0 / rows.len() as f64;
    let ticks = scale.ticks.iter().map(|&value| Tick {
        y: chart::y(scale.share(value)),
        label: match value {
            0.0 => "0".into(),
            value => quantity(table.metric, value),
        },
    });
    let width = space * FILLED / comparison.groups.len() as f64;
    let bar = |place: usize, group: usize, name: &str, entry: &Entry| {
        let at = |value: f64| chart::y(scale.share(value.max(0.0)));
        let height = height(entry);
        let left = space * (place as f64 + (1.0 - FILLED) / 2.0) + width * group as f64;
        Bar {
            x: chart::x(left),
            y: at(height),
            width: Px(BAR * (chart::x(width).0 - chart::x(0.0).0)),
            spread: spread(entry).map(|sd| (at(height - sd), at(height + sd))),
            color: chart::color_of_group(group),
            title: format!("{name}: {}", quantity(table.metric, height)),
        }
    };
    let mut bars = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let groups = row.groups_with_runs();
        bars.extend(groups.map(|(group, name, entry)| bar(place, group, name, entry)));
    }
    let labels = rows.iter().enumerate().filter_map(|(place, row)| {
        Some(Label {
            x: chart::x(space * (place as f64 + 0.5)),
            text: row.point.value.as_ref()?.chars().take(LABEL).collect(),
        })
    });
    SvgChart {
        ticks: ticks.collect(),
        bars,
        labels: labels.collect(),
        title: comparison.vary.clone().unwrap_or_default(),
        ..SvgChart::default()
    }
    .svg()
}

fn height(entry: &Entry) -> f64 {
    entry.merged.map_or(entry.summary.mean, |ns| ns as f64)
}

/// Half the length of the error bar.
fn spread(entry: &Entry) -> Option<f64> {
    match entry.merged {
        Some(_) => None,
        None => entry.summary.stddev,
    }
}
