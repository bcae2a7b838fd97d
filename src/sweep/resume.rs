//! What an earlier sweep has done already, and whether it was the same sweep.

use std::collections::HashSet;

use anyhow::{Result, ensure};

use super::{Instance, Sweep};
use crate::result::{RunResult, Status, Workload};

impl Sweep {
    /// The results of an earlier part of this sweep that count: the complete ones, each instance
    /// once. What failed is done again. Fails where one is of another sweep.
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

    /// The instance that a result is of; an error where it is none of this sweep, with what differs.
    pub fn instance_of(&self, result: &RunResult) -> Result<Instance> {
        let launch = result.launch.as_ref();
        let place = launch.and_then(|launch| {
            let name = result.labels.get("env")?;
            let env = self.environments.iter().position(|env| env.name == *name)?;
            let (concurrency, number) = (launch.concurrency, launch.instance);
            let of_this = self.concurrency.contains(&concurrency) && number <= self.count;
            of_this.then_some(Instance {
                env,
                concurrency,
                number,
            })
        });
        let (Some(launch), Some(instance)) = (launch, place) else {
            anyhow::bail!(
                "it has a result that is none of this sweep, with the labels {:?}",
                result.labels
            );
        };
        let now = self.launch(instance);
        let env = self.env(instance);
        for (what, then, now) in [
            ("the launcher of", &launch.command, &now.command),
            ("the measurement of", &launch.measurement, &now.measurement),
        ] {
            ensure!(then == now, "{what} {env} was '{then}', and is '{now}' now");
        }
        ensure!(
            *launch == now && result.labels == self.labels(instance),
            "--count, --runner or --label of {} were others: {} by {:?} with {:?}",
            self.name(instance),
            launch.count,
            launch.runner,
            result.labels
        );
        ensure!(
            result.workload == Workload::of(&self.measurement.plan),
            "{} measured with other parameters",
            self.name(instance)
        );
        Ok(instance)
    }
}
