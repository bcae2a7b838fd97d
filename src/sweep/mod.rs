//! Many instances of a measurement at once: what is to be run, in which order, by which commands.
//!
//! For each concurrency, and within it for each environment, `count` instances are run, so many at
//! a time. An instance is a process of a launcher's command, and its result is what that process
//! prints.

pub mod digest;
pub mod folders;
pub mod launcher;
pub mod outcome;
pub mod pool;
pub mod process;
pub mod resume;
pub mod space;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::plan::{FileHandling, RunPlan, Test};
use crate::result::{Launch, Runner};
use crate::start::StartAt;
use launcher::{Launcher, Place, names_option};

/// The labels by which `compare` finds an instance's place.
pub const OWN_LABELS: [&str; 3] = ["env", "concurrency", "instance"];

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Where instances run, in this order.
    pub environments: Vec<Environment>,
    /// Instances at a time, one number after the other.
    pub concurrency: Vec<u32>,
    /// Instances of each environment and concurrency.
    pub count: u32,
    /// How they follow each other.
    pub runner: Runner,
    /// What each does.
    pub measurement: Measurement,
    /// Where their folders are made.
    pub dir: PathBuf,
    /// An instance that takes longer, from its start, is ended.
    pub timeout: Option<Duration>,
    /// Labels of all results, beside those of the measurement and [`OWN_LABELS`].
    pub labels: BTreeMap<String, String>,
    /// This program.
    pub program: String,
}

/// Where instances run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The value of the label `env`.
    pub name: String,
    /// What starts an instance there.
    pub launcher: Launcher,
}

/// What each instance does.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// The words, as typed.
    pub words: Vec<String>,
    /// What they mean.
    pub plan: RunPlan,
    /// What becomes of the files (file I/O).
    pub files: FileHandling,
}

/// One instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// The place of its environment in [`Sweep::environments`].
    pub env: usize,
    /// How many run at a time with it.
    pub concurrency: u32,
    /// Its number, from 1.
    pub number: u32,
}

/// All instances of one environment and one concurrency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The place of the environment in [`Sweep::environments`].
    pub env: usize,
    /// Instances at a time.
    pub concurrency: u32,
    /// The instances, in the order in which they start.
    pub instances: Vec<Instance>,
}

impl Sweep {
    /// All there is to do, in order. Environments take turns within a concurrency, so that what
    /// changes slowly, as a machine that warms up, meets all of them alike.
    pub fn batches(&self) -> Vec<Batch> {
        let envs = 0..self.environments.len();
        let each = self
            .concurrency
            .iter()
            .flat_map(|&concurrency| envs.clone().map(move |env| (concurrency, env)));
        each.map(|(concurrency, env)| Batch {
            env,
            concurrency,
            instances: (1..=self.count)
                .map(|number| Instance {
                    env,
                    concurrency,
                    number,
                })
                .collect(),
        })
        .collect()
    }

    /// The name of an instance's environment.
    pub fn env(&self, instance: Instance) -> &str {
        &self.environments[instance.env].name
    }

    /// An instance in words.
    pub fn name(&self, instance: Instance) -> String {
        let Instance {
            concurrency,
            number,
            ..
        } = instance;
        format!(
            "instance {number} of {} at {concurrency}",
            self.env(instance)
        )
    }

    /// The labels of an instance.
    pub fn labels(&self, instance: Instance) -> BTreeMap<String, String> {
        let values = [
            self.env(instance).to_owned(),
            instance.concurrency.to_string(),
            instance.number.to_string(),
        ];
        let own = OWN_LABELS.into_iter().map(Into::into).zip(values);
        let measured = self.measurement.plan.labels.clone();
        let all = measured.into_iter().chain(self.labels.clone());
        all.chain(own).collect()
    }

    /// What an instance's result says of how it was started.
    pub fn launch(&self, instance: Instance) -> Launch {
        Launch {
            command: self.environments[instance.env].launcher.typed().to_owned(),
            measurement: self.measurement.typed(),
            runner: self.runner,
            concurrency: instance.concurrency,
            instance: instance.number,
            count: self.count,
        }
    }

    /// Some launcher, or the measurement, needs a folder for each instance.
    pub fn needs_folders(&self) -> bool {
        self.environments.iter().any(|env| {
            let gets_dir = matches!(self.measurement.plan.test, Test::Fileio(_));
            let named = self
                .measurement
                .words
                .iter()
                .any(|word| word.contains("{dir}"));
            named || env.launcher.mentions("{dir}") || gets_dir && !self.has_own_dir(env)
        })
    }

    /// The files of this environment's instances lie where its user has said.
    pub fn has_own_dir(&self, env: &Environment) -> bool {
        env.launcher.names_option("--dir") || names_option(&self.measurement.words, "--dir")
    }

    /// The words that this program gets to do an instance's measurement.
    pub fn args(&self, instance: Instance, dir: &str, start: Option<StartAt>) -> Vec<String> {
        let env = &self.environments[instance.env];
        let place = self.place(instance, dir);
        let typed = &self.measurement.words;
        let mut args: Vec<String> = typed
            .iter()
            .map(|word| place.fill(word, None).into_owned())
            .collect();
        let mut add = |option: &str, value: String| args.extend([option.to_owned(), value]);
        if matches!(self.measurement.plan.test, Test::Fileio(_)) && !self.has_own_dir(env) {
            add("--dir", dir.to_owned());
        }
        for (key, value) in self.labels(instance) {
            add("--label", format!("{key}={value}"));
        }
        if let Some(start) = start {
            add("--start-at", start.to_string());
        }
        add("--json", "-".to_owned());
        args.push("--quiet".to_owned());
        args
    }

    /// The command that runs an instance.
    pub fn command(
        &self,
        instance: Instance,
        dir: &str,
        start: Option<StartAt>,
    ) -> Result<Vec<String>> {
        let env = &self.environments[instance.env];
        let args = self.args(instance, dir, start);
        env.launcher
            .command(&self.program, &args, &self.place(instance, dir))
            .with_context(|| self.name(instance))
    }

    fn place<'a>(&'a self, instance: Instance, dir: &'a str) -> Place<'a> {
        Place {
            env: self.env(instance),
            concurrency: instance.concurrency,
            instance: instance.number,
            dir,
        }
    }
}

impl Measurement {
    /// The words in a line, quoted where they need it.
    pub fn typed(&self) -> String {
        shlex::try_join(self.words.iter().map(String::as_str)).unwrap_or_default()
    }
}
