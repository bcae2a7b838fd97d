//! Which results of an earlier part of a sweep count.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};

use super::{Instance, Sweep};
use crate::result::{Launch, RunResult, Status, Workload};
use crate::resume::{Configuration, check_possible};

impl Sweep {
    /// Returns the results of an earlier part of this sweep that count: the complete ones, each
    /// instance once. Failed instances run again. Fails if a result belongs to another sweep.
    pub fn done_before(&self, found: Vec<RunResult>) -> Result<Vec<RunResult>> {
        let mut seen = HashSet::new();
        let mut kept = Vec::with_capacity(found.len());
        for result in found {
            let instance = self.instance_of(&result)?;
            if result.status == Status::Complete && seen.insert(instance) {
                kept.push(result);
            }
        }
        Ok(kept)
    }

    /// Returns the instance of a result; names the difference if it belongs to another sweep.
    pub fn instance_of(&self, result: &RunResult) -> Result<Instance> {
        check_possible(result)?;
        let launch = result.launch.as_ref();
        let found = launch.and_then(|launch| Some((launch, self.find_instance(result, launch)?)));
        let (launch, instance) = found.with_context(|| {
            format!(
                "it contains a result of another sweep, with labels {:?}",
                result.labels
            )
        })?;
        let now = self.launch(instance);
        ensure!(
            (launch.runner, launch.count) == (now.runner, now.count),
            "{} was run with --count {} and runner {:?}, not {} and {:?}",
            self.name(instance),
            launch.count,
            launch.runner,
            now.count,
            now.runner
        );
        self.check_launch(result, launch, instance)?;
        Ok(instance)
    }

    /// Fails if a result was launched in another way than this instance is now.
    pub fn check_launch(
        &self,
        result: &RunResult,
        launch: &Launch,
        instance: Instance,
    ) -> Result<()> {
        let now = self.launch(instance);
        let env = self.env(instance);
        for (what, then, now) in [
            ("launcher", &launch.command, &now.command),
            ("measurement", &launch.measurement, &now.measurement),
        ] {
            ensure!(
                then == now,
                "the {what} of {env} has changed from '{then}' to '{now}'"
            );
        }
        self.check_configuration(result, launch, instance)
    }

    fn find_instance(&self, result: &RunResult, launch: &Launch) -> Option<Instance> {
        let name = result.labels.get("env")?;
        let env = self.environments.iter().position(|env| env.name == *name)?;
        let (concurrency, number) = (launch.concurrency, launch.instance);
        let known = self.concurrency.contains(&concurrency) && (1..=self.count).contains(&number);
        known.then_some(Instance {
            env,
            concurrency,
            number,
        })
    }

    /// Checks that the configuration of the sweep is unchanged. An instance of a launcher may run on
    /// any host, with any program; a complete result of this program itself must match as well.
    fn check_configuration(
        &self,
        result: &RunResult,
        launch: &Launch,
        instance: Instance,
    ) -> Result<()> {
        let labels = self.labels(instance);
        let workload = Workload::of(&self.measurement.plan);
        let now = self.launch(instance);
        let now = Configuration {
            tool: now.tool.as_ref(),
            host: now.host.as_ref(),
            workload: &workload,
            labels: &labels,
            dir: None,
        };
        let of_sweep = Configuration {
            tool: launch.tool.as_ref(),
            host: launch.host.as_ref(),
            workload: &result.workload,
            labels: &result.labels,
            dir: None,
        };
        let name = self.name(instance);
        of_sweep.check_unchanged(&now, &name)?;
        // A run of a duet may use only a part of the host's CPUs.
        let is_bound = result.trial.as_ref().is_some_and(|run| run.cpus.is_some());
        if launch.command.is_empty() && result.status == Status::Complete && !is_bound {
            let own = Configuration {
                tool: Some(&result.tool),
                host: Some(&result.host),
                ..of_sweep
            };
            own.check_unchanged(&now, &name)?;
        }
        Ok(())
    }
}
