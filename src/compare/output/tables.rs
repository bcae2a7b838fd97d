//! Tables as text, shared by all formats for human readers.

use super::{numbers, title, why};
use crate::compare::comparison::{Comparison, ComparisonRow, Entry, MetricTable, Section};
use crate::compare::metric::Metric;
use crate::compare::verdict::{BaselineComparison, Verdict};

/// A table with its title.
pub struct TextTable {
    /// Title of the table.
    pub title: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// Rows of the table.
    pub rows: Vec<TextRow>,
}

/// A column.
#[derive(Clone)]
pub struct Column {
    /// Name of the column.
    pub name: String,
    /// Kind of the column.
    pub kind: ColumnKind,
}

/// What a column contains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Names, aligned left.
    Names,
    /// Figures, aligned right.
    Figures,
    /// Verdicts.
    Verdicts,
}

/// A row.
pub struct TextRow {
    /// Text of the cells, one for each column.
    pub cells: Vec<String>,
    /// The verdict in the last cell; `None` for a baseline.
    pub verdict: Option<Verdict>,
    /// Whether the row begins a new value of the second axis.
    pub begins_axis_point: bool,
    /// The group, and its value of the second axis.
    pub subject: String,
    /// What explains the difference from the baseline.
    pub why: Option<String>,
}

/// All tables of a comparison.
pub fn all(comparison: &Comparison) -> impl Iterator<Item = TextTable> {
    comparison.sections.iter().flat_map(|section| {
        let tables = section.tables.iter();
        tables.map(|table| TextTable::of(comparison, section, table))
    })
}

/// A metric with its unit and whether more is better.
pub fn headline(metric: Metric) -> String {
    let better = match metric.more_is_better() {
        true => "more",
        false => "less",
    };
    format!("{}, {better} is better", numbers::with_unit(metric))
}

impl TextTable {
    /// The table of one metric.
    pub fn of(comparison: &Comparison, section: &Section, table: &MetricTable) -> Self {
        let rows = section.rows(&comparison.groups, table);
        Self {
            title: format!(
                "{} · {}",
                title::of_section(section),
                headline(table.metric)
            ),
            columns: columns(comparison, table.metric),
            rows: rows
                .flat_map(|row| text_rows(row, comparison.vary.is_some()))
                .collect(),
        }
    }
}

fn columns(comparison: &Comparison, metric: Metric) -> Vec<Column> {
    let axis = comparison.vary.iter();
    let axis = axis.map(|name| (name.as_str(), ColumnKind::Names));
    // Percentiles of several runs must not be averaged.
    let middle = match metric.percentile() {
        Some(_) => "of all events",
        None => "mean ± sd",
    };
    let p = match comparison.corrected {
        0 | 1 => "p",
        _ => "p (Holm)",
    };
    axis.chain([
        ("group", ColumnKind::Names),
        ("n", ColumnKind::Figures),
        (middle, ColumnKind::Figures),
        ("median [95 %]", ColumnKind::Figures),
        ("change [95 %]", ColumnKind::Figures),
        (p, ColumnKind::Figures),
        ("verdict", ColumnKind::Verdicts),
    ])
    .map(|(name, kind)| Column {
        name: name.into(),
        kind,
    })
    .collect()
}

/// The rows of all groups at one point of the second axis.
fn text_rows(row: ComparisonRow<'_>, has_axis: bool) -> impl Iterator<Item = TextRow> {
    let groups = row.groups_with_runs().enumerate();
    groups.map(move |(i, (group, name, entry))| {
        let axis = has_axis.then(|| match (&row.point.value, i) {
            (Some(value), 0) => value.clone(),
            _ => String::new(),
        });
        let cells = axis.into_iter().chain([name.to_owned()]);
        TextRow {
            cells: cells.chain(figures(row.metric, group, entry)).collect(),
            verdict: entry.comparison.as_ref().map(BaselineComparison::verdict),
            begins_axis_point: i == 0,
            subject: match &row.point.value {
                Some(value) => format!("{name} at {value}"),
                None => name.to_owned(),
            },
            why: entry.why.as_ref().map(why::line),
        }
    })
}

/// The cells after the group's name.
fn figures(metric: Metric, group: usize, entry: &Entry) -> [String; 6] {
    let summary = &entry.summary;
    let value = |v: f64| numbers::quantity(metric, v);
    let middle = match (metric.percentile(), summary.stddev) {
        (Some(_), _) => entry.merged.map_or("-".into(), |ns| value(ns as f64)),
        (None, Some(stddev)) => format!("{} ± {}", value(summary.mean), value(stddev)),
        (None, None) => value(summary.mean),
    };
    let [change, p, verdict] = match &entry.comparison {
        Some(comparison) => [
            comparison.change.map_or("-".into(), |change| {
                numbers::estimate(change, numbers::percent)
            }),
            comparison.p.map_or("-".into(), numbers::p_value),
            comparison.verdict().to_string(),
        ],
        None if group == 0 => ["baseline".into(), String::new(), String::new()],
        None => ["-".into(), String::new(), String::new()],
    };
    [
        summary.n.to_string(),
        middle,
        numbers::estimate(summary.median, value),
        change,
        p,
        verdict,
    ]
}
