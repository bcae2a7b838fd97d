//! `wbench trial`: its options.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::common::{DirArgs, JsonArgs, LabelArgs, QuietArgs, ResumeArgs, positive_seconds};
use super::launched::{
    check_added_arguments, check_environments, check_files, environment, measurement,
    refuse_own_label, this_program,
};
use super::numbers::{positive, whole};
use super::sweep::lead;
use crate::compare::metric::Metric;
use crate::output::Destination;
use crate::plan::Test;
use crate::result::{Host, Runner};
use crate::resume::check_size;
use crate::sweep::launcher::Launcher;
use crate::sweep::{RunTemplate, Sweep, SweepEnvironment};
use crate::trial::analysis::Margin;
use crate::trial::{Question, Trial, TrialLimits};

/// Suffix of the name of the baseline's copy.
const COPY: &str = "-copy";

/// The only label that a run of a trial gets: its block and position are in `trial` of the result.
const OWN_LABEL: [&str; 1] = ["env"];

#[derive(Debug, Args)]
#[command(
    mut_arg("dir", |arg| arg.help("Create a directory for the test files of each environment in DIR")),
    mut_arg("json", |arg| arg
        .help("Write the results as a JSON array to this file; - is standard output")
        .default_value("wbench-trial.json")),
    mut_arg("resume", |arg| arg.help("Resume: continue after the last block in the result file")),
    mut_arg("quiet", |arg| arg.help("Print no progress and no table")),
)]
pub(super) struct TrialArgs {
    /// Command that starts a run in environment ENV; {args} is replaced by the measurement's
    /// arguments, {dir}, {instance}, {env} and {cpus} by their values; an empty COMMAND is wbench itself;
    /// repeatable
    #[arg(long = "launch", required = true, value_name = "ENV=COMMAND", value_parser = environment)]
    launchers: Vec<SweepEnvironment>,

    /// Compare the other environments with this one [default: the first]
    #[arg(long, value_name = "ENV")]
    baseline: Option<String>,

    /// Add a copy of the baseline as one more environment; its verdict must be equivalent
    #[arg(long)]
    aa: bool,

    /// Largest difference that does not matter
    #[arg(long, default_value = "2%", value_name = "PERCENT", value_parser = Margin::parse)]
    margin: Margin,

    /// Compare these metrics: rate, bandwidth, time, p50 to p99.9, latency-mean, fsync-p99, ...
    /// [default: bandwidth, or rate if no data is moved]
    #[arg(long = "metric", value_name = "METRIC", value_delimiter = ',')]
    metrics: Vec<Metric>,

    /// Time of each run, in place of the measurement's --time and --events
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = positive_seconds)]
    run_time: Duration,

    /// Keep the limits of the measurement
    #[arg(long, conflicts_with = "run_time")]
    as_is: bool,

    /// Stop a session after N blocks, decided or not
    #[arg(long, default_value = "200", value_name = "N", value_parser = positive::<NonZeroU32>)]
    max_blocks: NonZeroU32,

    /// Start no block after this many seconds
    #[arg(long, default_value = "3600", value_name = "SECONDS", value_parser = positive_seconds)]
    max_time: Duration,

    /// Run the environments of a block at the same time, on disjoint CPUs that are exchanged at random
    #[arg(long)]
    duet: bool,

    /// In a duet, launch runs this many seconds before their common start [default: from a trial run]
    #[arg(long, requires = "duet", value_name = "SECONDS", value_parser = lead)]
    lead: Option<Duration>,

    /// Repeat the trial in N sessions, between which the environments are restarted
    #[arg(long, default_value = "1", value_name = "N", value_parser = positive::<NonZeroU32>)]
    sessions: NonZeroU32,

    /// Command that restarts the environments between two sessions
    #[arg(long, value_name = "COMMAND", value_parser = Launcher::new)]
    between: Option<Launcher>,

    /// Run each environment N times before the first block of a session; these runs are dropped
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole::<u32>)]
    warmup: u32,

    /// Seed of the random order within blocks [default: random]
    #[arg(long, value_name = "N", value_parser = whole::<u32>)]
    seed: Option<u32>,

    #[command(flatten)]
    dir: DirArgs,

    #[command(flatten)]
    json: JsonArgs,

    #[command(flatten)]
    resume: ResumeArgs,

    /// Terminate a run this many seconds after its start [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    timeout: Option<Duration>,

    /// Run even if disk space or memory are too small for all environments
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

/// A trial to run.
#[derive(Debug)]
pub struct TrialJob {
    /// What to run.
    pub trial: Trial,
    /// Where the results are written.
    pub json: Destination,
    /// Resume the trial in the result file.
    pub resume: bool,
    /// How long before their common start the runs of a duet are launched; None to use a trial run.
    pub lead: Option<Duration>,
    /// Whether the environments of a block run at the same time.
    pub is_duet: bool,
    /// Run even if disk space or memory are too small.
    pub overcommit: bool,
    /// Print no progress and no table.
    pub quiet: bool,
}

impl TrialArgs {
    pub(super) fn into_job(self) -> Result<TrialJob> {
        let mut environments = self.launchers;
        check_environments(&environments)?;
        let baseline = baseline(&environments, self.baseline.as_deref())?;
        let copy = self.aa.then_some(environments.len());
        if self.aa {
            environments.push(copy_of(&environments[baseline]));
            check_environments(&environments)?;
        }
        ensure!(
            environments.len() > 1,
            "a trial compares environments: add another --launch, or a copy of {} with --aa",
            environments[0].name
        );
        let labels = self.label.labels();
        labels.keys().try_for_each(|key| refuse_own_label(key))?;
        let typed = measurement(self.measurement)?;
        let measurement = match self.as_is {
            true => typed,
            false => with_run_time(typed, self.run_time)?,
        };
        let metrics = match self.metrics.is_empty() {
            true => vec![default_metric(&measurement.plan.test)],
            false => self.metrics,
        };
        ensure!(
            (self.sessions.get() > 1) == self.between.as_ref().is_some_and(|it| !it.is_empty()),
            "--sessions N and --between COMMAND belong together: a session differs from the one before \
             by the restart of the environments"
        );
        let together = match self.duet {
            true => environments.len() as u32,
            false => 1,
        };
        let sweep = Sweep {
            measurement,
            environments,
            concurrency: vec![together],
            count: self.max_blocks.get().saturating_mul(self.sessions.get()),
            runner: Runner::Constant,
            dir: self.dir.dir,
            timeout: self.timeout,
            labels,
            own_labels: &OWN_LABEL,
            keeps_files: true,
            program: this_program()?,
            host: Host::default(),
        };
        check_size(sweep.size(), "lower --max-blocks or --sessions")?;
        check_files(&sweep)?;
        check_added_arguments(&sweep)?;
        Ok(TrialJob {
            trial: Trial {
                sweep,
                baseline,
                copy,
                seed: self.seed,
                cpu_sets: Vec::new(),
                sessions: self.sessions.get(),
                between: self.between,
                question: Question {
                    metrics,
                    margin: self.margin,
                },
                limits: TrialLimits {
                    blocks: self.max_blocks.get(),
                    time: self.max_time,
                    warmup: self.warmup,
                },
            },
            json: self.json.json.context("missing --json")?,
            resume: self.resume.resume,
            lead: self.lead,
            is_duet: self.duet,
            overcommit: self.overcommit,
            quiet: self.quiet.quiet,
        })
    }
}

/// Returns the index of the baseline: by default, the first environment.
fn baseline(environments: &[SweepEnvironment], name: Option<&str>) -> Result<usize> {
    let Some(name) = name else {
        return Ok(0);
    };
    let found = environments.iter().position(|env| env.name == name);
    found.with_context(|| {
        let names: Vec<_> = environments.iter().map(|env| env.name.as_str()).collect();
        format!(
            "--baseline {name} is not an environment: expected one of {}",
            names.join(", ")
        )
    })
}

fn copy_of(env: &SweepEnvironment) -> SweepEnvironment {
    SweepEnvironment {
        name: env.name.clone() + COPY,
        launcher: env.launcher.clone(),
    }
}

fn default_metric(test: &Test) -> Metric {
    match test.moves_bytes() {
        true => Metric::Bandwidth,
        false => Metric::Rate,
    }
}

/// Replaces the limits of time and events. A test without such limits stays as it is.
fn with_run_time(typed: RunTemplate, run_time: Duration) -> Result<RunTemplate> {
    if !typed.plan.test.has_limits() {
        return Ok(typed);
    }
    let mut args = typed.args;
    for (name, value) in [
        ("--time", run_time.as_secs_f64().to_string()),
        ("--events", "0".to_owned()),
    ] {
        args = without_option(args, name);
        args.extend([name.to_owned(), value]);
    }
    measurement(args)
}

/// Removes an option with its value: `--time 5` and `--time=5`.
fn without_option(args: Vec<String>, name: &str) -> Vec<String> {
    let mut kept = Vec::with_capacity(args.len());
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.strip_prefix(name) {
            Some("") => _ = args.next(),
            Some(value) if value.starts_with('=') => {}
            _ => kept.push(arg),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn scaled(line: &str) -> RunTemplate {
        let typed = measurement(args(line)).unwrap();
        with_run_time(typed, Duration::from_millis(1500)).unwrap()
    }

    #[test]
    fn the_limits_of_the_measurement_are_replaced_by_the_run_time() {
        let cpu = scaled("cpu --time 300 --threads 2 --events=7 --max-prime 100");
        assert_eq!(
            cpu.args,
            args("cpu --threads 2 --max-prime 100 --time 1.5 --events 0")
        );
        assert_eq!(cpu.plan.limits.max_time_s, Some(1.5));
        assert_eq!(cpu.plan.limits.max_requests, None);
        let fileio = scaled("fileio --mode rndrd");
        assert_eq!(fileio.plan.limits.max_requests, None);
    }

    #[test]
    fn a_test_without_limits_stays_as_it_is() {
        assert_eq!(scaled("mutex --locks 5").args, args("mutex --locks 5"));
    }
}
