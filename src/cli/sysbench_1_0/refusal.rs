//! Refused command lines, with the text and the stream that 1.0 uses.

use std::fmt::Display;

use crate::error::describe;

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Why a command line is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Text to print, with its newline.
    pub text: String,
    /// Where to print it.
    pub stream: Stream,
}

/// A value, or why the command line is refused.
pub type Checked<T> = Result<T, Refusal>;

impl Refusal {
    /// Creates a refusal that 1.0 logs as fatal.
    pub fn fatal(message: impl Display) -> Self {
        Self {
            text: format!("FATAL: {message}\n"),
            stream: Stream::Stdout,
        }
    }

    /// Creates a refusal that 1.0 prints as it is on standard error.
    pub fn plain(message: impl Display) -> Self {
        Self {
            text: format!("{message}\n"),
            stream: Stream::Stderr,
        }
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::fatal(describe(&error))
    }
}
