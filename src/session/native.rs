//! The native command line at work.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::sync::Arc;

use anyhow::{Error, Result};
use clap::Parser;

use super::progress::{IntervalLines, Watcher, preparing};
use super::{compare, env, fail};
use crate::cli::native::{Cli, Command, FileHandling, Output};
use crate::exit::Exit;
use crate::output::{self, Destination};
use crate::plan::{RunPlan, Test};
use crate::report::text;
use crate::report::text::Columns;
use crate::result::{RunResult, Workload};
use crate::run::Run;
use crate::signal;
use crate::workload::fileio::files::{CleanUp, Rule, TestFiles};
use crate::workload::fileio::prepare::prepare as fill;

/// What stands before a message of this command line.
pub(super) const PREFIX: &str = "wbench: ";

/// Does what the words say.
pub fn run(words: Vec<OsString>) -> Exit {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(told) => {
            // Help and version are no errors; a reader that went away is none either.
            return match told.print() {
                _ if told.use_stderr() => Exit::Usage,
                Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                    let error = Error::new(error).context("writing to standard output");
                    fail(PREFIX, &error)
                }
                _ => Exit::Success,
            };
        }
    };
    cli.into_command()
        .and_then(execute)
        .unwrap_or_else(|error| fail(PREFIX, &error))
}

fn execute(command: Command) -> Result<Exit> {
    match command {
        Command::Measure {
            plan,
            files,
            output,
        } => measure(&plan, files, &output),
        Command::Prepare { files, quiet } => {
            if let Some(sentence) = files.set.rounding() {
                eprintln!("{PREFIX}{sentence}");
            }
            signal::watch()?;
            let files = TestFiles::of(&files, Rule::Stamp)?;
            let unfinished = CleanUp(&files);
            prepare(&files, quiet)?;
            unfinished.0.keep_made();
            Ok(Exit::Success)
        }
        Command::Cleanup { files } => {
            TestFiles::of(&files, Rule::Stamp)?.remove()?;
            Ok(Exit::Success)
        }
        Command::Env { dir, json } => env::run(&dir, json.as_ref()),
        Command::Compare(job) => Ok(compare::run(&job)),
        Command::Show(job) => compare::show(&job),
    }
}

fn measure(plan: &RunPlan, handling: FileHandling, output: &Output) -> Result<Exit> {
    if let Some(json) = &output.json {
        json.check()?;
    }
    signal::watch()?;
    let files = plan.files.as_ref();
    let files = files
        .map(|files| TestFiles::of(files, Rule::Stamp))
        .transpose()?;
    let files = files.map(Arc::new);
    let job = FileJob::of(plan, handling, files.as_deref())?;
    let run = Run::begin(plan)?;
    let guard = files.as_deref().map(CleanUp);
    let result = match job.prepare(output.quiet) {
        Ok(()) => run.measure(files.clone(), &mut watcher(plan, output)),
        Err(error) => run.not_run(&error),
    };
    let told = tell(&result, output);
    let cleaned = job.finish();
    drop(guard);
    if let Some(error) = &result.error {
        eprintln!("{PREFIX}{error}");
    }
    told.and(cleaned)?;
    Ok(Exit::of(&result))
}

/// What has to be done about the files around a run.
struct FileJob<'a> {
    files: Option<&'a TestFiles>,
    makes: bool,
    keeps: bool,
}

impl<'a> FileJob<'a> {
    /// Fails where the files are not as the run needs them, and it may not make them.
    fn of(plan: &RunPlan, handling: FileHandling, files: Option<&'a TestFiles>) -> Result<Self> {
        let (Some(files), Test::Fileio(params)) = (files, &plan.test) else {
            return Ok(Self {
                files: None,
                makes: false,
                keeps: false,
            });
        };
        let creates = params.mode.creates_files();
        let whole = handling == FileHandling::Whole;
        let absent = files.are_absent()?;
        let may_make = (absent || files.recreate()) && handling != FileHandling::AsTheyAre;
        if !creates && !may_make {
            files.check()?;
        }
        Ok(Self {
            files: Some(files),
            makes: may_make && !creates,
            // Files that were there before stay, even if the run makes them anew.
            keeps: !(whole && absent),
        })
    }

    fn prepare(&self, quiet: bool) -> Result<()> {
        match self.files {
            Some(files) if self.makes => prepare(files, quiet),
            _ => Ok(()),
        }
    }

    fn finish(&self) -> Result<()> {
        match self.files {
            Some(files) if self.keeps => files.keep_made(),
            Some(files) => files.remove_made()?,
            None => {}
        }
        Ok(())
    }
}

fn prepare(files: &TestFiles, quiet: bool) -> Result<()> {
    let bar = preparing(files.set().total_size(), quiet);
    let prepared = fill(files, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    prepared
}

fn watcher(plan: &RunPlan, output: &Output) -> Watcher {
    let lines = match (output.quiet, &output.json) {
        (true, _) => IntervalLines::Nowhere,
        (false, Some(Destination::Stdout)) => IntervalLines::Stderr,
        (false, _) => IntervalLines::Stdout,
    };
    let columns = Columns::of(&Workload::of(plan));
    Watcher::new(plan.limits.max_time(), lines, columns, output.quiet)
}

fn tell(result: &RunResult, output: &Output) -> Result<()> {
    let written = match &output.json {
        Some(json) => json.write(result),
        None => Ok(()),
    };
    // The figures of a long run are not lost with a file that could not be written.
    // Those of a run that never began are none; its error tells all there is.
    let printed = match output.reports() && result.totals.wall_s > 0.0 {
        true => output::print(&text::report(result)),
        false => Ok(()),
    };
    written.and(printed)
}
