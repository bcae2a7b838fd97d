//! Reads runs from files, directories and standard input, and reports everything else with the
//! reason.

mod directory;
pub mod documents;
mod error;
mod input;
pub mod result_file;
pub mod sysbench_log;

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Error, anyhow};
use rayon::prelude::*;

use self::directory::Contents;
use super::run::ComparedRun;

pub use self::error::{InputError, LineError};
pub use self::input::Input;

/// Everything read from an input.
#[derive(Debug, Default)]
pub struct Reading {
    /// Runs, ordered by file name and by position in the file.
    pub runs: Vec<ComparedRun>,
    /// What could not be read as a result.
    pub errors: Vec<InputError>,
    /// Directory entries that are not regular files: name and kind of each.
    pub skipped: Vec<(Arc<str>, &'static str)>,
}

impl Reading {
    fn of_file(file: &Arc<str>, content: io::Result<Vec<u8>>) -> Self {
        match content {
            Ok(bytes) => read_bytes(&bytes, file),
            Err(error) => Self::of_error(file, error.into()),
        }
    }

    fn of_error(file: &Arc<str>, reason: Error) -> Self {
        let mut reading = Self::default();
        reading.add(file, Err(LineError { line: 0, reason }));
        reading
    }

    fn of_skipped(file: &Arc<str>, kind: &'static str) -> Self {
        Self {
            skipped: vec![(Arc::clone(file), kind)],
            ..Self::default()
        }
    }

    fn add(&mut self, file: &Arc<str>, run: Result<ComparedRun, LineError>) {
        match run {
            Ok(run) => self.runs.push(run),
            Err(error) => self.errors.push(error.in_file(file)),
        }
    }

    fn join(mut self, other: Self) -> Self {
        self.runs.extend(other.runs);
        self.errors.extend(other.errors);
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
        .map(|path| read_entry(path))
        .reduce(Reading::default, Reading::join);
    let skipped = contents.skipped.iter();
    let skipped = skipped.map(|(path, kind)| Reading::of_skipped(&name_of(path), kind));
    let mut errors = contents.errors;
    // Otherwise a check in CI would pass because its candidate is missing.
    if contents.files.is_empty() && errors.is_empty() {
        let reason = anyhow!("the directory contains no result files");
        errors.push((path.to_owned(), reason));
    }
    let errors = errors.into_iter();
    let errors = errors.map(|(path, reason)| Reading::of_error(&name_of(&path), reason));
    skipped.chain(errors).fold(reading, Reading::join)
}

fn read_entry(path: &Path) -> Reading {
    let name = name_of(path);
    match directory::open(path) {
        Ok(Ok(file)) => Reading::of_file(&name, input::read_text(file)),
        Ok(Err(kind)) => Reading::of_skipped(&name, kind),
        Err(error) => Reading::of_error(&name, error.into()),
    }
}

fn name_of(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

/// Reads the runs in a file, whose format is detected by its content.
pub fn read_bytes(bytes: &[u8], file: &Arc<str>) -> Reading {
    let mut reading = Reading::default();
    match text_of(bytes) {
        Ok(text) => {
            for run in runs(text, file) {
                reading.add(file, run);
            }
        }
        Err(error) => reading.add(file, Err(error)),
    }
    reading
}

fn runs(text: &str, file: &Arc<str>) -> Vec<Result<ComparedRun, LineError>> {
    let error = |message: &'static str| {
        let reason = anyhow!(message);
        vec![Err(LineError { line: 1, reason })]
    };
    if text.trim_start().starts_with(['{', '[']) {
        let (documents, stopped) = documents::documents(text);
        if documents.is_empty() && stopped.is_none() {
            return error("it contains no result");
        }
        let runs = documents.into_iter();
        let runs = runs.map(|document| result_file::run(document, file));
        runs.chain(stopped.map(Err)).collect()
    } else if sysbench_log::is_log(text) {
        sysbench_log::runs(text, file)
    } else if text.trim().is_empty() {
        error("it is empty")
    } else {
        error("neither JSON nor a log of sysbench 0.4.12 or 1.0")
    }
}

/// Decodes a file as text, without the byte order mark that some editors add.
pub fn text_of(bytes: &[u8]) -> Result<&str, LineError> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let valid = &bytes[..error.valid_up_to()];
        LineError {
            line: 1 + valid.iter().filter(|byte| **byte == b'\n').count(),
            reason: anyhow!("it is not text: a byte that is not UTF-8"),
        }
    })?;
    if let Some((before, _)) = text.split_once('\0') {
        return Err(LineError {
            line: 1 + before.matches('\n').count(),
            reason: anyhow!("it is not text: a NUL byte"),
        });
    }
    Ok(text.trim_start_matches('\u{feff}'))
}
