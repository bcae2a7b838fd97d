//! The words of `wbench sweep`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::common::{label, positive_seconds};
use super::{Cli, Command};
use crate::output::Destination;
use crate::plan::{FileHandling, Test};
use crate::result::Runner;
use crate::sweep::launcher::{Launcher, Place, names_option};
use crate::sweep::{Environment, Instance, Measurement, OWN_LABELS, Sweep};

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// Instances at a time, one number after the other
    #[arg(long, required = true, value_delimiter = ',', value_name = "K,K,...")]
    concurrency: Vec<NonZeroU32>,

    /// Instances in all, for each environment and concurrency
    #[arg(long, value_name = "N")]
    count: NonZeroU32,

    /// The command that starts an instance in an environment, with {args} where the measurement's
    /// words go, and {dir} {instance} {concurrency} {env}; nothing for this program itself. May be
    /// repeated [default: native=]
    #[arg(long = "launch", value_name = "ENV=COMMAND", value_parser = environment)]
    launchers: Vec<Environment>,

    /// Which instances start together
    #[arg(long, value_enum, default_value_t, value_name = "RUNNER")]
    runner: Runner,

    /// Where each instance gets a folder of its own
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    dir: PathBuf,

    /// Write the results to this file, as one array
    #[arg(long, value_name = "FILE")]
    json: String,

    /// Go on with what is missing in the file, or failed
    #[arg(long)]
    resume: bool,

    /// End an instance that takes longer, counted from its start [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    timeout: Option<Duration>,

    /// Launch instances so long before they start together [default: as a trial suggests]
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    lead: Option<Duration>,

    /// Go on where disk or memory are too small for so many instances
    #[arg(long)]
    overcommit: bool,

    /// A label for all results, such as host=a; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// Print no table and no progress
    #[arg(long, short)]
    quiet: bool,

    /// What each instance does: cpu, memory or fileio, and options of these
    #[arg(last = true, required = true, value_name = "MEASUREMENT")]
    measurement: Vec<String>,
}

/// A sweep, and what becomes of it.
#[derive(Debug)]
pub struct SweepJob {
    /// What is to be run.
    pub sweep: Sweep,
    /// Where the results go.
    pub json: Destination,
    /// What is there already counts.
    pub resume: bool,
    /// How long before a common start instances are launched; None for what a trial suggests.
    pub lead: Option<Duration>,
    /// Disk and memory may be too small.
    pub overcommit: bool,
    /// No table and no progress.
    pub quiet: bool,
}

impl SweepArgs {
    pub(super) fn into_job(self) -> Result<SweepJob> {
        let count = self.count.get();
        let concurrency: Vec<u32> = self.concurrency.iter().map(|k| k.get()).collect();
        for (i, &many) in concurrency.iter().enumerate() {
            ensure!(
                !concurrency[..i].contains(&many),
                "--concurrency has {many} twice"
            );
            ensure!(
                many <= count,
                "--concurrency {many} needs as many instances, and --count is {count}"
            );
        }
        let environments = match self.launchers.is_empty() {
            true => vec![environment("native=")?],
            false => self.launchers,
        };
        for (i, env) in environments.iter().enumerate() {
            let twice = environments[..i].iter().any(|other| other.name == env.name);
            ensure!(!twice, "--launch names the environment {} twice", env.name);
        }
        for (key, _) in &self.labels {
            refuse_own_label(key)?;
        }
        let program = std::env::current_exe().context("finding this program's file")?;
        let sweep = Sweep {
            measurement: measurement(self.measurement)?,
            environments,
            concurrency,
            count,
            runner: self.runner,
            dir: self.dir,
            timeout: self.timeout,
            labels: self.labels.into_iter().collect(),
            program: text(program)?,
        };
        check_files(&sweep)?;
        check_together(&sweep)?;
        Ok(SweepJob {
            sweep,
            json: Destination::from(self.json.as_str()),
            resume: self.resume,
            lead: self.lead,
            overcommit: self.overcommit,
            quiet: self.quiet,
        })
    }
}

fn environment(typed: &str) -> Result<Environment> {
    let (name, command) = typed.split_once('=').with_context(|| {
        format!(
            "'{typed}' is no launcher: ENV=COMMAND is accepted, such as docker='docker run ...'"
        )
    })?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    ensure!(
        !name.is_empty() && name.chars().all(is_plain),
        "'{name}' is no name of an environment: letters, digits, '.', '_' and '-' are accepted"
    );
    Ok(Environment {
        name: name.to_owned(),
        launcher: Launcher::new(command)?,
    })
}

fn text(path: PathBuf) -> Result<String> {
    path.into_os_string()
        .into_string()
        .map_err(|path| anyhow::anyhow!("{path:?} is not UTF-8, and can't be put into commands"))
}

fn refuse_own_label(key: &str) -> Result<()> {
    ensure!(
        !OWN_LABELS.contains(&key),
        "--label {key}=...: the sweep sets this label itself, for each instance"
    );
    Ok(())
}

/// What words would make this program do.
fn understood(words: Vec<String>) -> Result<Command> {
    let words = ["wbench".to_owned()].into_iter().chain(words);
    Cli::of(words.map(Into::into).collect())?.into_command()
}

/// Understands the words as this program will in each instance.
fn measurement(words: Vec<String>) -> Result<Measurement> {
    let example = Place {
        env: "env",
        concurrency: 1,
        instance: 1,
        dir: ".",
    };
    let filled = words
        .iter()
        .map(|word| example.fill(word, None).into_owned());
    let command = understood(filled.collect())?;
    let Command::Measure {
        plan,
        files,
        output,
    } = command
    else {
        bail!(
            "a sweep runs a measurement: cpu, memory or fileio, not '{}'",
            words.join(" ")
        );
    };
    for (option, is_given) in [
        ("--json", output.json.is_some()),
        ("--quiet", output.quiet),
        ("--start-at", plan.start_at.is_some()),
        ("--format", names_option(&words, "--format")),
    ] {
        ensure!(
            !is_given,
            "leave {option} out of the measurement: the sweep says it to each instance"
        );
    }
    plan.labels
        .keys()
        .try_for_each(|key| refuse_own_label(key))?;
    ensure!(
        files != FileHandling::MakeAndKeep,
        "leave --keep out of the measurement: the folder of an instance is removed when it ends"
    );
    Ok(Measurement {
        words,
        plan: *plan,
        files,
    })
}

/// Fails where an instance would look for files in a folder that is empty.
fn check_files(sweep: &Sweep) -> Result<()> {
    let only_runs = matches!(sweep.measurement.plan.test, Test::Fileio(_))
        && sweep.measurement.files == FileHandling::AsTheyAre;
    ensure!(
        !only_runs || sweep.environments.iter().all(|env| sweep.has_own_dir(env)),
        "each instance has a folder of its own, which is empty: leave 'run' out of the measurement, \
         so that it makes its files, or name prepared ones with --dir in it"
    );
    Ok(())
}

/// Fails where the words that the sweep adds don't go with those of the measurement.
fn check_together(sweep: &Sweep) -> Result<()> {
    let first = Instance {
        env: 0,
        concurrency: 1,
        number: 1,
    };
    let args = sweep.args(first, ".", None);
    understood(args).map(drop)
}
