//! Runs the sysbench 1.0 command line.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Result;

use crate::cli::sysbench_1_0::{
    Arguments, Command, General, Refusal, Run as Request, Stream, usage,
};
use crate::engine::{Observer, Snapshot};
use crate::exit::Exit;
use crate::output::print;
use crate::plan::Test;
use crate::report::sysbench::Verbosity;
use crate::report::sysbench_1_0 as report;
use crate::result::{EndedBy, Interval};
use crate::run::Run;
use crate::signal;
use crate::terminal::message;

/// Runs the command given by the arguments.
pub fn run(arguments: &[OsString]) -> Exit {
    let arguments: Vec<_> = arguments
        .iter()
        .skip(1)
        .map(|argument| argument.to_string_lossy())
        .collect();
    execute(&arguments).unwrap_or_else(|refusal| {
        match refusal.stream {
            // Nothing can be done about a failed write: the status reports the refusal.
            Stream::Stdout => _ = print(&refusal.text),
            Stream::Stderr => message!("{}", refusal.text.trim_end()),
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
        Command::Banner => {}
        Command::Help(text) => print(&text)?,
        Command::Run(request) => return Ok(measure(&request)?),
    }
    Ok(Exit::Success)
}

fn measure(request: &Request) -> Result<Exit> {
    signal::watch()?;
    let Request { plan, general } = request;
    print(&report::preamble(general, &plan.test))?;
    let run = Run::begin(plan)?;
    let warn = |sentence: &str| {
        if general.verbosity >= Verbosity::WARNING {
            message!("WARNING: {sentence}");
        }
    };
    if let Some(warning) = run.memory_warning() {
        warn(&warning.to_string());
    }
    print(&report::initializing(general))?;
    let mut reporter = Reporter {
        general,
        test: &plan.test,
        intervals: 0,
        rest: None,
    };
    let result = run.measure(None, &mut reporter);
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
        warn(&warning.message);
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
