//! Runs `wbench compare`.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::IsTerminal as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{PREFIX, remark};
use crate::cli::compare::{Color, CompareJob};
use crate::compare::compare;
use crate::compare::comparison::Comparison;
use crate::compare::read::{Input, InputError, read};
use crate::compare::run::ComparedRun;
use crate::compare::threads::in_parallel;
use crate::compare::threshold::ThresholdCheck;
use crate::error::describe;
use crate::exit::Exit;
use crate::format::count;
use crate::output::Destination;
use crate::terminal::{line, message};

/// Runs a comparison. Every error means "inconclusive": exit status 1 is reserved for regressions.
pub fn run(job: &CompareJob) -> Exit {
    in_parallel(|| run_in_parallel(job)).unwrap_or_else(|error| {
        message!("{PREFIX}{}", describe(&error));
        Exit::Inconclusive
    })
}

/// Prints the comparison, then unreadable inputs, then the outcome of the threshold check.
fn run_in_parallel(job: &CompareJob) -> Result<Exit> {
    let (mut runs, mut errors, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for (input, reading) in job.inputs.iter().map(read).enumerate() {
        runs.extend(reading.runs.into_iter().map(|run| (input, run)));
        errors.extend(reading.errors);
        skipped.extend(reading.skipped);
    }
    let found = !runs.is_empty();
    let files = files(job, &runs, &errors);
    let comparison = compare(&job.inputs, runs, &job.options)?;
    if found {
        let text = job.format.text(&comparison, has_colors(job))?;
        refuse_input_as_output(job, &files)?;
        remark(&job.output.write_text(&text)?);
    }
    for (name, kind) in &skipped {
        message!("{PREFIX}{}: skipped: {kind}", line(name));
    }
    for error in &errors {
        message!("{PREFIX}{error}");
    }
    if !errors.is_empty() {
        let errors = count(errors.len() as u64, "error");
        message!("{PREFIX}{errors} in the input");
    }
    if !found || (!errors.is_empty() && !job.skip_bad) {
        return Ok(Exit::Inconclusive);
    }
    Ok(match job.fail_above {
        Some(percent) => check(&comparison, percent),
        None => Exit::Success,
    })
}

/// Checks the comparison against the threshold, and prints why it does not pass.
fn check(comparison: &Comparison, threshold_percent: f64) -> Exit {
    match ThresholdCheck::of(comparison, threshold_percent) {
        ThresholdCheck::Pass => Exit::Success,
        ThresholdCheck::Fail(rows) => {
            for row in rows {
                message!("{PREFIX}{row}, above the threshold of {threshold_percent} %");
            }
            Exit::Failure
        }
        ThresholdCheck::Inconclusive(reason) => {
            message!("{PREFIX}{reason}");
            Exit::Inconclusive
        }
    }
}

/// Returns all files read: those named as inputs and those found in directories.
fn files(
    job: &CompareJob,
    runs: &[(usize, ComparedRun)],
    errors: &[InputError],
) -> BTreeSet<PathBuf> {
    let named = job.inputs.iter().filter_map(|input| match input {
        Input::Path(path) => Some(path.clone()),
        Input::Stdin => None,
    });
    let locations = runs.iter().map(|(_, run)| &run.location);
    let locations = locations.chain(errors.iter().map(|error| &error.location));
    let found = locations.map(|location| PathBuf::from(&*location.file));
    named.chain(found).collect()
}

/// Fails if the output would overwrite an input.
fn refuse_input_as_output(job: &CompareJob, files: &BTreeSet<PathBuf>) -> Result<()> {
    let Destination::File(output) = &job.output else {
        return Ok(());
    };
    let id = |path: &Path| {
        let existing = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
        Some((existing.dev(), existing.ino()))
    };
    let Some(to) = id(output) else {
        return Ok(());
    };
    match files.iter().find(|file| id(file) == Some(to)) {
        Some(file) => bail!(
            "--output {} would replace the input {}; name another file",
            output.display(),
            file.display()
        ),
        None => Ok(()),
    }
}

fn has_colors(job: &CompareJob) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match job.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let on_terminal = job.output == Destination::Stdout && std::io::stdout().is_terminal();
            on_terminal && !refused
        }
    }
}
