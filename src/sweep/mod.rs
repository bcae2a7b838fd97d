//! Many instances of a measurement at once: what is to be run, in which order, by which commands.
//!
//! For each concurrency, and within it for each environment, `count` instances are run, so many at
//! a time. An instance is a process of a launcher's command, and its result is what that process
//! prints.

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

use crate::plan::{FileHandling, RunPlan, Test};
use crate::result::{Host, Launch, Runner, Tool};
use crate::start::StartAt;
use launcher::{Launcher, Place, names_option};

/// The labels by which `compare` finds an instance's place.
pub const OWN_LABELS: [&str; 3] = ["env", "concurrency", "instance"];

/// The label by which a result shows which launch it is of: a value that no other launch has. It is
/// removed when the result is accepted.
///
/// A label gets through every launcher that hands `{args}` on, and is repeated in the result by
/// every version of this program; environment variables end at containers and other hosts.
pub const NONCE_LABEL: &str = "nonce";

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
    /// The machine that this program runs on; unknown until the sweep begins.
    pub host: Host,
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

/// One launch of an instance: what only it is given.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Value of [`NONCE_LABEL`].
    pub nonce: String,
    /// When it is to start, if together with others.
    pub start_at: Option<StartAt>,
}

impl Ticket {
    /// A ticket that no other launch has.
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
    /// The place of the environment in [`Sweep::environments`].
    pub env: usize,
    /// Instances at a time.
    pub concurrency: u32,
}

impl Instance {
    /// The batch that it belongs to.
    pub fn batch(self) -> Batch {
        Batch {
            env: self.env,
            concurrency: self.concurrency,
        }
    }
}

impl Sweep {
    /// All batches, in order. Environments take turns within a concurrency, so that slow drift, as
    /// of a machine that warms up, affects all of them alike.
    pub fn batches(&self) -> impl Iterator<Item = Batch> {
        let envs = 0..self.environments.len();
        let each = self
            .concurrency
            .iter()
            .flat_map(move |&concurrency| envs.clone().map(move |env| (concurrency, env)));
        each.map(|(concurrency, env)| Batch { env, concurrency })
    }

    /// The instances of a batch, in the order in which they start.
    pub fn instances(&self, batch: Batch) -> impl Iterator<Item = Instance> + use<> {
        (1..=self.count).map(move |number| Instance {
            env: batch.env,
            concurrency: batch.concurrency,
            number,
        })
    }

    /// Number of instances of all batches.
    pub fn size(&self) -> u64 {
        let batches = self.concurrency.len() as u64 * self.environments.len() as u64;
        batches.saturating_mul(self.count.into())
    }

    /// The largest number of instances that run concurrently.
    pub fn most_concurrent(&self) -> u32 {
        self.concurrency.iter().copied().max().unwrap_or(1)
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
            host: Some(self.host.clone()),
            tool: Some(Tool::this()),
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
    pub fn args(&self, instance: Instance, dir: &str, ticket: &Ticket) -> Vec<String> {
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
        add("--label", format!("{NONCE_LABEL}={}", ticket.nonce));
        if let Some(start) = ticket.start_at {
            add("--start-at", start.to_string());
        }
        add("--json", "-".to_owned());
        args.push("--quiet".to_owned());
        args
    }

    /// The command that runs an instance.
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
    /// The words in a line, quoted where they need it.
    pub fn typed(&self) -> String {
        shlex::try_join(self.words.iter().map(String::as_str)).unwrap_or_default()
    }
}

/// 16 hexadecimal digits that are not used twice: from a hash whose keys the kernel's random number
/// generator made, and which changes with each call.
fn token() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_comes_twice() {
        let tokens: std::collections::BTreeSet<_> = (0..10_000).map(|_| token()).collect();
        assert_eq!(tokens.len(), 10_000);
    }
}
