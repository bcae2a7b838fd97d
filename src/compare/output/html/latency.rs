//! Chart of the durations of all events of each group by percentile, both axes logarithmic.

use anyhow::Result;
use plotters::prelude::*;

use super::canvas::{self, BELOW, LEFT, MARGIN, failed};
use crate::compare::histogram::Merged;
use crate::format::duration;

/// Draws the chart as SVG; `None` if no group has a histogram.
pub fn chart(groups: &[Option<Merged>]) -> Result<Option<String>> {
    let curves: Vec<(usize, Vec<(f64, f64)>)> = groups
        .iter()
        .enumerate()
        .filter_map(|(place, merged)| Some((place, curve(merged.as_ref()?))))
        .collect();
    let all = || curves.iter().flat_map(|(_, curve)| curve);
    let decades = all().map(|(x, _)| *x).fold(1.0, f64::max);
    let shortest = all().map(|(_, ns)| *ns).fold(f64::INFINITY, f64::min);
    let longest = all().map(|(_, ns)| *ns).fold(1.0, f64::max);
    if !shortest.is_finite() {
        return Ok(None);
    }
    let whole_decades = 10f64.powf(shortest.log10().floor())..10f64.powf(longest.log10().ceil());
    let svg = canvas::svg(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .x_label_area_size(BELOW - MARGIN)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(0.0..decades, whole_decades.log_scale())
            .map_err(|error| failed(&error))?;
        canvas::upright_axis(&mut chart, 8, &|ns| duration(*ns))?;
        for (place, curve) in curves {
            let (colour, _) = canvas::colour_of_group(place);
            let line = LineSeries::new(curve, colour.stroke_width(2));
            chart.draw_series(line).map_err(|error| failed(&error))?;
        }
        let labels: Vec<_> = std::iter::once((0.5f64, "50 %".to_owned()))
            .chain((1..=decades as i32).map(|nines| (0.1f64.powi(nines), percent(nines))))
            .map(|(above, text)| (chart.backend_coord(&(-above.log10(), shortest)).0, text))
            .collect();
        canvas::level_axis(area, &labels, "percentile")
    })?;
    Ok(Some(svg))
}

/// (Decades of the share above, nanoseconds); the last point is the maximum.
fn curve(merged: &Merged) -> Vec<(f64, f64)> {
    let decades = |percent: f64| -(1.0 - percent / 100.0).log10();
    let below_all = merged.curve.iter().filter(|(percent, _)| *percent < 100.0);
    let end = (merged.events as f64).log10().max(1.0);
    let longest = merged.curve.last().map(|&(_, ns)| (end, ns));
    below_all
        .map(|&(percent, ns)| (decades(percent), ns))
        .chain(longest)
        .map(|(x, ns)| (x, (ns as f64).max(1.0)))
        .collect()
}

/// Label of an axis position: 90 %, 99 %, 99.9 % and so on.
fn percent(nines: i32) -> String {
    let decimals = usize::try_from(nines - 2).unwrap_or(0);
    format!("{:.decimals$} %", 100.0 * (1.0 - 0.1f64.powi(nines)))
}
