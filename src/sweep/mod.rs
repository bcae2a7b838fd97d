//! Concurrent instances of a measurement: which ones run, in which order, by which commands.
//!
//! For each concurrency, and within it for each environment, a sweep runs `count` instances,
//! `concurrency` of them at a time. An instance is a process of a launcher's command; its result is
//! what that process prints.

pub mod digest;
pub mod directory;
pub mod folders;
pub mod launcher;
pub mod outcome;
pub mod pool;
pub mod process;
pub mod resume;
pub mod space;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::plan::{FileHandling, RunPlan};
use crate::result::{Host, Launch, Runner, Tool};
use crate::start::StartAt;
use launcher::{Launcher, Place, names_option};

/// Labels by which `compare` identifies an instance.
pub const OWN_LABELS: [&str; 3] = ["env", "concurrency", "instance"];

/// Label that ties a result to its launch: its value is unique to each launch. It is removed when
/// the result is accepted.
///
/// A label passes through every launcher that forwards `{args}`, and every version of this program
/// repeats it in the result; environment variables do not reach containers and other hosts.
pub const NONCE_LABEL: &str = "nonce";

/// Plan of a sweep.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Environments, in order of execution.
    pub environments: Vec<Environment>,
    /// Numbers of concurrent instances, in order of execution.
    pub concurrency: Vec<u32>,
    /// Number of instances per environment and concurrency.
    pub count: u32,
    /// How instances are scheduled.
    pub runner: Runner,
    /// Measurement of each instance.
    pub measurement: Measurement,
    /// Parent of the directories of the instances.
    pub dir: PathBuf,
    /// Time limit of an instance from its start; a slower one is terminated.
    pub timeout: Option<Duration>,
    /// Labels of all results, in addition to those of the measurement and [`OWN_LABELS`].
    pub labels: BTreeMap<String, String>,
    /// Path of this program.
    pub program: String,
    /// Host of this program; unknown until the sweep starts.
    pub host: Host,
}

/// An environment in which instances run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Value of the label `env`.
    pub name: String,
    /// Starts an instance in this environment.
    pub launcher: Launcher,
}

/// Measurement of each instance.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// Arguments, as typed.
    pub words: Vec<String>,
    /// Plan that the arguments describe.
    pub plan: RunPlan,
    /// Handling of the test files (file I/O).
    pub files: FileHandling,
}

/// One instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// Index of its environment in [`Sweep::environments`].
    pub env: usize,
    /// Number of instances that run concurrently with it, including itself.
    pub concurrency: u32,
    /// Number, from 1.
    pub number: u32,
}

/// Values unique to one launch of an instance.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Value of [`NONCE_LABEL`].
    pub nonce: String,
    /// Common start time, if it starts together with others.
    pub start_at: Option<StartAt>,
}

impl Ticket {
    /// Creates a ticket with a unique nonce.
    pub fn new(start_at: Option<StartAt>) -> Self {
        Self {
            nonce: token(),
            start_at,
        }
    }
}

/// All instances of one environment and one concurrency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Batch {
    /// Index of the environment in [`Sweep::environments`].
    pub env: usize,
    /// Number of concurrent instances.
    pub concurrency: u32,
}

impl Instance {
    /// Returns the batch of the instance.
    pub fn batch(self) -> Batch {
        Batch {
            env: self.env,
            concurrency: self.concurrency,
        }
    }
}

impl Sweep {
    /// Iterates over all batches in order. Environments alternate within a concurrency, so that
    /// slow drift, such as warming up, affects all of them alike.
    pub fn batches(&self) -> impl Iterator<Item = Batch> {
        let envs = 0..self.environments.len();
        let each = self
            .concurrency
            .iter()
            .flat_map(move |&concurrency| envs.clone().map(move |env| (concurrency, env)));
        each.map(|(concurrency, env)| Batch { env, concurrency })
    }

    /// Iterates over the instances of a batch in start order.
    pub fn instances(&self, batch: Batch) -> impl Iterator<Item = Instance> + use<> {
        (1..=self.count).map(move |number| Instance {
            env: batch.env,
            concurrency: batch.concurrency,
            number,
        })
    }

    /// Returns the number of instances in all batches.
    pub fn size(&self) -> u64 {
        let batches = self.concurrency.len() as u64 * self.environments.len() as u64;
        batches.saturating_mul(self.count.into())
    }

    /// Returns the largest number of concurrent instances.
    pub fn most_concurrent(&self) -> u32 {
        self.concurrency.iter().copied().max().unwrap_or(1)
    }

    /// Returns the name of an instance's environment.
    pub fn env(&self, instance: Instance) -> &str {
        &self.environments[instance.env].name
    }

    /// Describes an instance for messages.
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

    /// Returns the labels of an instance.
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

    /// Returns how an instance is started, as recorded in its result.
    pub fn launch(&self, instance: Instance) -> Launch {
        Launch {
            command: self.environments[instance.env].launcher.typed().to_owned(),
            measurement: self.measurement.typed(),
            runner: self.runner,
            concurrency: instance.concurrency,
            instance: instance.number,
            count: self.count,
            host: Some(self.host.clone()),
            tool: Some(Tool::this()),
        }
    }

    /// Whether a launcher or the measurement needs a directory for each instance.
    pub fn needs_folders(&self) -> bool {
        self.environments.iter().any(|env| {
            let gets_dir = self.measurement.plan.test.fileio().is_some();
            let named = self
                .measurement
                .words
                .iter()
                .any(|word| word.contains("{dir}"));
            named || env.launcher.mentions("{dir}") || gets_dir && !self.has_own_dir(env)
        })
    }

    /// Whether the user has chosen the directory of this environment's files.
    pub fn has_own_dir(&self, env: &Environment) -> bool {
        env.launcher.names_option("--dir") || names_option(&self.measurement.words, "--dir")
    }

    /// Returns the arguments that make this program run an instance's measurement.
    pub fn args(&self, instance: Instance, dir: &str, ticket: &Ticket) -> Vec<String> {
        let env = &self.environments[instance.env];
        let place = self.place(instance, dir);
        let typed = &self.measurement.words;
        let mut args: Vec<String> = typed
            .iter()
            .map(|word| place.fill(word, None).into_owned())
            .collect();
        let mut add = |option: &str, value: String| args.extend([option.to_owned(), value]);
        if self.measurement.plan.test.fileio().is_some() && !self.has_own_dir(env) {
            add("--dir", dir.to_owned());
        }
        for (key, value) in self.labels(instance) {
            add("--label", format!("{key}={value}"));
        }
        add("--label", format!("{NONCE_LABEL}={}", ticket.nonce));
        if let Some(start) = ticket.start_at {
            add("--start-at", start.to_string());
        }
        add("--json", "-".to_owned());
        args.push("--quiet".to_owned());
        args
    }

    /// Returns the command that starts an instance.
    pub fn command(&self, instance: Instance, dir: &str, ticket: &Ticket) -> Result<Vec<String>> {
        let env = &self.environments[instance.env];
        let args = self.args(instance, dir, ticket);
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
    /// Returns the arguments as one line, quoted if necessary.
    pub fn typed(&self) -> String {
        shlex::try_join(self.words.iter().map(String::as_str)).unwrap_or_default()
    }
}

/// Returns 16 hexadecimal digits that are not repeated: a hash whose keys come from the kernel's
/// random number generator and change with each call.
fn token() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unique() {
        let tokens: std::collections::BTreeSet<_> = (0..10_000).map(|_| token()).collect();
        assert_eq!(tokens.len(), 10_000);
    }
}
