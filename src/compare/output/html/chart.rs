//! A chart as SVG: bars or curves, a vertical axis with grid lines, a horizontal one with labels.
//!
//! A chart is as wide as a phone, so that its text is as large there as on a wide screen, where
//! charts are side by side. The page's style has the font, and the colors of lines and text.

use std::fmt;

use anyhow::Result;
use askama::Template;

/// Width of a chart in pixels.
const WIDTH: f64 = 380.0;

/// Height of a chart in pixels.
const HEIGHT: f64 = 256.0;

/// Edges of the plot area in pixels.
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = HEIGHT - 46.0;

/// Pixels between an axis and its labels.
const GAP: f64 = 7.0;

/// Approximate width of a wide character in pixels, in the page's font size for charts.
const CHARACTER: f64 = 8.0;

/// Colors that color-blind readers can distinguish, on white and on black (Okabe and Ito, Color
/// Universal Design, without its black and yellow).
const COLORS: [&str; 6] = [
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9",
];

/// The color of a group. Colors repeat from the seventh group on.
pub fn color_of_group(group: usize) -> &'static str {
    COLORS[group % COLORS.len()]
}

/// The horizontal position of a share (0 to 1) of the plot area.
pub fn x(share: f64) -> Px {
    Px(LEFT + share * (RIGHT - LEFT))
}

/// The vertical position of a share (0 to 1) of the plot area, from the bottom.
pub fn y(share: f64) -> Px {
    Px(BOTTOM - share * (BOTTOM - TOP))
}

/// A number of pixels, written to a tenth.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Px(pub f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ((self.0 * 10.0).round() / 10.0).fmt(f)
    }
}

/// A chart.
#[derive(Default, Template)]
#[template(path = "chart.svg")]
pub struct SvgChart {
    /// Labels of the vertical axis, with grid lines.
    pub ticks: Vec<Tick>,
    /// Bars.
    pub bars: Vec<Bar>,
    /// Curves.
    pub curves: Vec<Curve>,
    /// Labels of the horizontal axis.
    pub labels: Vec<Label>,
    /// Title of the horizontal axis.
    pub title: String,
}

/// A label of the vertical axis.
pub struct Tick {
    /// Its vertical position.
    pub y: Px,
    /// Its text.
    pub label: String,
}

/// A label of the horizontal axis.
pub struct Label {
    /// Its middle.
    pub x: Px,
    /// Its text.
    pub text: String,
}

/// A bar from the horizontal axis up.
pub struct Bar {
    /// Its left edge.
    pub x: Px,
    /// Its top.
    pub y: Px,
    /// Its width.
    pub width: Px,
    /// The ends of its error bar.
    pub spread: Option<(Px, Px)>,
    /// Its color.
    pub color: &'static str,
    /// What it shows.
    pub title: String,
}

impl Bar {
    fn height(&self) -> Px {
        Px(BOTTOM - self.y.0)
    }

    fn middle(&self) -> Px {
        Px(self.x.0 + self.width.0 / 2.0)
    }

    fn cap_left(&self) -> Px {
        Px(self.middle().0 - self.cap_width().0 / 2.0)
    }

    /// Width of the caps of the error bar.
    fn cap_width(&self) -> Px {
        Px(self.width.0 * 0.4)
    }
}

/// A curve.
pub struct Curve {
    /// Its points.
    pub points: Vec<(Px, Px)>,
    /// Its color.
    pub color: &'static str,
    /// What it shows.
    pub title: String,
}

impl SvgChart {
    /// The chart as SVG. Labels of the horizontal axis that would overlap are left out.
    pub fn svg(mut self) -> Result<String> {
        self.labels = without_overlaps(self.labels);
        Ok(self.render()?)
    }
}

fn without_overlaps(labels: Vec<Label>) -> Vec<Label> {
    let mut free_from = f64::NEG_INFINITY;
    let mut fitting = Vec::new();
    for Label { x: Px(x), text } in labels {
        let half = CHARACTER * text.chars().count() as f64 / 2.0;
        // Labels at the edges move inwards instead of being cut off.
        let x = x.min(WIDTH - half).max(half);
        if x - half >= free_from {
            free_from = x + half + CHARACTER;
            fitting.push(Label { x: Px(x), text });
        }
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_neither_overlap_nor_leave_the_chart() {
        let labels = (0..40).map(|i| Label {
            x: x(f64::from(i) / 39.0),
            text: format!("label {i}"),
        });
        let labels = without_overlaps(labels.collect());
        let half = |label: &Label| CHARACTER * label.text.len() as f64 / 2.0;
        assert!(labels.len() > 3);
        for pair in labels.windows(2) {
            assert!(pair[0].x.0 + half(&pair[0]) < pair[1].x.0 - half(&pair[1]));
        }
        let last = labels.last().unwrap();
        assert!(labels[0].x.0 >= half(&labels[0]) && last.x.0 + half(last) <= WIDTH);
    }
}
