//! A self-contained HTML page that loads nothing from a network.

mod bars;
mod canvas;
mod latency;

use anyhow::Result;
use askama::Template;

use super::layout::{self, Block, Part};
use super::title;
use crate::compare::comparison::{Comparison, Section, Table, Verdict};
use crate::terminal;

/// Content of the page: text and charts.
#[derive(Template)]
#[template(path = "compare.html")]
struct Page {
    title: String,
    groups: Vec<Group>,
    sections: Vec<PageSection>,
    parts: Vec<Part>,
}

struct Group {
    name: String,
    colour: String,
}

struct PageSection {
    title: String,
    params: String,
    tables: Vec<PageTable>,
    distributions: Vec<Distribution>,
}

struct PageTable {
    headline: String,
    caption: String,
    bars: String,
    head: Vec<String>,
    rows: Vec<PageRow>,
}

struct PageRow {
    begins: bool,
    cells: Vec<Cell>,
}

struct Cell {
    name: String,
    class: &'static str,
    text: String,
}

struct Distribution {
    caption: String,
    chart: String,
}

/// Formats the comparison as an HTML page.
pub fn text(comparison: &Comparison) -> Result<String> {
    let named = comparison.groups.iter().enumerate();
    let sections: Result<Vec<_>> = comparison
        .sections
        .iter()
        .map(|section| page_section(comparison, section))
        .collect();
    let page = Page {
        title: format!("Comparison of {}", comparison.groups.join(", ")),
        groups: named
            .map(|(place, name)| Group {
                name: name.clone(),
                colour: canvas::colour_of_group(place).1,
            })
            .collect(),
        sections: sections?,
        parts: layout::parts(comparison),
    };
    // The template escapes markup; in the charts their library does.
    Ok(terminal::lines(&page.render()?).into_owned())
}

fn page_section(comparison: &Comparison, section: &Section) -> Result<PageSection> {
    let params = section.work.params.iter();
    let params: Vec<_> = params
        .map(|(name, value)| title::param(name, value))
        .collect();
    let tables = section.tables.iter();
    let tables: Result<_> = tables
        .map(|table| page_table(comparison, section, table))
        .collect();
    let mut distributions = Vec::new();
    for point in &section.points {
        let of_point = [
            ("latency of all events together", &point.latency),
            ("latency of all fsyncs together", &point.fsync),
        ];
        for (what, groups) in of_point {
            if let Some(chart) = latency::chart(groups)? {
                distributions.push(Distribution {
                    caption: caption(what, comparison, point.value.as_ref()),
                    chart,
                });
            }
        }
    }
    Ok(PageSection {
        title: title::of_section(section),
        params: params.join(", "),
        tables: tables?,
        distributions,
    })
}

fn caption(what: &str, comparison: &Comparison, value: Option<&String>) -> String {
    match comparison.vary.as_ref().zip(value) {
        Some((vary, value)) => format!("{what}, {vary} {value}"),
        None => what.into(),
    }
}

fn page_table(comparison: &Comparison, section: &Section, table: &Table) -> Result<PageTable> {
    let Block { head, rows, .. } = layout::block(comparison, section, table);
    let rows = rows.into_iter().map(|line| PageRow {
        begins: line.begins,
        cells: line
            .cells
            .into_iter()
            .zip(&head)
            .map(|(text, name)| Cell {
                class: class(name, comparison, line.verdict),
                name: name.clone(),
                text: terminal::cell(&text),
            })
            .collect(),
    });
    let along = match &comparison.vary {
        Some(vary) => format!(" by {vary}"),
        None => String::new(),
    };
    let mut entries = table.rows.iter().flatten().flatten();
    let what = match entries.any(|entry| entry.merged.is_some()) {
        true => "of all events together",
        false => "mean of the runs, with the standard deviation",
    };
    Ok(PageTable {
        headline: layout::headline(table.metric),
        caption: format!("{}{along}: {what}", layout::with_unit(table.metric)),
        bars: bars::chart(
            section,
            table,
            comparison.groups.len(),
            comparison.vary.as_deref().unwrap_or_default(),
        )?,
        rows: rows.collect(),
        head,
    })
}

fn class(column: &str, comparison: &Comparison, verdict: Option<Verdict>) -> &'static str {
    match (column, verdict) {
        ("verdict", Some(Verdict::Better)) => "word better",
        ("verdict", Some(Verdict::Worse)) => "word worse",
        ("verdict" | "group", _) => "word",
        (name, _) if Some(name) == comparison.vary.as_deref() => "word",
        _ => "",
    }
}
