//! Aligned columns for a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use anyhow::Result;

use super::tables::{ColumnKind, TextTable};
use super::{Exporter, notes, tables};
use crate::compare::comparison::Comparison;
use crate::compare::verdict::Verdict;
use crate::report::table::aligned_lines;
use crate::terminal::line;

/// Before an explanation: more than before a row, which it is part of.
const WHY: &str = "    ";

/// Aligned columns.
pub struct Table {
    /// Whether verdicts have color escape sequences.
    pub colors: bool,
}

impl Exporter for Table {
    fn export(&self, comparison: &Comparison) -> Result<String> {
        let mut text = String::new();
        for table in tables::all(comparison) {
            writeln!(text, "{}", line(&table.title))?;
            for line in self.lines(table) {
                writeln!(text, "{line}")?;
            }
            text.push('\n');
        }
        for notes in notes::all(comparison) {
            writeln!(text, "{}:", notes.title)?;
            for sentence in &notes.lines {
                writeln!(text, "  {}", line(sentence))?;
            }
            text.push('\n');
        }
        while text.ends_with("\n\n") {
            text.pop();
        }
        Ok(text)
    }
}

impl Table {
    fn lines(&self, table: TextTable) -> Vec<String> {
        let head: Vec<&str> = table.columns.iter().map(|it| it.name.as_str()).collect();
        let is_figure = |place: usize| table.columns[place].kind == ColumnKind::Figures;
        let (ends, rows): (Vec<_>, Vec<_>) = table
            .rows
            .into_iter()
            .map(|row| ((row.verdict, row.why), row.cells))
            .unzip();
        let mut aligned = aligned_lines(&head, rows, is_figure).into_iter();
        let mut lines: Vec<String> = aligned.by_ref().take(1).collect();
        for (mut line, (verdict, why)) in aligned.zip(ends) {
            if self.colors {
                color_end(&mut line, verdict);
            }
            lines.push(line);
            lines.extend(why.map(|why| format!("{WHY}{why}")));
        }
        lines
    }
}

/// Colors the verdict with which a line ends.
fn color_end(line: &mut String, verdict: Option<Verdict>) {
    let style = Style::new();
    let style = match verdict {
        Some(Verdict::Better) => style.fg_color(Some(AnsiColor::Green.into())),
        Some(Verdict::Worse) => style.fg_color(Some(AnsiColor::Red.into())),
        Some(Verdict::Undecided | Verdict::TooFew) => style.dimmed(),
        None => return,
    };
    let text = verdict.map(|it| it.to_string()).unwrap_or_default();
    line.truncate(line.len() - text.len());
    line.push_str(&format!("{style}{text}{style:#}"));
}
