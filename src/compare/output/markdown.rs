//! Markdown tables.

use std::fmt::Write as _;

use super::layout::{self, Block};
use crate::compare::comparison::Comparison;
use crate::terminal::{self, cell};

/// Formats the comparison as GitHub Flavored Markdown.
pub fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    for block in layout::blocks(comparison) {
        _ = writeln!(text, "### {}\n\n{}", escaped(&block.title), table(&block));
    }
    for part in layout::parts(comparison) {
        _ = writeln!(text, "**{}**\n", part.title);
        for line in part.lines {
            _ = writeln!(text, "- {}", escaped(&line));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn table(block: &Block) -> String {
    let row = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|text| escaped(&cell(text))).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = vec!["---".to_owned(); block.head.len()];
    let rows = block.rows.iter().map(|line| row(&line.cells));
    [row(&block.head), row(&rule)]
        .into_iter()
        .chain(rows)
        .collect()
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
