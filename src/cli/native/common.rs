//! Options that several commands share, each defined once, and the parsers of their values.
//!
//! A command that needs another default or description changes it with `mut_arg`.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Arg, Args};

use super::Action;
use super::numbers::{positive, whole, within};
use crate::cli::LONGEST_SECONDS;
use crate::output::Destination;
use crate::plan::{
    Arrival, Arrivals, ClockChoice, FileHandling, FilePlan, Limits, RunPlan, Seed, Test,
};
use crate::report::ReportFormat;
use crate::start::StartAt;

// The comments above the structs are not doc comments: clap would make them the description of the
// command.

// Limits of a run. A command sets the default of --events, and of --time if it has no other.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// Stop after N events, summed over all threads; 0 = no limit
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    events: Option<u64>,

    /// Stop after this many seconds; 0 = no limit
    #[arg(long, default_value = "300", value_name = "SECONDS", value_parser = seconds)]
    time: Duration,
}

impl LimitArgs {
    /// Returns the limits; without --events, no limit of events.
    pub(super) fn limits(&self) -> Limits {
        self.limits_or(0)
    }

    /// Returns the limits; without --events, this many events.
    pub(super) fn limits_or(&self, default_events: u64) -> Limits {
        let events = self.events.unwrap_or(default_events);
        Limits {
            max_time_s: (!self.time.is_zero()).then_some(self.time.as_secs_f64()),
            max_requests: (events > 0).then_some(events),
            forced_shutdown_s: None,
        }
    }
}

// How runs are made, by a test and by all tests of a suite.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Worker threads
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroUsize>)]
    pub(super) threads: Option<NonZeroUsize>,

    /// Pin each worker thread to one CPU, in turn
    #[arg(long)]
    pub(super) pin: bool,

    /// Clock that times events
    #[arg(long, value_enum, value_name = "CLOCK")]
    pub(super) clock: Option<ClockChoice>,

    /// Report statistics every N seconds
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    pub(super) report_interval: Option<Duration>,

    /// Prepare, then start at this time: RFC 3339 in UTC, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = start_at)]
    pub(super) start_at: Option<StartAt>,
}

#[derive(Debug, Args)]
pub(super) struct DirArgs {
    /// Directory of the test files
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(super) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct KeepArgs {
    /// Keep the test files
    #[arg(long)]
    pub(super) keep: bool,
}

#[derive(Debug, Args)]
pub(super) struct LabelArgs {
    /// Add a label to each result, such as host=a; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
}

impl LabelArgs {
    /// Returns the labels; of a key given twice, the last value.
    pub(super) fn labels(self) -> BTreeMap<String, String> {
        self.labels.into_iter().collect()
    }
}

#[derive(Debug, Args)]
pub(super) struct JsonArgs {
    /// Write the result as JSON to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<Destination>,
}

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// Resume: run only what has no complete result in the result file
    #[arg(long)]
    pub(super) resume: bool,
}

#[derive(Debug, Args)]
pub(super) struct FormatArgs {
    /// Format of the report on standard output [default: text; none with --quiet or --json -]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(super) format: Option<ReportFormat>,
}

#[derive(Debug, Args)]
pub(super) struct QuietArgs {
    /// Print no progress, and a report only with --format
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// Appends a default to the help text of an option.
pub(super) fn with_default(arg: Arg, default: &str) -> Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(format!("{help} [default: {default}]"))
}

// When the events of a run start.
#[derive(Debug, Args)]
pub(super) struct PacingArgs {
    /// Start N events per second in all, also while earlier ones run; 0 = each when the last one ends
    #[arg(long, default_value = "0", value_name = "N", value_parser = rate)]
    rate: f64,

    /// Distribution of the times between the events of --rate
    #[arg(long, value_enum, default_value = "poisson", value_name = "ARRIVAL")]
    arrival: Arrival,

    /// Run for this time before anything is recorded
    #[arg(long, default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    warmup: Duration,
}

impl PacingArgs {
    /// Returns the arrivals of an open loop; None for a closed one.
    fn arrivals(&self) -> Option<Arrivals> {
        (self.rate > 0.0).then_some(Arrivals {
            rate_per_s: self.rate,
            distribution: self.arrival,
            max_backlog: None,
        })
    }

    fn warmup(&self) -> Option<Duration> {
        Some(self.warmup).filter(|warmup| !warmup.is_zero())
    }
}

// Options of a single test.
#[derive(Debug, Args)]
#[command(
    mut_arg("threads", |arg| arg.default_value("1")),
    mut_arg("clock", |arg| arg.default_value("auto")),
    mut_arg("report_interval", |arg| with_default(arg, "never")),
)]
pub(super) struct CommonArgs {
    #[command(flatten)]
    run: RunArgs,

    #[command(flatten)]
    pacing: PacingArgs,

    /// Percentile shown in reports that show a single one, 1 to 100
    #[arg(long, default_value_t = 95, value_name = "P", value_parser = percentile)]
    percentile: u8,

    /// Seed of the random number streams [default: as sysbench 0.4.12]
    #[arg(long, value_name = "N", value_parser = whole::<u32>)]
    seed: Option<u32>,

    #[command(flatten)]
    label: LabelArgs,

    #[command(flatten)]
    json: JsonArgs,

    #[command(flatten)]
    format: FormatArgs,

    #[command(flatten)]
    quiet: QuietArgs,
}

/// Where a result is written.
#[derive(Debug, Clone)]
pub struct Output {
    /// The JSON document.
    pub json: Option<Destination>,
    /// Format of the report on standard output.
    pub report: Option<ReportFormat>,
    /// Print no progress.
    pub quiet: bool,
}

impl Output {
    /// Fails if two documents would be printed on standard output.
    pub(super) fn of(
        json: Option<Destination>,
        format: Option<ReportFormat>,
        quiet: bool,
    ) -> Result<Self> {
        let taken = json == Some(Destination::Stdout);
        ensure!(
            !(taken && format.is_some()),
            "--json - and --format both print to standard output; write the JSON to a file, or \
             omit one of them"
        );
        let report = match quiet || taken {
            true => format,
            false => Some(format.unwrap_or_default()),
        };
        Ok(Self {
            json,
            report,
            quiet,
        })
    }
}

impl CommonArgs {
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet.quiet
    }

    pub(super) fn into_plan(
        self,
        test: Test,
        limits: Limits,
        files: Option<FilePlan>,
    ) -> Result<(RunPlan, Output)> {
        let output = Output::of(self.json.json, self.format.format, self.quiet.quiet)?;
        let plan = RunPlan {
            test,
            threads: self.run.threads.unwrap_or(NonZeroUsize::MIN),
            limits,
            arrivals: self.pacing.arrivals(),
            warmup: self.pacing.warmup(),
            percentile: self.percentile,
            seed: Seed(self.seed),
            pin: self.run.pin,
            clock: self.run.clock.unwrap_or_default(),
            report_interval: self.run.report_interval,
            stack_size: None,
            labels: self.label.labels(),
            files,
            start_at: self.run.start_at,
            timed_from_start: false,
        };
        Ok((plan, output))
    }
}

pub(super) fn measure(plan: RunPlan, files: FileHandling, output: Output) -> Action {
    Action::Measure {
        plan: Box::new(plan),
        files,
        output,
    }
}

/// The rates that are accepted besides 0, in events per second. Nobody means others.
const RATES: RangeInclusive<f64> = 1e-6..=1e12;

fn rate(text: &str) -> Result<f64> {
    let rate: f64 = text.parse().context("expected a number")?;
    ensure!(
        rate == 0.0 || RATES.contains(&rate),
        "expected 0, or {:e} to {:e} events per second",
        RATES.start(),
        RATES.end()
    );
    Ok(rate)
}

fn percentile(text: &str) -> Result<u8> {
    within(text, 1..=100)
}

pub(super) fn seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().context("expected a number of seconds")?;
    ensure!(
        (0.0..=LONGEST_SECONDS).contains(&seconds),
        "expected 0 to {LONGEST_SECONDS} seconds"
    );
    ensure!(
        seconds == 0.0 || seconds >= SHORTEST_SECONDS,
        "expected 0 or at least {SHORTEST_SECONDS} seconds"
    );
    Ok(Duration::from_secs_f64(seconds))
}

/// The shortest time other than 0, in seconds: a time that rounds to 0 would mean no limit.
const SHORTEST_SECONDS: f64 = 0.001;

pub(super) fn positive_seconds(text: &str) -> Result<Duration> {
    let interval = seconds(text)?;
    ensure!(!interval.is_zero(), "expected more than 0 seconds");
    Ok(interval)
}

fn start_at(text: &str) -> Result<StartAt> {
    text.parse::<StartAt>()?.validated()
}

fn label(text: &str) -> Result<(String, String)> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .context("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
