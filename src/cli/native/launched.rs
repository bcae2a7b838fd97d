//! What `wbench sweep` and `wbench trial` have in common: environments, and the measurement that
//! instances run.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::options::ONE_RUN;
use super::{Action, Cli};
use crate::plan::{FileHandling, Test};
use crate::sweep::launcher::{Launcher, Placeholders, names_option};
use crate::sweep::{
    Instance, LaunchParams, NONCE_LABEL, OWN_LABELS, RunTemplate, Sweep, SweepEnvironment,
};

/// Parses `ENV=COMMAND`.
pub(super) fn environment(typed: &str) -> Result<SweepEnvironment> {
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

/// Fails if two environments have the same name.
pub(super) fn check_environments(environments: &[SweepEnvironment]) -> Result<()> {
    for (i, env) in environments.iter().enumerate() {
        let twice = environments[..i].iter().any(|other| other.name == env.name);
        ensure!(!twice, "--launch defines environment {} twice", env.name);
    }
    Ok(())
}

/// Returns the path of this program.
pub(super) fn this_program() -> Result<String> {
    let path: PathBuf = std::env::current_exe().context("cannot find the path of this program")?;
    path.into_os_string().into_string().map_err(|path| {
        anyhow::anyhow!(
            "the path of this program, {path:?}, is not UTF-8: install it under another name"
        )
    })
}

/// Fails if a label is one that each instance gets.
pub(super) fn refuse_own_label(key: &str) -> Result<()> {
    ensure!(
        !OWN_LABELS.contains(&key) && key != NONCE_LABEL,
        "--label {key}=... is reserved: each instance gets its own; use another key"
    );
    Ok(())
}

/// Parses arguments as an instance will.
fn parse(args: Vec<String>) -> Result<Action> {
    let args = ["wbench".to_owned()].into_iter().chain(args);
    Cli::of(args.map(Into::into).collect())?.into_action()
}

/// Parses and checks the measurement.
pub(super) fn measurement(args: Vec<String>) -> Result<RunTemplate> {
    let example = Placeholders {
        env: "env",
        concurrency: 1,
        instance: 1,
        dir: ".",
        cpus: None,
    };
    let filled = args.iter().map(|arg| example.fill(arg, None).into_owned());
    let command = parse(filled.collect())?;
    if matches!(command, Action::Series(_)) {
        bail!("invalid measurement '{}': {ONE_RUN}", args.join(" "));
    }
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
            "remove {option} from the measurement: each instance gets its own"
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
pub(super) fn check_files(sweep: &Sweep) -> Result<()> {
    let only_runs = sweep.measurement.plan.files.is_some()
        && sweep.measurement.files == FileHandling::AsTheyAre;
    ensure!(
        !only_runs || sweep.environments.iter().all(|env| sweep.has_own_dir(env)),
        "the directory of each instance is empty: remove 'run' from the measurement, so that it \
         creates its files, or add --dir with prepared files to it"
    );
    Ok(())
}

/// Fails if the arguments that each instance gets contradict those of the measurement.
pub(super) fn check_added_arguments(sweep: &Sweep) -> Result<()> {
    let first = Instance {
        env: 0,
        concurrency: 1,
        number: 1,
    };
    let args = sweep.args(first, ".", &LaunchParams::new(None));
    parse(args).map(drop)
}
