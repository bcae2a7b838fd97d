//! Runs the sysbench 0.4.12 command line.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::sync::Arc;

use anyhow::Result;

use super::fail;
use super::progress::{IntervalLines, RunProgress};
use crate::cli::sysbench::{self as cli, Command, Invocation};
use crate::engine::{Observer, Progress};
use crate::error::describe;
use crate::exit::Exit;
use crate::output::print;
use crate::plan::{FilePlan, FileioParams, RunPlan};
use crate::report::sysbench::{self as report, PrintedOptions, Verbosity};
use crate::report::text::Columns;
use crate::result::{EndedBy, Interval, RunResult, Warning, Workload};
use crate::run::Run;
use crate::signal;
use crate::terminal::message;
use crate::warning::Code;
use crate::workload::fileio::files::{CleanUp, FileLock, Ownership, TestFiles};
use crate::workload::fileio::prepare::prepare as fill;

const PREFIX: &str = "FATAL: ";

/// Runs the command given by the arguments.
pub fn run(args: &[OsString]) -> Exit {
    let args: Vec<_> = args
        .iter()
        .skip(1)
        .map(|arg| arg.to_string_lossy())
        .collect();
    let done = match cli::parse(&args) {
        Ok(invocation) => execute(&invocation),
        Err(error) => print(&report::banner()).and(Err(error)),
    };
    done.unwrap_or_else(|error| {
        print_fatal(&describe(&error));
        fail(PREFIX, &error)
    })
}

/// Prints an error on standard output, where scripts look for it; on a terminal, standard error is
/// enough.
fn print_fatal(error: &str) {
    if !io::stdout().is_terminal() {
        // The error itself matters more than that it could not be printed here.
        let _ = print(&format!("{PREFIX}{error}\n"));
    }
}

fn execute(invocation: &Invocation) -> Result<Exit> {
    let verbosity = invocation.verbosity;
    match &invocation.command {
        Command::Usage => {
            print(&cli::usage())?;
            // Same exit status as 0.4.12; scripts may depend on it.
            Ok(Exit::Failure)
        }
        Command::Help(test) => {
            let text = test.map_or_else(cli::usage, |test| test.help());
            print(&format!("{}{text}", report::banner()))?;
            Ok(Exit::Success)
        }
        Command::Version => {
            if verbosity >= Verbosity::NOTICE {
                print(&format!("{}\n", report::version()))?;
            }
            Ok(Exit::Success)
        }
        Command::Prepare(plan) => prepare(plan, verbosity),
        Command::Cleanup(plan) => {
            print(&report::removing(verbosity))?;
            locked(plan, FileLock::Exclusive, verbosity)?.remove()?;
            Ok(Exit::Success)
        }
        Command::Run { plan, printed } => measure(plan, *printed, verbosity),
    }
}

fn prepare(plan: &FilePlan, verbosity: Verbosity) -> Result<Exit> {
    signal::watch()?;
    print(&report::preparing(verbosity, &plan.set))?;
    warn_of_rounding(plan, verbosity)?;
    let files = locked(plan, FileLock::Exclusive, verbosity)?;
    let unfinished = CleanUp(&files);
    fill(&files, &mut |_| {})?;
    unfinished.0.keep_created();
    Ok(Exit::Success)
}

fn measure(plan: &RunPlan, printed: PrintedOptions, verbosity: Verbosity) -> Result<Exit> {
    signal::watch()?;
    let files = match plan.fileio() {
        Some((params, files)) => Some(Arc::new(files_of_run(files, params, verbosity)?)),
        None => None,
    };
    let run = Run::begin(plan)?;
    if let Some(warning) = run.memory_warning() {
        print_warning(verbosity, &warning.to_string());
    }
    let workload = Workload::of(plan);
    print(&report::preamble(verbosity, &workload, printed))?;
    if let Some(files) = &plan.files {
        warn_of_rounding(files, verbosity)?;
    }
    let mut progress = SysbenchProgress::new(plan, verbosity);
    let result = run.measure(files, &mut progress);
    drop(progress);
    if let (Some(error), false) = (&result.error, result.ended_by == EndedBy::ForcedShutdown) {
        print_fatal(error);
        message!("{PREFIX}{error}");
        return Ok(Exit::of(&result));
    }
    print(&report::summary(verbosity, &result)?)?;
    print_warnings(&result, verbosity);
    Ok(Exit::of(&result))
}

/// Warnings printed before the run.
const PRINTED_BEFORE: [Code; 2] = [Code::RoundedFiles, Code::MemoryLimit];

/// Prints the remaining warnings on standard error: standard output is that of 0.4.12.
fn print_warnings(result: &RunResult, verbosity: Verbosity) {
    let printed = |warning: &Warning| {
        PRINTED_BEFORE
            .iter()
            .any(|code| code.as_str() == warning.code)
    };
    for warning in result.warnings.iter().filter(|it| !printed(it)) {
        print_warning(verbosity, &warning.message);
    }
}

fn print_warning(verbosity: Verbosity, sentence: &str) {
    if verbosity >= Verbosity::WARNING {
        message!("WARNING: {sentence}");
    }
}

/// Returns the files of a run, locked and in the required state.
fn files_of_run(plan: &FilePlan, params: &FileioParams, verbosity: Verbosity) -> Result<TestFiles> {
    let files = locked(plan, FileLock::of(params.mode), verbosity)?;
    if !params.mode.creates_files() {
        files.check()?;
    }
    Ok(files)
}

/// Locks the test files, or warns that they cannot be locked.
fn locked(plan: &FilePlan, lock: FileLock, verbosity: Verbosity) -> Result<TestFiles> {
    let files = TestFiles::of(plan, Ownership::Name)?;
    if let Some(unlocked) = files.lock(lock)? {
        print_warning(verbosity, &unlocked.to_string());
    }
    Ok(files)
}

fn warn_of_rounding(files: &FilePlan, verbosity: Verbosity) -> Result<()> {
    match files.set.rounding() {
        Some(sentence) => print(&report::warning(verbosity, &sentence)),
        None => Ok(()),
    }
}

/// Reports the start of the threads as 0.4.12 does, and progress like the native command line.
struct SysbenchProgress {
    run: RunProgress,
    threads: u64,
    verbosity: Verbosity,
}

impl SysbenchProgress {
    fn new(plan: &RunPlan, verbosity: Verbosity) -> Self {
        let lines = match verbosity >= Verbosity::NOTICE {
            true => IntervalLines::TimedStdout,
            false => IntervalLines::Nowhere,
        };
        let columns = Columns::of(&plan.test);
        Self {
            run: RunProgress::new(plan.limits.max_time(), lines, columns, false),
            threads: plan.threads.get() as u64,
            verbosity,
        }
    }
}

impl Observer for SysbenchProgress {
    fn started(&mut self) {
        // The final report will fail to print, too, and its error is reported.
        let _ = print(&report::started(self.verbosity, self.threads));
    }

    fn progress_interval(&self) -> Option<std::time::Duration> {
        self.run.progress_interval()
    }

    fn progress(&mut self, elapsed: std::time::Duration, progress: Progress) {
        self.run.progress(elapsed, progress);
    }

    fn interval(&mut self, interval: &Interval, percentile_ns: Option<u64>) {
        self.run.interval(interval, percentile_ns);
    }
}
