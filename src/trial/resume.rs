//! Which results of an earlier part of a trial count.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::Trial;
use super::observations::Block;
use crate::format::count;
use crate::result::{RunResult, TrialRun};
use crate::resume::check_possible;
use crate::sweep::Instance;

impl Trial {
    /// Returns the results of an earlier part of this trial that count: those of whole blocks, in
    /// order. A run that failed counts, as its block is dropped and not repeated.
    ///
    /// Fails if a result belongs to another trial.
    pub fn whole_blocks(&self, found: Vec<RunResult>) -> Result<Vec<RunResult>> {
        let mut blocks: BTreeMap<u32, BTreeMap<usize, RunResult>> = BTreeMap::new();
        for result in found {
            let (instance, position) = self.check(&result)?;
            let block = blocks.entry(position.block).or_default();
            block.entry(instance.env).or_insert(result);
        }
        // The last block is incomplete if the trial was killed while it was stored.
        let environments = self.sweep.environments.len();
        if let Some(last) = blocks.last_entry()
            && last.get().len() < environments
        {
            last.remove();
        }
        if let Some((number, block)) = blocks.iter().find(|(_, block)| block.len() < environments) {
            bail!(
                "block {number} has results of {}, not of {environments}",
                count(block.len() as u64, "environment")
            );
        }
        let results: Vec<_> = blocks
            .into_values()
            .flat_map(BTreeMap::into_values)
            .collect();
        self.check_order(&results)?;
        Ok(results)
    }

    /// Fails unless all results have the positions that one seed gives, and that of the plan if it
    /// has one.
    fn check_order(&self, results: &[RunResult]) -> Result<()> {
        let mut seed = self.seed;
        for result in results {
            let (instance, position) = self.check(result)?;
            let expected = *seed.get_or_insert(position.seed);
            ensure!(
                position.session <= self.sessions,
                "it has {} sessions: expected --sessions {0} or more",
                position.session
            );
            ensure!(
                position.seed == expected,
                "its order has the seed {}, not {expected}",
                position.seed
            );
            let planned = self.position(expected, position.session, instance);
            ensure!(
                *position == planned,
                "block {} of {} had the position {position:?}, not {planned:?}",
                position.block,
                self.sweep.env(instance),
            );
        }
        Ok(())
    }

    /// Returns the block with these results, in the order of the environments.
    pub fn block(&self, results: &[RunResult]) -> Result<Block> {
        let first = results.first().and_then(|result| result.trial.as_ref());
        let first = first.context("no results")?;
        ensure!(
            results.len() == self.sweep.environments.len(),
            "{} of {} results",
            results.len(),
            self.sweep.environments.len()
        );
        let results: Vec<_> = results.iter().collect();
        Ok(Block::of(
            first.block,
            first.session,
            &results,
            &self.question,
        ))
    }

    /// Returns which run of this trial a result belongs to; names the difference if it belongs to
    /// another trial.
    fn check<'a>(&self, result: &'a RunResult) -> Result<(Instance, &'a TrialRun)> {
        check_possible(result)?;
        let (Some(position), Some(launch)) = (&result.trial, &result.launch) else {
            bail!("it contains a result that is not part of a trial");
        };
        let name = result.labels.get("env").map_or("", String::as_str);
        let env = self
            .sweep
            .environments
            .iter()
            .position(|env| env.name == name);
        let env = env.with_context(|| format!("it contains results of environment '{name}'"))?;
        let instance = Instance {
            env,
            concurrency: self.sweep.most_concurrent(),
            number: position.block,
        };
        self.sweep.check_launch(result, launch, instance)?;
        Ok((instance, position))
    }
}
