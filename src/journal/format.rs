//! Results in files: lines of a journal, or the array of a finished job.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::result::RunResult;

/// Writes a result as one line. Line feeds in the JSON are layout only; those in strings are
/// escaped.
pub(super) fn write_line(out: &mut dyn Write, result: &RunResult) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(result)?;
    text.retain(|&byte| byte != b'\n');
    text.push(b'\n');
    out.write_all(&text)
}

/// Appends a result to the lines: completely or, with an error, not at all.
pub(super) fn append(mut file: &File, result: &RunResult) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    write_line(&mut file, result).inspect_err(|_| {
        // If this fails too, a reader drops the truncated line.
        let _ = file.set_len(length);
    })
}

/// Writes results as a JSON array, one at a time.
pub(super) fn write_array(
    out: &mut dyn Write,
    results: impl Iterator<Item = io::Result<RunResult>>,
) -> io::Result<()> {
    let mut separator = "[\n";
    for result in results {
        out.write_all(separator.as_bytes())?;
        out.write_all(&serde_json::to_vec_pretty(&result?)?)?;
        separator = ",\n";
    }
    out.write_all(if separator == "[\n" {
        b"[]\n"
    } else {
        b"\n]\n"
    })
}

/// Parses the results of complete lines.
pub(super) fn parse_lines(text: &[u8], partial: &Path) -> Result<Vec<RunResult>> {
    String::from_utf8_lossy(text)
        .lines()
        .enumerate()
        .map(|(i, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}, line {}: invalid result", partial.display(), i + 1))
        })
        .collect()
}

/// Parses the array of a finished job.
pub(super) fn parse_array(text: &str, path: &Path) -> Result<Vec<RunResult>> {
    serde_json::from_str(text)
        .with_context(|| format!("{} does not contain an array of results", path.display()))
}
