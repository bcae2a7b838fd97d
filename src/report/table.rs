//! Aligned tables.

use std::ops::Range;

use unicode_width::UnicodeWidthStr as _;

use crate::terminal::cell;

/// Spaces before the first column and between columns.
const GAP: usize = 2;

/// Formats rows of aligned cells, headings first; numeric columns are right-aligned.
pub fn aligned(
    head: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    figures: Range<usize>,
) -> String {
    aligned_lines(head, rows, |column| figures.contains(&column)).join("\n")
}

/// The lines of a table, headings first. Cells are escaped, and aligned right in the columns of
/// figures.
pub fn aligned_lines(
    head: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    is_figure: impl Fn(usize) -> bool,
) -> Vec<String> {
    let head = head.iter().map(|name| cell(name)).collect();
    let rows = rows.into_iter();
    let rows = rows.map(|row| row.iter().map(|text| cell(text)).collect());
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let mut widths = vec![0; rows[0].len()];
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = text.width().max(*width);
        }
    }
    rows.iter()
        .map(|row| {
            let mut line = String::new();
            for (column, (text, width)) in row.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width - text.width());
                line.push_str(&" ".repeat(GAP));
                match is_figure(column) {
                    true => line.extend([&padding, text.as_str()]),
                    false => line.extend([text.as_str(), &padding]),
                }
            }
            line.truncate(line.trim_end().len());
            line
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_on_a_terminal() {
        let rows = [
            ["a", "1", "x"],
            ["äö 東京", "1000", ""],
            ["ccc", "20", "yy"],
        ];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let text = aligned(&["name", "n", "end"], rows, 1..2);
        let expected =
            "  name        n  end\n  a           1  x\n  äö 東京  1000\n  ccc        20  yy";
        assert_eq!(text, expected);
    }
}
