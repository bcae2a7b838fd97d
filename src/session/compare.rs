//! Runs `wbench compare` and `wbench show`.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::IsTerminal as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::{PREFIX, remark};
use crate::cli::compare::{Color, CompareJob, ShowJob};
use crate::compare::compare;
use crate::compare::gate::Gate;
use crate::compare::read::documents::documents;
use crate::compare::read::result_file::check_schema;
use crate::compare::read::{Bad, Input, Reading, read, text_of};
use crate::compare::run::Run;
use crate::compare::threads::in_parallel;
use crate::exit::Exit;
use crate::format::count;
use crate::output::{Destination, print};
use crate::result::RunResult;
use crate::terminal::{line, message};

/// Runs a comparison. Every error means "inconclusive": exit status 1 is reserved for regressions.
pub fn run(job: &CompareJob) -> Exit {
    in_parallel(|| answer(job)).unwrap_or_else(|error| {
        message!("{PREFIX}{error:#}");
        Exit::Untold
    })
}

/// Prints the comparison, then unreadable inputs, then the outcome of the threshold check.
fn answer(job: &CompareJob) -> Result<Exit> {
    let readings: Vec<Reading> = job.inputs.iter().map(read).collect();
    let (mut runs, mut bad, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for (input, reading) in readings.into_iter().enumerate() {
        runs.extend(reading.runs.into_iter().map(|run| (input, run)));
        bad.extend(reading.bad);
        skipped.extend(reading.skipped);
    }
    let found = !runs.is_empty();
    let files = files(job, &runs, &bad);
    let comparison = compare(&job.inputs, runs, &job.question)?;
    if found {
        let text = job.format.text(&comparison, has_colours(job))?;
        refuse_input_as_output(job, &files)?;
        remark(&job.output.write_text(&text)?);
    }
    for (name, what) in &skipped {
        message!("{PREFIX}{}: skipped: {what}", line(name));
    }
    for bad in &bad {
        message!("{PREFIX}{bad}");
    }
    if !bad.is_empty() {
        let places = count(bad.len() as u64, "place");
        message!("{PREFIX}{places} could not be read");
    }
    if !found || (!bad.is_empty() && !job.skip_bad) {
        return Ok(Exit::Untold);
    }
    let Some(limit) = job.fail_above else {
        return Ok(Exit::Success);
    };
    match Gate::of(&comparison, limit) {
        Gate::Pass => Ok(Exit::Success),
        Gate::Fail(rows) => {
            for row in rows {
                message!("{PREFIX}{row}, and {limit} % is allowed");
            }
            Ok(Exit::Failure)
        }
        Gate::Untold(reason) => {
            message!("{PREFIX}{reason}");
            Ok(Exit::Untold)
        }
    }
}

/// Returns all files read: those named as inputs and those found in directories.
fn files(job: &CompareJob, runs: &[(usize, Run)], bad: &[Bad]) -> BTreeSet<PathBuf> {
    let named = job.inputs.iter().filter_map(|input| match input {
        Input::Path(path) => Some(path.clone()),
        Input::Stdin => None,
    });
    let sources = runs.iter().map(|(_, run)| &run.source);
    let sources = sources.chain(bad.iter().map(|bad| &bad.source));
    let found = sources.map(|source| PathBuf::from(&*source.file));
    named.chain(found).collect()
}

/// Fails if the output would overwrite an input.
fn refuse_input_as_output(job: &CompareJob, files: &BTreeSet<PathBuf>) -> Result<()> {
    let Destination::File(output) = &job.output else {
        return Ok(());
    };
    let id = |path: &Path| {
        let there = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
        Some((there.dev(), there.ino()))
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

fn has_colours(job: &CompareJob) -> bool {
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

/// Prints the report of each stored result.
pub fn show(job: &ShowJob) -> Result<Exit> {
    let mut all = Vec::new();
    for input in &job.inputs {
        all.extend(results(input).with_context(|| input.to_string())?);
    }
    print(&job.format.of(&all)?)?;
    Ok(Exit::Success)
}

fn results(input: &Input) -> Result<Vec<RunResult>> {
    let bytes = input.bytes()?;
    let text = text_of(&bytes).map_err(|fault| fault.reason)?;
    let (found, stopped) = documents(text);
    if let Some(fault) = stopped {
        return Err(fault.reason.context(format!("line {}", fault.line)));
    }
    if found.is_empty() {
        return Err(anyhow!("it holds no result"));
    }
    found
        .into_iter()
        .map(|document| {
            check_schema(document)?;
            Ok(serde_json::from_str(document.text)?)
        })
        .collect()
}
