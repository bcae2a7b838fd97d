//! Runs the native command line.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;

use anyhow::{Error, Result};

use super::measure::{Measured, lock, measure as measured, prepare};
use super::progress::{IntervalLines, RunProgress};
use super::{PREFIX, compare, env, fail, remark, series, show, suite, sweep, trial};
use crate::cli::native::{Action, Cli, Output};
use crate::exit::Exit;
use crate::output::{self, Destination, ReservedDestination, WriteMethod, is_out_of_space};
use crate::plan::{FileHandling, FilePlan, RunPlan};
use crate::report::ReportFormat;
use crate::report::text::Columns;
use crate::result::RunResult;
use crate::signal;
use crate::terminal::{self, message};
use crate::workload::fileio::files::{CleanUp, FileLock, Ownership, TestFiles};

/// Runs the command given by the arguments.
pub fn run(args: Vec<OsString>) -> Exit {
    let line = args.join(OsStr::new(" "));
    let cli = match Cli::of(args) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, &line),
    };
    let done = cli.into_action().and_then(execute);
    done.unwrap_or_else(|error| match error.downcast::<clap::Error>() {
        // Error in the arguments that a sweep passes to its instances.
        Ok(error) => explain(&error, &line),
        Err(error) => fail(PREFIX, &error),
    })
}

/// Prints a usage error, or the requested help or version.
fn explain(error: &clap::Error, line: &OsStr) -> Exit {
    // clap prints arguments unescaped, between its own escape sequences.
    let line = line.to_string_lossy();
    if error.use_stderr() && matches!(terminal::line(&line), Cow::Owned(_)) {
        terminal::print_report(&error.render().to_string());
        return Exit::Usage;
    }
    // Help and version are not errors; neither is a reader that closed the pipe.
    match error.print() {
        _ if error.use_stderr() => Exit::Usage,
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let error = Error::new(error).context("writing to standard output");
            fail(PREFIX, &error)
        }
        _ => Exit::Success,
    }
}

fn execute(action: Action) -> Result<Exit> {
    match action {
        Action::Measure {
            plan,
            files,
            output,
        } => measure(&plan, files, &output),
        Action::Series(job) => series::run(&job),
        Action::Prepare { files, quiet } => prepare_files(&files, quiet),
        Action::Cleanup { files } => remove_files(&files),
        Action::Suite(job) => suite::run(&job),
        Action::Sweep(job) => sweep::run(&job),
        Action::Trial(job) => Ok(trial::run(&job)),
        Action::Env { dir, json } => env::run(&dir, json.as_ref()),
        Action::Compare(job) => Ok(compare::run(&job)),
        Action::Show(job) => show::run(&job),
    }
}

fn prepare_files(plan: &FilePlan, quiet: bool) -> Result<Exit> {
    if let Some(rounding) = plan.set.rounding() {
        message!("{PREFIX}{rounding}");
    }
    signal::watch()?;
    let files = TestFiles::of(plan, Ownership::Mark)?;
    lock(&files, FileLock::Exclusive)?;
    let unfinished = CleanUp(&files);
    prepare(&files, quiet)?;
    unfinished.0.keep_created();
    Ok(Exit::Success)
}

fn remove_files(plan: &FilePlan) -> Result<Exit> {
    let files = TestFiles::of(plan, Ownership::Mark)?;
    lock(&files, FileLock::Exclusive)?;
    files.remove()?;
    Ok(Exit::Success)
}

fn measure(plan: &RunPlan, handling: FileHandling, output: &Output) -> Result<Exit> {
    let outlet = output.json.as_ref().map(Destination::reserve).transpose()?;
    signal::watch()?;
    let measured = measured(plan, handling, output.quiet, &mut progress(plan, output))?;
    let delivered = deliver(&measured, outlet, output);
    remark(&delivered?);
    Ok(Exit::of(&measured.result))
}

/// Writes the result, prints the report and removes the files, even if one of these fails.
///
/// The result is written first, so that it survives if the process is then killed. Exceptions: a
/// pipe may block on its reader, and removal must not wait for it; if the disk is full, removing
/// the files frees space for the result.
fn deliver(
    measured: &Measured,
    outlet: Option<ReservedDestination>,
    output: &Output,
) -> Result<WriteMethod> {
    let result = &measured.result;
    let Some(mut outlet) = outlet else {
        let printed = print_report(result, output);
        return measured
            .clean_up()
            .and(printed)
            .map(|()| WriteMethod::Normal);
    };
    let early = (!outlet.may_block()).then(|| outlet.write(result));
    let printed = print_report(result, output);
    let cleaned = measured.clean_up();
    let written = match early {
        Some(Err(error)) if !is_out_of_space(&error) => Err(error),
        Some(Ok(written)) => Ok(written),
        _ => outlet.write(result),
    };
    let written = written?;
    printed.and(cleaned).map(|()| written)
}

pub(super) fn progress(plan: &RunPlan, output: &Output) -> RunProgress {
    let lines = match (output.quiet, output.report) {
        (true, _) => IntervalLines::Nowhere,
        (false, Some(ReportFormat::Text)) => IntervalLines::Stdout,
        (false, _) => IntervalLines::Stderr,
    };
    let columns = Columns::of(&plan.test);
    RunProgress::new(plan.limits.max_time(), lines, columns, output.quiet)
}

fn print_report(result: &RunResult, output: &Output) -> Result<()> {
    // A program always gets its document. For a run that never started, the error tells a person
    // everything.
    let began = result.totals.wall_s > 0.0;
    match output.report.filter(|format| began || format.is_document()) {
        Some(format) => format
            .of(std::slice::from_ref(result))
            .and_then(|report| output::print(&report)),
        None => Ok(()),
    }
}
