//! A result becomes text. A report never measures.

pub mod format;
pub mod sysbench;
pub mod text;

use std::io::{self, Write};

use anyhow::{Context, Result};

/// Writes to standard output, at once.
///
/// A reader that went away is no error: what it did not want to see needs no message.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing to standard output"),
    }
}
