//! Command of an instance: the launcher with its placeholders filled in, and the arguments of the
//! measurement.

use anyhow::{Context, Result};

use super::launcher::{Placeholders, names_option};
use super::token::token;
use super::{Instance, NONCE_LABEL, RunTemplate, Sweep, SweepEnvironment};
use crate::host::CpuList;
use crate::plan::FileHandling;
use crate::start::StartAt;

/// Values unique to one launch of an instance.
#[derive(Debug, Clone)]
pub struct LaunchParams {
    /// Value of [`NONCE_LABEL`].
    pub nonce: String,
    /// Common start time; None if it starts alone.
    pub start_at: Option<StartAt>,
    /// CPUs that it is bound to; None if it may use all.
    pub cpus: Option<CpuList>,
}

impl LaunchParams {
    /// Returns parameters with a unique nonce.
    pub fn new(start_at: Option<StartAt>) -> Self {
        Self {
            nonce: token(),
            start_at,
            cpus: None,
        }
    }
}

impl Sweep {
    /// Whether a launcher or the measurement needs a directory for each instance.
    pub fn needs_directories(&self) -> bool {
        self.environments.iter().any(|env| self.uses_directory(env))
    }

    /// Whether instances in this environment use their directory.
    fn uses_directory(&self, env: &SweepEnvironment) -> bool {
        let is_mentioned = self.measurement.mentions("{dir}") || env.launcher.mentions("{dir}");
        is_mentioned || self.adds_dir(env)
    }

    /// Whether the sweep adds --keep: the test files of an instance serve the next one.
    fn adds_keep(&self, env: &SweepEnvironment) -> bool {
        let fileio = self.measurement.plan.test.fileio();
        let is_prepared = fileio.is_some_and(|params| !params.mode.creates_files())
            && self.measurement.files == FileHandling::Whole;
        self.keeps_files && is_prepared && self.uses_directory(env)
    }

    /// Whether the sweep adds --dir to the arguments of this environment's instances.
    fn adds_dir(&self, env: &SweepEnvironment) -> bool {
        self.measurement.plan.test.fileio().is_some() && !self.has_own_dir(env)
    }

    /// Whether the user has chosen the directory of this environment's files.
    pub fn has_own_dir(&self, env: &SweepEnvironment) -> bool {
        env.launcher.names_option("--dir") || names_option(&self.measurement.args, "--dir")
    }

    /// Returns the arguments that make this program run an instance's measurement.
    pub fn args(&self, instance: Instance, dir: &str, params: &LaunchParams) -> Vec<String> {
        let env = &self.environments[instance.env];
        let cpus = params.cpus.as_ref().map(CpuList::to_string);
        let placeholders = self.placeholders(instance, dir, cpus.as_deref());
        let typed = self.measurement.args.iter();
        let mut args: Vec<String> = typed
            .map(|arg| placeholders.fill(arg, None).into_owned())
            .collect();
        let mut add = |option: &str, value: String| args.extend([option.to_owned(), value]);
        if self.adds_dir(env) {
            add("--dir", dir.to_owned());
        }
        for (key, value) in self.labels(instance) {
            add("--label", format!("{key}={value}"));
        }
        add("--label", format!("{NONCE_LABEL}={}", params.nonce));
        if let Some(start) = params.start_at {
            add("--start-at", start.to_string());
        }
        add("--json", "-".to_owned());
        args.push("--quiet".to_owned());
        if self.adds_keep(env) {
            args.push("--keep".to_owned());
        }
        args
    }

    /// Returns the command that starts an instance.
    pub fn command(
        &self,
        instance: Instance,
        dir: &str,
        params: &LaunchParams,
    ) -> Result<Vec<String>> {
        let env = &self.environments[instance.env];
        let args = self.args(instance, dir, params);
        let cpus = params.cpus.as_ref().map(CpuList::to_string);
        let placeholders = self.placeholders(instance, dir, cpus.as_deref());
        env.launcher
            .command(&self.program, &args, &placeholders)
            .with_context(|| self.name(instance))
    }

    fn placeholders<'a>(
        &'a self,
        instance: Instance,
        dir: &'a str,
        cpus: Option<&'a str>,
    ) -> Placeholders<'a> {
        Placeholders {
            env: self.env(instance),
            concurrency: instance.concurrency,
            instance: instance.number,
            dir,
            cpus,
        }
    }
}

impl RunTemplate {
    /// Whether an argument contains this text.
    fn mentions(&self, text: &str) -> bool {
        self.args.iter().any(|arg| arg.contains(text))
    }

    /// Returns the arguments as one line, quoted if necessary.
    pub fn typed(&self) -> String {
        shlex::try_join(self.args.iter().map(String::as_str)).unwrap_or_default()
    }
}
