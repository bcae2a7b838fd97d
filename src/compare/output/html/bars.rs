//! Bar chart by group along the second axis: the mean with its standard deviation, or the
//! percentile of all events.

use anyhow::Result;
use plotters::prelude::*;

use super::canvas::{self, BELOW, LEFT, MARGIN, failed};
use crate::compare::comparison::{Entry, Section, Table};
use crate::compare::metric::Metric;
use crate::compare::output::layout::quantity;

/// Share of the space at each axis position that its bars fill.
const FILLED: f64 = 0.8;

/// Maximum length of an axis label in characters.
const LABEL: usize = 10;

/// A bar.
#[derive(Clone, Copy)]
struct Bar {
    height: f64,
    /// Half the length of the error bar.
    spread: Option<f64>,
}

impl Bar {
    fn of(entry: &Entry) -> Self {
        match entry.merged {
            Some(ns) => Self {
                height: ns as f64,
                spread: None,
            },
            None => Self {
                height: entry.summary.mean,
                spread: entry.summary.stddev,
            },
        }
    }
}

/// Draws the chart as SVG; `level` is the title of the horizontal axis.
pub fn chart(section: &Section, table: &Table, groups: usize, level: &str) -> Result<String> {
    let bars = || {
        table.rows.iter().enumerate().flat_map(|(place, row)| {
            let told = row.iter().enumerate();
            told.filter_map(move |(group, entry)| Some((place, group, Bar::of(entry.as_ref()?))))
        })
    };
    let tops = bars().map(|(.., bar)| bar.height + bar.spread.unwrap_or(0.0));
    let top = tops.fold(0.0, f64::max) * 1.05;
    // The library draws no axis if its range is near the smallest positive f64.
    let top = if top > 1e-9 { top } else { 1.0 };
    canvas::svg(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .x_label_area_size(BELOW - MARGIN)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(0.0..table.rows.len() as f64, 0.0..top)
            .map_err(|error| failed(&error))?;
        canvas::upright_axis(&mut chart, 6, &|value| upright(table.metric, *value))?;
        let width = FILLED / groups as f64;
        for (place, group, bar) in bars() {
            let left = place as f64 + (1.0 - FILLED) / 2.0 + group as f64 * width;
            let (colour, _) = canvas::colour_of_group(group);
            let shape = Rectangle::new(
                [(left, 0.0), (left + 0.92 * width, bar.height)],
                colour.filled(),
            );
            let middle = left + 0.46 * width;
            let spread = bar.spread.map(|sd| {
                let (low, high) = ((bar.height - sd).max(0.0), bar.height + sd);
                let cap = 0.2 * width;
                [
                    vec![(middle, low), (middle, high)],
                    vec![(middle - cap, low), (middle + cap, low)],
                    vec![(middle - cap, high), (middle + cap, high)],
                ]
            });
            chart.draw_series([shape]).map_err(|error| failed(&error))?;
            let lines = spread.into_iter().flatten();
            chart
                .draw_series(lines.map(|line| PathElement::new(line, BLACK)))
                .map_err(|error| failed(&error))?;
        }
        let labels: Vec<_> = section
            .points
            .iter()
            .enumerate()
            .filter_map(|(place, point)| {
                let text: String = point.value.as_ref()?.chars().take(LABEL).collect();
                let (x, _) = chart.backend_coord(&(place as f64 + 0.5, 0.0));
                Some((x, text))
            })
            .collect();
        canvas::level_axis(area, &labels, level)
    })
}

fn upright(metric: Metric, value: f64) -> String {
    match value {
        0.0 => "0".into(),
        value => quantity(metric, value),
    }
}
