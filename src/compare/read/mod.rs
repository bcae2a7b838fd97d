//! Files, folders and standard input become runs; what is none is named with its reason.

pub mod documents;
pub mod result_file;
pub mod sysbench_log;

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Error, anyhow};
use rayon::prelude::*;

use self::documents::Fault;
use super::run::{Run, Source};

/// A place to read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input (`-`).
    Stdin,
    /// A file, or a folder with all files below it.
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

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// Something that was to be read and is no result.
#[derive(Debug)]
pub struct Bad {
    /// Where.
    pub source: Source,
    /// Why.
    pub reason: Error,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {:#}",
            self.source.file, self.source.line, self.reason
        )
    }
}

/// What was read from an input.
#[derive(Debug, Default)]
pub struct Reading {
    /// The runs, in the order of the files' names and of their places in them.
    pub runs: Vec<Run>,
    /// What is none.
    pub bad: Vec<Bad>,
}

impl Reading {
    fn of_failure(file: &Arc<str>, error: io::Error) -> Self {
        Self::of_fault(
            file,
            Fault {
                line: 1,
                reason: error.into(),
            },
        )
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
        self
    }
}

/// Reads all of an input, files in parallel.
pub fn read(input: &Input) -> Reading {
    match input {
        Input::Stdin => {
            let name = Arc::from(input.to_string());
            let mut bytes = Vec::new();
            match io::stdin().lock().read_to_end(&mut bytes) {
                Ok(_) => read_bytes(&bytes, &name),
                Err(error) => Reading::of_failure(&name, error),
            }
        }
        Input::Path(path) => {
            let mut files = Vec::new();
            if let Err((place, error)) = find(path, &mut files) {
                return Reading::of_failure(&name_of(&place), error);
            }
            // Without this, a gate would pass because its candidate is missing.
            if files.is_empty() {
                let reason = anyhow!("the directory contains no result files");
                return Reading::of_fault(&name_of(path), Fault { line: 1, reason });
            }
            files
                .par_iter()
                .map(|path| read_file(path))
                .reduce(Reading::default, Reading::join)
        }
    }
}

/// Adds the file, or all files below the folder by name. Hidden ones are no results: a result
/// that is being written is one. Links to folders are not followed, as they may lead in a circle.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    if !fs::metadata(path).map_err(at(path))?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(at(path))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let is_link = entry.file_type().map_err(at(&path))?.is_symlink();
        if hidden || (is_link && path.is_dir()) {
            continue;
        }
        find(&path, files)?;
    }
    Ok(())
}

fn name_of(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

fn read_file(path: &Path) -> Reading {
    let name = name_of(path);
    match fs::read(path) {
        Ok(bytes) => read_bytes(&bytes, &name),
        Err(error) => Reading::of_failure(&name, error),
    }
}

/// Reads what a file holds, recognised by its content.
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

/// The text in a file, without the byte order mark that some editors leave.
pub fn text_of(bytes: &[u8]) -> Result<&str, Fault> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        Fault {
            line: 1 + good.iter().filter(|byte| **byte == b'\n').count(),
            reason: anyhow!("it is no text: a byte that is not UTF-8"),
        }
    })?;
    Ok(text.trim_start_matches('\u{feff}'))
}
