//! What a trial has observed: the values of all metrics, by block.

use anyhow::{Context, Result, ensure};

use super::Question;
use crate::compare::figures::Figures;
use crate::compare::metric::Metric;
use crate::result::{RunResult, Status};

/// Blocks in the order in which they ran.
#[derive(Debug, Clone, Default)]
pub struct Observations {
    blocks: Vec<Block>,
}

/// A block: complete, or dropped because a run failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Its number, from 1.
    pub number: u32,
    /// Session that it belongs to, from 1.
    pub session: u32,
    /// Values of the metrics of each environment, or the first failure.
    pub outcome: Result<Vec<Vec<f64>>, FailedRun>,
}

/// A run that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRun {
    /// Index of its environment.
    pub env: usize,
    /// Why it failed.
    pub reason: String,
}

impl Block {
    /// Evaluates the results of a block, one per environment, in the order of the environments.
    pub fn of(number: u32, session: u32, results: &[&RunResult], question: &Question) -> Self {
        let values = results.iter().enumerate().map(|(env, result)| {
            values(result, question).map_err(|error| FailedRun {
                env,
                reason: format!("{error:#}"),
            })
        });
        Self {
            number,
            session,
            outcome: values.collect(),
        }
    }
}

/// Returns the value of each metric of a run; fails if the run failed or has no such value.
fn values(result: &RunResult, question: &Question) -> Result<Vec<f64>> {
    ensure!(
        result.status == Status::Complete,
        "{}",
        result.error.as_deref().unwrap_or("it was interrupted")
    );
    let figures = Figures::from(result);
    let metrics = question.metrics.iter();
    metrics.map(|metric| value(*metric, &figures)).collect()
}

fn value(metric: Metric, figures: &Figures) -> Result<f64> {
    let value = metric.value(figures);
    let value = value.with_context(|| format!("its result has no {metric}"))?;
    ensure!(
        value > 0.0 && value.is_finite(),
        "its {metric} is {value}, which has no ratio"
    );
    Ok(value)
}

impl Observations {
    /// Adds the next block.
    pub fn add(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// Returns the number of the last block; 0 before the first.
    pub fn last_block(&self) -> u32 {
        self.blocks.last().map_or(0, |block| block.number)
    }

    /// Returns the number of complete blocks.
    pub fn complete(&self) -> usize {
        self.blocks.len() - self.failures().count()
    }

    /// Iterates over the dropped blocks and why each was dropped.
    pub fn failures(&self) -> impl Iterator<Item = (u32, &FailedRun)> {
        let blocks = self.blocks.iter();
        blocks.filter_map(|block| Some((block.number, block.outcome.as_ref().err()?)))
    }

    /// Returns the values of a metric in an environment, by complete block.
    pub fn values(&self, env: usize, metric: usize) -> impl Iterator<Item = f64> {
        let complete = self
            .blocks
            .iter()
            .filter_map(|block| block.outcome.as_ref().ok());
        complete.map(move |values| values[env][metric])
    }

    /// Returns the natural logarithms of the ratios of an environment to the baseline, by complete
    /// block.
    pub fn log_ratios(&self, env: usize, baseline: usize, metric: usize) -> Vec<f64> {
        let pairs = self.values(env, metric).zip(self.values(baseline, metric));
        pairs
            .map(|(value, baseline)| (value / baseline).ln())
            .collect()
    }

    /// Returns the last session; 0 before the first.
    pub fn last_session(&self) -> u32 {
        self.blocks.last().map_or(0, |block| block.session)
    }

    /// Returns the blocks of one session.
    pub fn of_session(&self, session: u32) -> Self {
        let blocks = self.blocks.iter().filter(|block| block.session == session);
        Self {
            blocks: blocks.cloned().collect(),
        }
    }

    /// Returns the number of blocks, complete or dropped.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there are no blocks.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::analysis::Margin;
    use super::*;

    fn result(rate: f64) -> RunResult {
        let example = include_str!("../../docs/examples/quiet/1.json");
        let mut result: RunResult = serde_json::from_str(example).unwrap();
        result.rates.events_per_s = rate;
        result
    }

    fn question() -> Question {
        Question {
            metrics: vec![Metric::Rate],
            margin: Margin::of_percent(2.0).unwrap(),
        }
    }

    #[test]
    fn a_block_with_a_failed_run_is_dropped_as_a_whole() {
        let mut failed = result(100.0);
        failed.status = Status::Failed;
        failed.error = Some("no such container".into());
        let mut observations = Observations::default();
        let good = [&result(100.0), &result(50.0)];
        observations.add(Block::of(1, 1, &good, &question()));
        observations.add(Block::of(2, 1, &[&result(100.0), &failed], &question()));
        let ratios = observations.log_ratios(1, 0, 0);
        assert_eq!(ratios, [0.5f64.ln()]);
        assert_eq!((observations.complete(), observations.last_block()), (1, 2));
        let failures: Vec<_> = observations.failures().collect();
        assert_eq!(failures[0].0, 2);
        assert_eq!(failures[0].1.reason, "no such container");
    }

    #[test]
    fn a_run_without_the_metric_has_failed() {
        let zero = Block::of(1, 1, &[&result(100.0), &result(0.0)], &question());
        assert_eq!(
            zero.outcome.unwrap_err().reason,
            "its rate is 0, which has no ratio"
        );
        let question = Question {
            metrics: vec!["fsync-p99".parse().unwrap()],
            ..question()
        };
        let missing = Block::of(1, 1, &[&result(100.0), &result(1.0)], &question);
        let failure = missing.outcome.unwrap_err();
        assert_eq!(
            (failure.env, failure.reason.as_str()),
            (0, "its result has no fsync-p99")
        );
    }
}
