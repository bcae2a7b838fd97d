//! SvgChart of the durations of all events of each group by percentile, both axes logarithmic.

use anyhow::Result;

use super::chart::{self, Curve, Label, SvgChart, Tick};
use super::scale::AxisScale;
use crate::compare::histogram::Merged;
use crate::format::duration;

/// Draws the chart of the durations of these groups as SVG; `None` if no group has a histogram.
pub fn svg<'a>(
    names: &[String],
    groups: impl Iterator<Item = Option<&'a Merged>>,
) -> Result<Option<String>> {
    let curves: Vec<(usize, Vec<(f64, f64)>)> = groups
        .enumerate()
        .filter_map(|(group, merged)| Some((group, points(merged?))))
        .collect();
    let points = || curves.iter().flat_map(|(_, points)| points);
    let Some(shortest) = points().map(|(_, ns)| *ns).reduce(f64::min) else {
        return Ok(None);
    };
    let longest = points().map(|(_, ns)| *ns).fold(shortest, f64::max);
    let decades = points().map(|(decades, _)| *decades).fold(1.0, f64::max);
    let scale = AxisScale::logarithmic(shortest, longest);
    let x = |share_decades: f64| chart::x(share_decades / decades);
    let y = |ns: f64| chart::y(scale.share(ns));
    let ticks = scale.ticks.iter().map(|&ns| Tick {
        y: y(ns),
        label: duration(ns),
    });
    let nines = (1..=decades as i32).map(|nines| (f64::from(nines), percent(nines)));
    let labels = std::iter::once((2f64.log10(), "50 %".to_owned())).chain(nines);
    SvgChart {
        ticks: ticks.collect(),
        curves: curves
            .iter()
            .map(|(group, points)| Curve {
                points: points
                    .iter()
                    .map(|&(decades, ns)| (x(decades), y(ns)))
                    .collect(),
                color: chart::color_of_group(*group),
                title: names[*group].clone(),
            })
            .collect(),
        labels: labels
            .map(|(decades, text)| Label {
                x: x(decades),
                text,
            })
            .collect(),
        title: "percentile".into(),
        ..SvgChart::default()
    }
    .svg()
    .map(Some)
}

/// (Decades of the share above, nanoseconds); the last point is the maximum.
fn points(merged: &Merged) -> Vec<(f64, f64)> {
    let decades = |percent: f64| -(1.0 - percent / 100.0).log10();
    let below_all = merged.curve.iter().filter(|(percent, _)| *percent < 100.0);
    let end = (merged.events as f64).log10().max(1.0);
    let longest = merged.curve.last().map(|&(_, ns)| (end, ns));
    below_all
        .map(|&(percent, ns)| (decades(percent), ns))
        .chain(longest)
        .map(|(decades, ns)| (decades, (ns as f64).max(1.0)))
        .collect()
}

/// Label of an axis position: 90 %, 99 %, 99.9 % and so on.
fn percent(nines: i32) -> String {
    let decimals = usize::try_from(nines - 2).unwrap_or(0);
    format!("{:.decimals$} %", 100.0 * (1.0 - 0.1f64.powi(nines)))
}
