//! Concurrent instances of a measurement: which ones run, in which order, by which commands.
//!
//! For each concurrency, and within it for each environment, a sweep runs `count` instances,
//! `concurrency` of them at a time. An instance is a process of a launcher's command; its result is
//! what that process prints.

mod command;
pub mod directory;
mod instance;
pub mod launcher;
mod outcome;
pub mod process;
pub mod resources;
mod resume;
pub mod scheduler;
pub mod summary;
mod token;
mod trial;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::plan::{FileHandling, RunPlan};
use crate::result::{Host, Launch, Runner, Tool};
use launcher::Launcher;

pub use command::LaunchParams;
pub use instance::{Batch, Instance};

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
    pub environments: Vec<SweepEnvironment>,
    /// Numbers of concurrent instances, in order of execution.
    pub concurrency: Vec<u32>,
    /// Number of instances per environment and concurrency.
    pub count: u32,
    /// How instances are scheduled.
    pub runner: Runner,
    /// Run of each instance.
    pub measurement: RunTemplate,
    /// Parent of the directories of the instances.
    pub dir: PathBuf,
    /// Time limit of an instance from its start; a slower one is terminated.
    pub timeout: Option<Duration>,
    /// Labels of all results, in addition to those of the measurement and `own_labels`.
    pub labels: BTreeMap<String, String>,
    /// Which of [`OWN_LABELS`] the results have.
    pub own_labels: &'static [&'static str],
    /// Whether instances leave the test files in their directory for the next one.
    pub keeps_files: bool,
    /// Path of this program.
    pub program: String,
    /// Host of this program; unknown until the sweep starts.
    pub host: Host,
}

/// An environment in which instances run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepEnvironment {
    /// Value of the label `env`.
    pub name: String,
    /// Starts an instance in this environment.
    pub launcher: Launcher,
}

/// The run of each instance: arguments in which placeholders are filled in.
#[derive(Debug, Clone)]
pub struct RunTemplate {
    /// Arguments, as typed.
    pub args: Vec<String>,
    /// Plan that the arguments describe.
    pub plan: RunPlan,
    /// Handling of the test files (file I/O).
    pub files: FileHandling,
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
        let own = OWN_LABELS.into_iter().zip(values);
        let own = own
            .filter(|(label, _)| self.own_labels.contains(label))
            .map(|(label, value)| (label.to_owned(), value));
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
}
