//! A self-contained HTML page that loads nothing from a network.

mod bars;
mod chart;
mod latency;
mod scale;
mod time;

use anyhow::Result;
use askama::Template;

use super::notes::{self, Notes};
use super::tables::{self, Column, ColumnKind, TextRow, TextTable};
use super::{Exporter, numbers, title};
use crate::compare::comparison::{AxisPoint, Comparison, MetricTable, Section};
use crate::compare::metric::Timed;
use crate::compare::verdict::Verdict;
use crate::terminal;

/// An HTML page.
pub struct Html;

impl Exporter for Html {
    fn export(&self, comparison: &Comparison) -> Result<String> {
        let page = Page::of(comparison)?;
        // The templates escape markup.
        Ok(terminal::lines(&page.render()?).into_owned())
    }
}

/// Content of the page: text and charts.
#[derive(Template)]
#[template(path = "compare.html")]
struct Page {
    title: String,
    groups: Vec<LegendEntry>,
    sections: Vec<PageSection>,
    notes: Vec<Notes>,
}

struct LegendEntry {
    name: String,
    color: &'static str,
}

struct PageSection {
    title: String,
    params: String,
    tables: Vec<PageTable>,
    times: Vec<TimeFigure>,
    latencies: Vec<Figure>,
}

struct PageTable {
    headline: String,
    bars: Figure,
    columns: Vec<Column>,
    rows: Vec<PageRow>,
}

struct PageRow {
    begins_axis_point: bool,
    cells: Vec<PageCell>,
    why: Option<String>,
}

struct PageCell {
    column: String,
    class: &'static str,
    text: String,
}

/// A chart with its caption.
struct Figure {
    caption: String,
    svg: String,
}

/// A chart of the time per event, with its caption and the components in it.
struct TimeFigure {
    chart: Figure,
    components: Vec<LegendEntry>,
}

impl Page {
    fn of(comparison: &Comparison) -> Result<Self> {
        let names = comparison.groups.iter().enumerate();
        let sections = comparison.sections.iter();
        Ok(Self {
            title: format!("Comparison of {}", comparison.groups.join(", ")),
            groups: names
                .map(|(group, name)| LegendEntry {
                    name: name.clone(),
                    color: chart::color_of_group(group),
                })
                .collect(),
            sections: sections
                .map(|section| PageSection::of(comparison, section))
                .collect::<Result<_>>()?,
            notes: notes::all(comparison).collect(),
        })
    }
}

impl PageSection {
    fn of(comparison: &Comparison, section: &Section) -> Result<Self> {
        let params = section.key.params.iter();
        let params: Vec<_> = params
            .map(|(name, value)| title::param(name, value))
            .collect();
        let tables = section.tables.iter();
        Ok(Self {
            title: title::of_section(section),
            params: params.join(", "),
            tables: tables
                .map(|table| PageTable::of(comparison, section, table))
                .collect::<Result<_>>()?,
            times: times(comparison, section)?,
            latencies: latencies(comparison, section)?,
        })
    }
}

fn times(comparison: &Comparison, section: &Section) -> Result<Vec<TimeFigure>> {
    let mut figures = Vec::new();
    for point in &section.points {
        if let Some(chart) = time::TimeChart::of(&comparison.groups, &point.budgets) {
            let components = chart.components();
            figures.push(TimeFigure {
                components: components
                    .map(|(component, color)| LegendEntry {
                        name: component.to_string(),
                        color,
                    })
                    .collect(),
                chart: Figure {
                    caption: format!("thread time per event, mean{}", at(comparison, point)),
                    svg: chart.svg()?,
                },
            });
        }
    }
    Ok(figures)
}

/// The value of the second axis at a point, for a caption; empty without a second axis.
fn at(comparison: &Comparison, point: &AxisPoint) -> String {
    let vary = comparison.vary.as_ref().zip(point.value.as_ref());
    vary.map_or(String::new(), |(vary, value)| format!(", {vary} {value}"))
}

fn latencies(comparison: &Comparison, section: &Section) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for point in &section.points {
        let at = at(comparison, point);
        for timed in Timed::ALL {
            let operations = match timed {
                Timed::Event => "events",
                Timed::Service => "events from their start",
                Timed::Fsync => "fsyncs",
            };
            let durations = (0..comparison.groups.len()).map(|group| point.durations(timed, group));
            if let Some(svg) = latency::svg(&comparison.groups, durations)? {
                let caption = format!("latency of all {operations} together{at}");
                figures.push(Figure { caption, svg });
            }
        }
    }
    Ok(figures)
}

impl PageTable {
    fn of(comparison: &Comparison, section: &Section, table: &MetricTable) -> Result<Self> {
        let TextTable { columns, rows, .. } = TextTable::of(comparison, section, table);
        let mut entries = table.rows.iter().flatten().flatten();
        let what = match entries.any(|entry| entry.merged.is_some()) {
            true => "of all events together",
            false => "mean of the runs, with the standard deviation",
        };
        let vary = comparison.vary.as_ref();
        let by = vary.map_or(String::new(), |vary| format!(" by {vary}"));
        Ok(Self {
            headline: tables::headline(table.metric),
            bars: Figure {
                caption: format!("{}{by}: {what}", numbers::with_unit(table.metric)),
                svg: bars::svg(comparison, section, table)?,
            },
            rows: rows
                .into_iter()
                .map(|row| PageRow::of(row, &columns))
                .collect(),
            columns,
        })
    }
}

impl PageRow {
    fn of(row: TextRow, columns: &[Column]) -> Self {
        let cells = row.cells.iter().zip(columns);
        Self {
            begins_axis_point: row.begins_axis_point,
            why: row.why,
            cells: cells
                .map(|(text, column)| PageCell {
                    column: column.name.clone(),
                    class: class(column.kind, row.verdict),
                    text: terminal::cell(text),
                })
                .collect(),
        }
    }
}

/// The class of a cell in the page's style.
fn class(kind: ColumnKind, verdict: Option<Verdict>) -> &'static str {
    match (kind, verdict) {
        (ColumnKind::Figures, _) => "figure",
        (ColumnKind::Verdicts, Some(Verdict::Better)) => "better",
        (ColumnKind::Verdicts, Some(Verdict::Worse)) => "worse",
        _ => "",
    }
}
