//! What could not be read, and why.

use std::fmt;
use std::sync::Arc;

use anyhow::{Error, anyhow};

use crate::compare::run::Location;
use crate::error::describe;
use crate::terminal;

/// Something that could not be read as a result.
#[derive(Debug)]
pub struct InputError {
    /// File and line.
    pub location: Location,
    /// The reason.
    pub reason: Error,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { file, line } = &self.location;
        f.write_str(&terminal::line(file))?;
        if *line > 0 {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", describe(&self.reason))
    }
}

/// Why part of a text is not a result.
#[derive(Debug)]
pub struct LineError {
    /// Line number, from 1; 0 for the whole file.
    pub line: usize,
    /// The reason.
    pub reason: Error,
}

impl LineError {
    /// Converts a JSON parser's error; the parsed text begins at `first_line` of the file.
    pub fn of_json(first_line: usize, error: &serde_json::Error) -> Self {
        let line = first_line + error.line().saturating_sub(1);
        // The parser's position is relative to the document, not to the file.
        let message = error.to_string();
        let reason = match message.split_once(" at line ") {
            Some((reason, _)) => reason.to_owned(),
            None => message,
        };
        Self {
            line,
            reason: anyhow!("{reason}"),
        }
    }

    /// Adds the name of the file.
    pub fn in_file(self, file: &Arc<str>) -> InputError {
        InputError {
            location: Location {
                file: Arc::clone(file),
                line: self.line,
            },
            reason: self.reason,
        }
    }
}
