//! Output formats of a comparison.

mod csv;
mod html;
mod json;
mod layout;
mod markdown;
mod table;
pub mod title;

use anyhow::Result;

use super::comparison::Comparison;

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns for a terminal
    #[default]
    Table,
    /// Tables for a document
    Markdown,
    /// A line for each group of each row, numbers unrounded
    Csv,
    /// One document, numbers unrounded
    Json,
    /// One page with charts, for a browser
    Html,
}

impl Format {
    /// Formats the comparison; `colours` affects the table only.
    pub fn text(self, comparison: &Comparison, colours: bool) -> Result<String> {
        match self {
            Self::Table => Ok(table::text(comparison, colours)),
            Self::Markdown => Ok(markdown::text(comparison)),
            Self::Csv => csv::text(comparison),
            Self::Json => json::text(comparison),
            Self::Html => html::text(comparison),
        }
    }
}
