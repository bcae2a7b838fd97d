//! Output formats of a comparison.

mod csv;
mod html;
mod json;
mod markdown;
mod notes;
pub(crate) mod numbers;
mod table;
mod tables;
pub mod title;
mod why;

use anyhow::Result;

use super::comparison::Comparison;

/// Writes a comparison in one format.
trait Exporter {
    /// Formats the comparison.
    fn export(&self, comparison: &Comparison) -> Result<String>;
}

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
    /// Formats the comparison; `colors` affects the table only.
    pub fn text(self, comparison: &Comparison, colors: bool) -> Result<String> {
        let exporter: &dyn Exporter = match self {
            Self::Table => &table::Table { colors },
            Self::Markdown => &markdown::Markdown,
            Self::Csv => &csv::Csv,
            Self::Json => &json::Json,
            Self::Html => &html::Html,
        };
        exporter.export(comparison)
    }
}
