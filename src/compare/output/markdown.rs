//! Markdown tables.

use std::fmt::Write as _;

use anyhow::Result;

use super::tables::TextTable;
use super::{Exporter, notes, tables};
use crate::compare::comparison::Comparison;
use crate::terminal::{self, cell};

/// GitHub Flavored Markdown.
pub struct Markdown;

impl Exporter for Markdown {
    fn export(&self, comparison: &Comparison) -> Result<String> {
        let mut text = String::new();
        for table in tables::all(comparison) {
            writeln!(text, "### {}\n\n{}", escaped(&table.title), markup(&table))?;
        }
        for notes in notes::all(comparison) {
            writeln!(text, "**{}**\n", notes.title)?;
            for line in notes.lines {
                writeln!(text, "- {}", escaped(&line))?;
            }
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        Ok(text)
    }
}

fn markup(table: &TextTable) -> String {
    let row = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<_> = cells.map(|text| escaped(&cell(text))).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let head = row(&mut table.columns.iter().map(|column| column.name.as_str()));
    let rule = row(&mut table.columns.iter().map(|_| "---"));
    let rows = table.rows.iter();
    let rows = rows.map(|line| row(&mut line.cells.iter().map(String::as_str)));
    let mut text: String = [head, rule].into_iter().chain(rows).collect();
    // A table has no lines between its rows.
    let explained = table.rows.iter();
    let explained = explained.filter_map(|row| Some((&row.subject, row.why.as_ref()?)));
    for (place, (subject, why)) in explained.enumerate() {
        let separator = if place == 0 { "\n" } else { "" };
        text += &format!("{separator}- {}\n", escaped(&format!("{subject}, {why}")));
    }
    text
}

/// Puts text on one line and escapes the characters that have a meaning in Markdown.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in terminal::line(text).chars() {
        match c {
            '\\' | '|' | '*' | '_' | '`' | '<' | '~' | '[' | ']' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}
