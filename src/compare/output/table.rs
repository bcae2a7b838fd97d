//! Aligned columns for a terminal.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::layout::{self, Block};
use crate::compare::comparison::{Comparison, Verdict};
use crate::terminal::{cell, line};

/// Formats the comparison, with colour escape sequences if requested.
pub fn text(comparison: &Comparison, colours: bool) -> String {
    let mut text = String::new();
    for block in layout::blocks(comparison) {
        _ = writeln!(
            text,
            "{}\n{}\n",
            line(&block.title),
            aligned(&block, colours)
        );
    }
    for part in layout::parts(comparison) {
        _ = writeln!(text, "{}:", part.title);
        for sentence in &part.lines {
            _ = writeln!(text, "  {}", line(sentence));
        }
        text.push('\n');
    }
    while text.ends_with("\n\n") {
        text.pop();
    }
    text
}

fn aligned(block: &Block, colours: bool) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(block.head.iter().map(|name| Cell::new(cell(name))));
    let figures = block.head.iter().position(|name| name == "n").unwrap_or(0);
    for row in &block.rows {
        let last = row.cells.len() - 1;
        let cells = row.cells.iter().map(|text| cell(text)).enumerate();
        table.add_row(cells.map(|(i, text)| match i == last {
            true => Cell::new(coloured(&text, row.verdict.filter(|_| colours))),
            false => Cell::new(text),
        }));
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if i == 0 { 2 } else { 0 }, 2));
        if (figures..block.head.len() - 1).contains(&i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

fn coloured(word: &str, verdict: Option<Verdict>) -> String {
    let style = anstyle::Style::new();
    let style = match verdict {
        Some(Verdict::Better) => style.fg_color(Some(anstyle::AnsiColor::Green.into())),
        Some(Verdict::Worse) => style.fg_color(Some(anstyle::AnsiColor::Red.into())),
        Some(Verdict::Undecided | Verdict::TooFew) => style.dimmed(),
        None => return word.into(),
    };
    format!("{style}{word}{style:#}")
}
