//! Options that all measuring commands share, and the parsers of their values.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::Command;
use super::numbers::{positive, whole, within};
use crate::cli::LONGEST_SECONDS;
use crate::output::Destination;
use crate::plan::{ClockChoice, FileHandling, FilePlan, Limits, RunPlan, Seed, Test};
use crate::report::ReportFormat;
use crate::start::StartAt;

#[derive(Debug, Args)]
pub(super) struct CommonArgs {
    /// Worker threads
    #[arg(long, default_value = "1", value_name = "N", value_parser = positive::<NonZeroUsize>)]
    threads: NonZeroUsize,

    /// Percentile shown in reports that show a single one, 1 to 100
    #[arg(long, default_value_t = 95, value_name = "P", value_parser = percentile)]
    percentile: u8,

    /// Seed of the random number streams [default: as sysbench 0.4.12]
    #[arg(long, value_name = "N", value_parser = whole::<u32>)]
    seed: Option<u32>,

    /// Pin each worker thread to one CPU, in turn
    #[arg(long)]
    pin: bool,

    /// Clock that times events
    #[arg(long, value_enum, default_value_t, value_name = "CLOCK")]
    clock: ClockChoice,

    /// Print statistics every N seconds [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    report_interval: Option<Duration>,

    /// Prepare, then start at this time: RFC 3339 in UTC, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = start_at)]
    start_at: Option<StartAt>,

    /// Add a label to the result, such as env=kvm; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// Write the result as JSON to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<Destination>,

    /// Format of the report on standard output [default: text; none with --quiet or --json -]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<ReportFormat>,

    /// Print no progress, and a report only with --format
    #[arg(long, short)]
    pub(super) quiet: bool,
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
    pub(super) fn into_plan(
        self,
        test: Test,
        limits: Limits,
        files: Option<FilePlan>,
    ) -> Result<(RunPlan, Output)> {
        let output = Output::of(self.json, self.format, self.quiet)?;
        let plan = RunPlan {
            test,
            threads: self.threads,
            limits,
            percentile: self.percentile,
            seed: Seed(self.seed),
            pin: self.pin,
            clock: self.clock,
            report_interval: self.report_interval,
            stack_size: None,
            labels: self.labels.into_iter().collect::<BTreeMap<_, _>>(),
            files,
            start_at: self.start_at,
        };
        Ok((plan, output))
    }
}

pub(super) fn limits(time: Duration, events: u64) -> Limits {
    Limits {
        max_time_s: (!time.is_zero()).then_some(time.as_secs_f64()),
        max_requests: (events > 0).then_some(events),
        forced_shutdown_s: None,
    }
}

pub(super) fn measure(plan: RunPlan, files: FileHandling, output: Output) -> Command {
    Command::Measure {
        plan: Box::new(plan),
        files,
        output,
    }
}

fn percentile(text: &str) -> Result<u8> {
    within(text, 1..=100)
}

pub(super) fn seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text
        .parse()
        .with_context(|| format!("invalid time '{text}': expected a number of seconds"))?;
    ensure!(
        (0.0..=LONGEST_SECONDS).contains(&seconds),
        "invalid time '{text}': expected 0 to {LONGEST_SECONDS} seconds"
    );
    ensure!(
        seconds == 0.0 || seconds >= SHORTEST_SECONDS,
        "invalid time '{text}': expected 0 or at least {SHORTEST_SECONDS} seconds"
    );
    Ok(Duration::from_secs_f64(seconds))
}

/// The shortest time other than 0, in seconds: a time that rounds to 0 would mean no limit.
const SHORTEST_SECONDS: f64 = 0.001;

pub(super) fn positive_seconds(text: &str) -> Result<Duration> {
    let interval = seconds(text)?;
    ensure!(
        !interval.is_zero(),
        "invalid time '{text}': expected more than 0 seconds"
    );
    Ok(interval)
}

pub(super) fn start_at(text: &str) -> Result<StartAt> {
    text.parse::<StartAt>()?.validated()
}

pub(super) fn label(text: &str) -> Result<(String, String)> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .with_context(|| format!("invalid label '{text}': expected KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}
