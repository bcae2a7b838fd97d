//! Runs the sysbench 1.0 command line.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cli::sysbench_1_0::{
    Arguments, FileTest, General, Refusal, Stream, Task, TestRun, usage,
};
use crate::engine::{Observer, Snapshot};
use crate::exit::Exit;
use crate::output::print;
use crate::plan::{FilePlan, FileioParams, Test};
use crate::report::sysbench::Verbosity;
use crate::report::sysbench_1_0 as report;
use crate::report::sysbench_1_0::fileio::{self as texts, FileState};
use crate::result::{EndedBy, Interval};
use crate::run::Run;
use crate::signal;
use crate::terminal::message;
use crate::workload::fileio::files::{CleanUp, FileLock, Ownership, TestFiles};
use crate::workload::fileio::prepare::write;

/// Runs the command given by the arguments.
pub fn run(arguments: &[OsString]) -> Exit {
    let arguments: Vec<_> = arguments
        .iter()
        .skip(1)
        .map(|argument| argument.to_string_lossy())
        .collect();
    execute(&arguments).unwrap_or_else(|refusal| {
        match refusal.stream {
            Stream::Stdout if print(&refusal.text).is_ok() => {}
            Stream::Stdout | Stream::Stderr => message!("{}", refusal.text.trim_end()),
        }
        Exit::Failure
    })
}

fn execute<S: AsRef<str>>(arguments: &[S]) -> Result<Exit, Refusal> {
    let mut remarks = Vec::new();
    let arguments = Arguments::read(arguments, &mut remarks);
    for remark in remarks {
        message!("{remark}");
    }
    let arguments = arguments?;
    if arguments.wants_usage() {
        print(&usage())?;
        return Ok(Exit::Success);
    }
    if arguments.wants_version() {
        print(&(report::version() + "\n"))?;
        return Ok(Exit::Success);
    }
    let mut warnings = Vec::new();
    let general = arguments.general(&mut warnings);
    for warning in warnings {
        print(&format!("WARNING: {warning}\n"))?;
    }
    let general = general?;
    print(&report::banner(general.verbosity))?;
    match arguments.command(&general)? {
        Task::Banner => {}
        Task::Help(text) => print(&text)?,
        Task::Prepare(test) => return Ok(prepare(&general, &test)?),
        Task::Cleanup(test) => {
            print(&texts::removing(&general))?;
            locked(&general, &test.files, FileLock::Exclusive)?.remove()?;
        }
        Task::Run(test_run) => return Ok(measure(&test_run)?),
    }
    Ok(Exit::Success)
}

fn prepare(general: &General, test: &FileTest) -> Result<Exit> {
    signal::watch()?;
    let files = locked(general, &test.files, FileLock::Exclusive)?;
    let required = files.set().file_size;
    let states: Vec<FileState> = files
        .sizes()?
        .into_iter()
        .map(|size| match size {
            None => FileState::Missing,
            Some(size) if size < required => FileState::TooSmall,
            Some(_) => FileState::Complete,
        })
        .collect();
    print(&texts::preparing(general, test, &states))?;
    warn_of_rounding(general, &test.files);
    let unfinished = CleanUp(&files);
    let numbers = files.files_to_complete()?;
    let bytes = numbers.len() as u64 * required;
    let began = Instant::now();
    write(&files, &numbers, &mut |_| {})?;
    unfinished.0.keep_created();
    print(&texts::prepared(
        general,
        bytes,
        began.elapsed().as_secs_f64(),
    ))?;
    Ok(Exit::Success)
}

/// Returns the files of a run, locked; `None` if there is one that cannot be used, with a message.
fn files_of_run(
    general: &General,
    params: &FileioParams,
    plan: &FilePlan,
) -> Result<Option<TestFiles>> {
    let files = locked(general, plan, FileLock::of(params.mode))?;
    warn_of_rounding(general, plan);
    if !params.mode.creates_files() {
        let required = plan.set.file_size;
        let sizes = files.sizes()?;
        let too_small = |size: &Option<u64>| size.is_none_or(|size| size < required);
        if let Some(file) = sizes.iter().position(too_small) {
            print(&texts::opening(general, file + 1))?;
            print(&texts::unusable(general, file, sizes[file], required))?;
            return Ok(None);
        }
    }
    print(&texts::opening(general, plan.set.files.get() as usize))?;
    Ok(Some(files))
}

/// Locks the test files, or warns that they cannot be locked.
fn locked(general: &General, plan: &FilePlan, lock: FileLock) -> Result<TestFiles> {
    let files = TestFiles::of(plan, Ownership::Name)?;
    if let Some(unlocked) = files.lock(lock)? {
        warn(general, &unlocked.to_string());
    }
    Ok(files)
}

fn warn_of_rounding(general: &General, files: &FilePlan) {
    if let Some(sentence) = files.set.rounding() {
        warn(general, &sentence);
    }
}

fn warn(general: &General, sentence: &str) {
    if general.verbosity >= Verbosity::WARNING {
        message!("WARNING: {sentence}");
    }
}

fn measure(test_run: &TestRun) -> Result<Exit> {
    signal::watch()?;
    let TestRun { plan, general } = test_run;
    print(&report::preamble(
        general,
        &plan.test,
        plan.limits.max_requests,
    ))?;
    let files = match plan.fileio() {
        Some((params, files)) => match files_of_run(general, params, files)? {
            Some(files) => Some(Arc::new(files)),
            None => return Ok(Exit::Failure),
        },
        None => None,
    };
    let run = Run::begin(plan)?;
    if let Some(warning) = run.memory_warning() {
        warn(general, &warning.to_string());
    }
    print(&report::initializing(general))?;
    let mut reporter = Reporter {
        general,
        test: &plan.test,
        intervals: 0,
        rest: None,
    };
    let result = run.measure(files, &mut reporter);
    let rest = reporter.rest.take();
    match (&rest, &result.error, result.ended_by) {
        (Some(rest), _, EndedBy::ForcedShutdown) => {
            print(&report::done(general, &plan.test, result.ended_by))?;
            print(&report::summary(
                general,
                &plan.test,
                rest,
                Some(rest.unfinished),
            ))?;
        }
        (Some(rest), None, _) => {
            print(&report::done(general, &plan.test, result.ended_by))?;
            print(&report::summary(general, &plan.test, rest, None))?;
        }
        (_, error, _) => {
            let error = error.as_deref().unwrap_or("the run could not begin");
            print(&format!("FATAL: {error}\n"))?;
            return Ok(Exit::of(&result));
        }
    }
    for warning in &result.warnings {
        warn(general, &warning.message);
    }
    Ok(Exit::of(&result))
}

/// Prints a run's start, intervals and checkpoints as 1.0 does.
struct Reporter<'a> {
    general: &'a General,
    test: &'a Test,
    /// Intervals that were reported.
    intervals: u64,
    /// What was recorded after the last checkpoint.
    rest: Option<Snapshot>,
}

impl Reporter<'_> {
    /// Prints during a run. The final report will fail to print, too, and its error is reported.
    fn print(text: &str) {
        let _ = print(text);
    }
}

impl Observer for Reporter<'_> {
    fn started(&mut self) {
        Self::print(&report::started(self.general));
    }

    fn interval_percentile(&self) -> f64 {
        f64::from(self.general.percentile.unwrap_or(0))
    }

    fn interval(&mut self, interval: &Interval, percentile_ns: Option<u64>) {
        let length = self.general.report_interval.unwrap_or(0);
        // The last interval may be shorter, and is not reported.
        if interval.at_s >= (length * (self.intervals + 1)) as f64 {
            self.intervals += 1;
            let line = report::interval(self.general, self.test, interval, percentile_ns);
            Self::print(&line);
        }
    }

    fn snapshot_times(&self) -> Option<Vec<Duration>> {
        let times = self.general.report_checkpoints.iter();
        let times = times.filter(|&&seconds| seconds > 0);
        Some(times.map(|&seconds| Duration::from_secs(seconds)).collect())
    }

    fn snapshot(&mut self, snapshot: &Snapshot) {
        Self::print(&report::checkpoint(self.general, self.test, snapshot));
    }

    fn rest(&mut self, rest: &Snapshot) {
        self.rest = Some(rest.clone());
    }
}
