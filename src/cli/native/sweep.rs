//! `wbench sweep`: its options.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::common::{DirArgs, JsonArgs, LabelArgs, QuietArgs, ResumeArgs, positive_seconds};
use super::numbers::positive;
use super::{Action, Cli};
use crate::output::Destination;
use crate::plan::{FileHandling, Test};
use crate::result::{Host, Runner};
use crate::resume::check_size;
use crate::start::FURTHEST;
use crate::sweep::launcher::{Launcher, Placeholders, names_option};
use crate::sweep::{
    Instance, LaunchParams, NONCE_LABEL, OWN_LABELS, RunTemplate, Sweep, SweepEnvironment,
};

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
        for (i, env) in environments.iter().enumerate() {
            let twice = environments[..i].iter().any(|other| other.name == env.name);
            ensure!(!twice, "--launch defines environment {} twice", env.name);
        }
        let labels = self.label.labels();
        labels.keys().try_for_each(|key| refuse_own_label(key))?;
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let sweep = Sweep {
            measurement: measurement(self.measurement)?,
            environments,
            concurrency,
            count,
            runner: self.runner,
            dir: self.dir.dir,
            timeout: self.timeout,
            labels,
            program: text(program)?,
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

fn lead(typed: &str) -> Result<Duration> {
    let lead = positive_seconds(typed)?;
    ensure!(
        lead <= FURTHEST,
        "expected at most {} seconds, the furthest common start that an \
         instance waits for",
        FURTHEST.as_secs()
    );
    Ok(lead)
}

fn environment(typed: &str) -> Result<SweepEnvironment> {
    let (name, command) = typed
        .split_once('=')
        .context("expected ENV=COMMAND, such as docker='docker run ...'")?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    ensure!(
        !name.is_empty() && name.chars().all(is_plain),
        "invalid environment name '{name}': expected letters, digits, '.', '_' and '-'"
    );
    Ok(SweepEnvironment {
        name: name.to_owned(),
        launcher: Launcher::new(command)?,
    })
}

fn text(path: PathBuf) -> Result<String> {
    path.into_os_string().into_string().map_err(|path| {
        anyhow::anyhow!(
            "the path of this program, {path:?}, is not UTF-8: install it under another name"
        )
    })
}

fn refuse_own_label(key: &str) -> Result<()> {
    ensure!(
        !OWN_LABELS.contains(&key) && key != NONCE_LABEL,
        "--label {key}=... is reserved: the sweep sets it for each instance; use another key"
    );
    Ok(())
}

/// Parses arguments as an instance will.
fn parse(args: Vec<String>) -> Result<Action> {
    let args = ["wbench".to_owned()].into_iter().chain(args);
    Cli::of(args.map(Into::into).collect())?.into_action()
}

/// Parses and checks the measurement.
fn measurement(args: Vec<String>) -> Result<RunTemplate> {
    let example = Placeholders {
        env: "env",
        concurrency: 1,
        instance: 1,
        dir: ".",
    };
    let filled = args.iter().map(|arg| example.fill(arg, None).into_owned());
    let command = parse(filled.collect())?;
    let Action::Measure {
        plan,
        files,
        output,
    } = command
    else {
        bail!(
            "invalid measurement '{}': expected one of {} with options",
            args.join(" "),
            Test::NAMES.join(", ")
        );
    };
    for (option, is_given) in [
        ("--json", output.json.is_some()),
        ("--quiet", output.quiet),
        ("--start-at", plan.start_at.is_some()),
        ("--format", names_option(&args, "--format")),
    ] {
        ensure!(
            !is_given,
            "remove {option} from the measurement: the sweep sets it for each instance"
        );
    }
    plan.labels
        .keys()
        .try_for_each(|key| refuse_own_label(key))?;
    ensure!(
        files != FileHandling::MakeAndKeep,
        "remove --keep from the measurement: the directory of an instance is removed when it ends"
    );
    Ok(RunTemplate {
        args,
        plan: *plan,
        files,
    })
}

/// Fails if an instance would look for files in an empty directory.
fn check_files(sweep: &Sweep) -> Result<()> {
    let only_runs = sweep.measurement.plan.files.is_some()
        && sweep.measurement.files == FileHandling::AsTheyAre;
    ensure!(
        !only_runs || sweep.environments.iter().all(|env| sweep.has_own_dir(env)),
        "the directory of each instance is empty: remove 'run' from the measurement, so that it \
         creates its files, or add --dir with prepared files to it"
    );
    Ok(())
}

/// Fails if the arguments that the sweep adds contradict those of the measurement.
fn check_added_arguments(sweep: &Sweep) -> Result<()> {
    let first = Instance {
        env: 0,
        concurrency: 1,
        number: 1,
    };
    let args = sweep.args(first, ".", &LaunchParams::new(None));
    parse(args).map(drop)
}
