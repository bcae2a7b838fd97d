//! A run in the form in which it is compared, whatever program wrote it.

use std::fmt;
use std::sync::Arc;

use super::fields::Fields;
use super::figures::Figures;
use crate::result::Warning;

/// One run.
#[derive(Debug, Clone)]
pub struct ComparedRun {
    /// Where the run was read.
    pub location: Location,
    /// "cpu", "memory", "fileio", "threads" or "mutex".
    pub test: String,
    /// "complete", "interrupted" or "failed".
    pub status: String,
    /// All fields of the result.
    pub fields: Fields,
    /// Measured figures.
    pub figures: Figures,
    /// Warnings of the result.
    pub warnings: Vec<Warning>,
}

impl ComparedRun {
    /// Whether the run ended by its own limits.
    pub fn is_complete(&self) -> bool {
        self.status == "complete"
    }

    /// The value of a label, parameter or field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.get(self.fields.resolve(name)?)
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Name of the file as found, or "standard input".
    pub file: Arc<str>,
    /// Line number, from 1; 0 for the whole file.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            1 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}
