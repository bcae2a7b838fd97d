//! Chart of the time per event: one stacked bar for each group, whose segments are the components of
//! the time.

use anyhow::Result;
use askama::Template;

use super::chart::Px;
use super::scale::AxisScale;
use crate::compare::explain::{Breakdown, Component, TimeBudget};
use crate::format::duration;

/// Width of the chart in pixels, that of the other charts.
const WIDTH: f64 = 380.0;

/// Left and right edge of the bars in pixels.
const LEFT: f64 = 10.0;
const RIGHT: f64 = WIDTH - 10.0;

/// Height of a group's name and its bar in pixels.
const ROW: f64 = 40.0;

/// Distance from the top of a row to its bar in pixels.
const NAME: f64 = 18.0;

/// Height of a bar in pixels.
const BAR: f64 = 16.0;

/// Height of the axis below the bars in pixels.
const AXIS: f64 = 24.0;

/// Approximate width of a wide character in pixels, in the page's font size for charts.
const CHARACTER: f64 = 8.0;

/// Maximum length of a group's name in characters.
const LABEL: usize = 40;

/// The mean time per event of each group with budgets, by component.
pub struct TimeChart<'a> {
    breakdown: Breakdown,
    names: Vec<&'a str>,
}

/// The content of the chart.
#[derive(Template)]
#[template(path = "time.svg")]
struct TimeSvg {
    height: Px,
    bottom: Px,
    /// The chart as text.
    alternative: String,
    bars: Vec<StackedBar>,
    ticks: Vec<(Px, String)>,
}

/// The bar of a group.
struct StackedBar {
    name: String,
    name_y: Px,
    y: Px,
    segments: Vec<Segment>,
}

/// A component of a bar.
struct Segment {
    x: Px,
    width: Px,
    color: &'static str,
    title: String,
}

impl<'a> TimeChart<'a> {
    /// The chart of the groups that have budgets; `None` if none has.
    pub fn of(names: &'a [String], budgets: &[Option<Vec<TimeBudget>>]) -> Option<Self> {
        let named = names.iter().zip(budgets);
        let (names, budgets): (Vec<_>, Vec<_>) = named
            .filter_map(|(name, budgets)| Some((name.as_str(), budgets.as_deref()?)))
            .unzip();
        let breakdown = Breakdown::of(&budgets)?;
        Some(Self { breakdown, names })
    }

    /// The components that have a segment in a bar, with their colors.
    pub fn components(&self) -> impl Iterator<Item = (Component, &'static str)> {
        let components = self.breakdown.components.iter().enumerate();
        let visible = components.filter(|(place, _)| {
            let mut groups = 0..self.names.len();
            groups.any(|group| self.breakdown.mean(group, *place) > 0.0)
        });
        visible.map(|(_, component)| (*component, color(*component)))
    }

    /// Draws the chart as SVG.
    pub fn svg(&self) -> Result<String> {
        let groups = 0..self.names.len();
        let largest = groups.clone().map(|group| self.drawn(group));
        let scale = AxisScale::linear(largest.fold(0.0, f64::max));
        let x = |ns: f64| Px(LEFT + scale.share(ns) * (RIGHT - LEFT));
        let bottom = ROW * self.names.len() as f64;
        let bars = groups.clone().map(|group| StackedBar {
            name: self.names[group].chars().take(LABEL).collect(),
            name_y: Px(ROW * group as f64 + NAME - 5.0),
            y: Px(ROW * group as f64 + NAME),
            segments: self.segments(group, x),
        });
        let texts: Vec<String> = groups.map(|group| self.text(group)).collect();
        Ok(TimeSvg {
            height: Px(bottom + AXIS),
            bottom: Px(bottom),
            alternative: texts.join("; "),
            bars: bars.collect(),
            ticks: ticks(&scale, x),
        }
        .render()?)
    }

    /// The length of a group's bar in nanoseconds. A negative remainder is not drawn.
    fn drawn(&self, group: usize) -> f64 {
        self.means(group).map(|(_, ns)| ns.max(0.0)).sum()
    }

    fn means(&self, group: usize) -> impl Iterator<Item = (Component, f64)> {
        let components = self.breakdown.components.iter().enumerate();
        components.map(move |(place, component)| (*component, self.breakdown.mean(group, place)))
    }

    fn segments(&self, group: usize, x: impl Fn(f64) -> Px) -> Vec<Segment> {
        let mut start = 0.0;
        let positive = self.means(group).filter(|(_, ns)| *ns > 0.0);
        positive
            .map(|(component, ns)| {
                let (left, right) = (x(start), x(start + ns));
                start += ns;
                Segment {
                    x: left,
                    width: Px(right.0 - left.0),
                    color: color(component),
                    title: format!("{}: {component} {}", self.names[group], duration(ns)),
                }
            })
            .collect()
    }

    /// The bar of a group as text.
    fn text(&self, group: usize) -> String {
        let whole: f64 = self.means(group).map(|(_, ns)| ns).sum();
        let parts: Vec<String> = self
            .means(group)
            .filter(|(_, ns)| *ns != 0.0)
            .map(|(component, ns)| format!("{:.1} % {component}", 100.0 * ns / whole))
            .collect();
        let name = self.names[group];
        format!(
            "{name}: {} per event, {}",
            duration(whole),
            parts.join(", ")
        )
    }
}

/// Labels of the horizontal axis that neither overlap nor leave the chart.
fn ticks(scale: &AxisScale, x: impl Fn(f64) -> Px) -> Vec<(Px, String)> {
    let mut free_from = f64::NEG_INFINITY;
    let mut fitting = Vec::new();
    for &ns in &scale.ticks {
        let label = if ns == 0.0 { "0".into() } else { duration(ns) };
        let half = CHARACTER * label.len() as f64 / 2.0;
        let middle = x(ns).0;
        if middle - half >= free_from && middle + half <= WIDTH {
            free_from = middle + half + CHARACTER;
            fitting.push((Px(middle), label));
        }
    }
    fitting
}

/// The color of a component: one of a qualitative scheme that color-blind readers can distinguish, on
/// white and on black, and that differs from the colors of groups (Tol, "bright").
fn color(component: Component) -> &'static str {
    match component {
        Component::User | Component::Clock => "#4477aa",
        Component::System => "#66ccee",
        Component::Contended | Component::Waiting => "#ee6677",
        Component::Throttled => "#aa3377",
        Component::Blocked => "#ccbb44",
        Component::Stolen => "#228833",
        Component::Unexplained => "#bbbbbb",
    }
}
