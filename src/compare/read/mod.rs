//! Reads runs from files, directories and standard input, and reports all else with the reason.

mod directory;
pub mod documents;
pub mod result_file;
pub mod sysbench_log;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Error, anyhow};
use rayon::prelude::*;

use self::directory::Contents;
use self::documents::Fault;
use super::run::{Run, Source};
use crate::terminal;

/// A source of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input (`-`).
    Stdin,
    /// A file, or a directory including all subdirectories.
    Path(PathBuf),
}

impl From<&Path> for Input {
    fn from(path: &Path) -> Self {
        match path == Path::new("-") {
            true => Self::Stdin,
            false => Self::Path(path.to_owned()),
        }
    }
}

impl Input {
    /// Reads a file or standard input; a file named by the user may be a FIFO.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Stdin => read_to_end(io::stdin().lock()),
            Self::Path(path) => read_to_end(File::open(path)?),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// Something that could not be read as a result.
#[derive(Debug)]
pub struct Bad {
    /// File and line.
    pub source: Source,
    /// The reason.
    pub reason: Error,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Source { file, line } = &self.source;
        write!(f, "{}:{line}: {:#}", terminal::line(file), self.reason)
    }
}

/// Everything read from an input.
#[derive(Debug, Default)]
pub struct Reading {
    /// Runs, ordered by file name and by position in the file.
    pub runs: Vec<Run>,
    /// What could not be read as a result.
    pub bad: Vec<Bad>,
    /// Directory entries that are not regular files: name and kind of each.
    pub skipped: Vec<(Arc<str>, &'static str)>,
}

impl Reading {
    fn of_file(file: &Arc<str>, content: io::Result<Vec<u8>>) -> Self {
        match content {
            Ok(bytes) => read_bytes(&bytes, file),
            Err(error) => Self::of_bad(file, error.into()),
        }
    }

    fn of_bad(file: &Arc<str>, reason: Error) -> Self {
        Self::of_fault(file, Fault { line: 1, reason })
    }

    fn of_skipped(file: &Arc<str>, what: &'static str) -> Self {
        Self {
            skipped: vec![(Arc::clone(file), what)],
            ..Self::default()
        }
    }

    fn of_fault(file: &Arc<str>, fault: Fault) -> Self {
        let mut reading = Self::default();
        reading.add(file, Err(fault));
        reading
    }

    fn add(&mut self, file: &Arc<str>, run: Result<Run, Fault>) {
        match run {
            Ok(run) => self.runs.push(run),
            Err(Fault { line, reason }) => self.bad.push(Bad {
                source: Source {
                    file: Arc::clone(file),
                    line,
                },
                reason,
            }),
        }
    }

    fn join(mut self, other: Self) -> Self {
        self.runs.extend(other.runs);
        self.bad.extend(other.bad);
        self.skipped.extend(other.skipped);
        self
    }
}

/// Reads all of an input, with files in parallel.
pub fn read(input: &Input) -> Reading {
    match input {
        Input::Path(path) if path.is_dir() => read_directory(path),
        _ => {
            let name = Arc::from(input.to_string());
            Reading::of_file(&name, input.bytes())
        }
    }
}

fn read_directory(path: &Path) -> Reading {
    let contents = Contents::of(path);
    let reading = contents
        .files
        .par_iter()
        .map(|path| read_found(path))
        .reduce(Reading::default, Reading::join);
    let skipped = contents.skipped.iter();
    let skipped = skipped.map(|(path, what)| Reading::of_skipped(&name_of(path), what));
    let mut bad = contents.bad;
    // Otherwise a CI gate would pass because its candidate is missing.
    if contents.files.is_empty() && bad.is_empty() {
        let reason = anyhow!("the directory contains no result files");
        bad.push((path.to_owned(), reason));
    }
    let bad = bad.into_iter();
    let bad = bad.map(|(path, reason)| Reading::of_bad(&name_of(&path), reason));
    skipped.chain(bad).fold(reading, Reading::join)
}

fn read_found(path: &Path) -> Reading {
    let name = name_of(path);
    match directory::open(path) {
        Ok(Ok(file)) => Reading::of_file(&name, read_to_end(file)),
        Ok(Err(what)) => Reading::of_skipped(&name, what),
        Err(error) => Reading::of_bad(&name, error.into()),
    }
}

fn name_of(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

/// Bytes read to detect a file that is not text: a sparse file or a device can be endless.
const PROBE: u64 = 1 << 16;

/// Reads to the end, or only the first [`PROBE`] bytes if these are not text.
fn read_to_end(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.by_ref().take(PROBE).read_to_end(&mut bytes)?;
    if !bytes.contains(&0) {
        from.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Reads the runs in a file, whose format is detected by its content.
pub fn read_bytes(bytes: &[u8], file: &Arc<str>) -> Reading {
    let text = match text_of(bytes) {
        Ok(text) => text,
        Err(fault) => return Reading::of_fault(file, fault),
    };
    let mut reading = Reading::default();
    if text.trim_start().starts_with(['{', '[']) {
        let (found, stopped) = documents::documents(text);
        if found.is_empty() && stopped.is_none() {
            let reason = anyhow!("it holds no result");
            reading.add(file, Err(Fault { line: 1, reason }));
        }
        for document in found {
            reading.add(file, result_file::run(document, file));
        }
        if let Some(fault) = stopped {
            reading.add(file, Err(fault));
        }
    } else if sysbench_log::is_log(text) {
        for run in sysbench_log::runs(text, file) {
            reading.add(file, run);
        }
    } else {
        let reason = match text.trim().is_empty() {
            true => anyhow!("it is empty"),
            false => anyhow!("neither JSON nor a log of sysbench 0.4.12 or 1.0"),
        };
        reading.add(file, Err(Fault { line: 1, reason }));
    }
    reading
}

/// Decodes a file as text, without the byte order mark that some editors add.
pub fn text_of(bytes: &[u8]) -> Result<&str, Fault> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        Fault {
            line: 1 + good.iter().filter(|byte| **byte == b'\n').count(),
            reason: anyhow!("it is no text: a byte that is not UTF-8"),
        }
    })?;
    if let Some((before, _)) = text.split_once('\0') {
        return Err(Fault {
            line: 1 + before.matches('\n').count(),
            reason: anyhow!("it is no text: a NUL byte"),
        });
    }
    Ok(text.trim_start_matches('\u{feff}'))
}
