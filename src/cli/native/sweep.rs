//! `wbench sweep`: its options.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::common::{DirArgs, JsonArgs, LabelArgs, QuietArgs, ResumeArgs, positive_seconds};
use super::launched::{
    check_added_arguments, check_environments, check_files, environment, measurement,
    refuse_own_label, this_program,
};
use super::numbers::positive;
use crate::output::Destination;
use crate::result::{Host, Runner};
use crate::resume::check_size;
use crate::start::FURTHEST;
use crate::sweep::{OWN_LABELS, Sweep, SweepEnvironment};

#[derive(Debug, Args)]
#[command(
    mut_arg("dir", |arg| arg.help("Create a directory for each instance in DIR")),
    mut_arg("json", |arg| arg
        .help("Write the results as a JSON array to this file")
        .required(true)),
    mut_arg("quiet", |arg| arg.help("Print no progress and no table")),
)]
pub(super) struct SweepArgs {
    /// Run at most K instances concurrently, for each K in turn
    #[arg(long, required = true, value_delimiter = ',', value_name = "K,K,...", value_parser = positive::<NonZeroU32>)]
    concurrency: Vec<NonZeroU32>,

    /// Instances per environment and concurrency
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroU32>)]
    count: NonZeroU32,

    /// Command that starts an instance in environment ENV; {args} is replaced by the measurement's
    /// arguments, {dir}, {instance}, {concurrency} and {env} by their values; an empty COMMAND is
    /// wbench itself; repeatable [default: native=]
    #[arg(long = "launch", value_name = "ENV=COMMAND", value_parser = environment)]
    launchers: Vec<SweepEnvironment>,

    /// How instances follow each other
    #[arg(long, value_enum, default_value_t, value_name = "RUNNER")]
    runner: Runner,

    #[command(flatten)]
    dir: DirArgs,

    #[command(flatten)]
    json: JsonArgs,

    #[command(flatten)]
    resume: ResumeArgs,

    /// Terminate an instance this many seconds after its start [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    timeout: Option<Duration>,

    /// Launch instances this many seconds before their common start [default: from a trial run]
    #[arg(long, value_name = "SECONDS", value_parser = lead)]
    lead: Option<Duration>,

    /// Run even if disk space or memory are too small for all instances
    #[arg(long)]
    overcommit: bool,

    #[command(flatten)]
    label: LabelArgs,

    #[command(flatten)]
    quiet: QuietArgs,

    /// The measurement: a test with its options
    #[arg(last = true, required = true, value_name = "MEASUREMENT")]
    measurement: Vec<String>,
}

/// A sweep to run.
#[derive(Debug)]
pub struct SweepJob {
    /// What to run.
    pub sweep: Sweep,
    /// Where the results are written.
    pub json: Destination,
    /// Resume the sweep in the result file.
    pub resume: bool,
    /// How long before their common start instances are launched; None to use a trial run.
    pub lead: Option<Duration>,
    /// Run even if disk space or memory are too small.
    pub overcommit: bool,
    /// Print no progress and no table.
    pub quiet: bool,
}

impl SweepArgs {
    pub(super) fn into_job(self) -> Result<SweepJob> {
        let count = self.count.get();
        let concurrency: Vec<u32> = self.concurrency.iter().map(|k| k.get()).collect();
        for (i, &instances) in concurrency.iter().enumerate() {
            ensure!(
                !concurrency[..i].contains(&instances),
                "--concurrency lists {instances} twice"
            );
            ensure!(
                instances <= count,
                "--concurrency {instances} exceeds --count {count}: raise --count"
            );
        }
        let environments = match self.launchers.is_empty() {
            true => vec![environment("native=")?],
            false => self.launchers,
        };
        check_environments(&environments)?;
        let labels = self.label.labels();
        labels.keys().try_for_each(|key| refuse_own_label(key))?;
        let sweep = Sweep {
            measurement: measurement(self.measurement)?,
            environments,
            concurrency,
            count,
            runner: self.runner,
            dir: self.dir.dir,
            timeout: self.timeout,
            labels,
            own_labels: &OWN_LABELS,
            keeps_files: false,
            program: this_program()?,
            host: Host::default(),
        };
        check_size(
            sweep.size(),
            "lower --count, or split the sweep by environment and concurrency",
        )?;
        check_files(&sweep)?;
        check_added_arguments(&sweep)?;
        Ok(SweepJob {
            sweep,
            json: self.json.json.context("missing --json")?,
            resume: self.resume.resume,
            lead: self.lead,
            overcommit: self.overcommit,
            quiet: self.quiet.quiet,
        })
    }
}

pub(super) fn lead(typed: &str) -> Result<Duration> {
    let lead = positive_seconds(typed)?;
    ensure!(
        lead <= FURTHEST,
        "expected at most {} seconds, the furthest common start that an \
         instance waits for",
        FURTHEST.as_secs()
    );
    Ok(lead)
}
