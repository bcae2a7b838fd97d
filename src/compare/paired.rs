//! Comparison of the runs of a trial, block by block.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::ComparisonOptions;
use super::group::Grouping;
use super::method::Method;
use super::metric::Metric;
use super::run::ComparedRun;
use super::stats::Outcome;
use crate::trial::analysis::PairedRatio;

/// Label of the environment.
const ENV: &str = "labels.env";

/// Block of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockKey {
    /// Seed, which tells trials apart.
    seed: u64,
    /// Session.
    session: u64,
    /// Number of the block.
    block: u64,
}

impl BlockKey {
    /// Returns the block of a run; None if the run is not part of a trial.
    pub fn of(run: &ComparedRun) -> Option<Self> {
        let number = |name: &str| run.fields.get(&format!("trial.{name}"))?.parse().ok();
        Some(Self {
            seed: number("seed")?,
            session: number("session")?,
            block: number("block")?,
        })
    }
}

/// Returns the options with the defaults for these runs: the runs of one trial are grouped by
/// environment and compared block by block, unless the user has chosen otherwise.
///
/// Fails if runs that are not part of a trial are to be paired.
pub fn with_defaults(
    options: &ComparisonOptions,
    runs: &[(usize, ComparedRun)],
) -> Result<ComparisonOptions> {
    let single = runs.iter().find(|(_, run)| BlockKey::of(run).is_none());
    if options.method == Some(Method::Paired)
        && let Some((_, run)) = single
    {
        ensure!(
            false,
            "--test paired needs results of 'wbench trial', and {} is not part of one",
            run.location
        );
    }
    let first = runs.first();
    let is_one_input = runs
        .iter()
        .all(|(input, _)| Some(input) == first.map(|(input, _)| input));
    let is_free = options.grouping == Grouping::Input && options.method.is_none();
    let Some((_, run)) = first.filter(|_| single.is_none() && is_one_input && is_free) else {
        return Ok(options.clone());
    };
    let baseline = run.fields.get("trial.baseline").map(str::to_owned);
    Ok(ComparisonOptions {
        grouping: Grouping::By(ENV.to_owned()),
        baseline: options.baseline.clone().or(baseline),
        method: Some(Method::Paired),
        ..options.clone()
    })
}

/// Returns the blocks in which every group that has runs has one: a block in which a run failed is
/// dropped as a whole.
pub fn common_blocks(groups: &[Vec<&ComparedRun>]) -> BTreeSet<BlockKey> {
    let blocks = groups.iter().filter(|runs| !runs.is_empty()).map(|runs| {
        let keys = runs.iter().filter_map(|run| BlockKey::of(run));
        keys.collect::<BTreeSet<_>>()
    });
    blocks.reduce(|a, b| &a & &b).unwrap_or_default()
}

/// Compares the runs of these blocks; None if no block has both values.
pub fn compare(
    metric: Metric,
    baseline: &[&ComparedRun],
    runs: &[&ComparedRun],
    blocks: &BTreeSet<BlockKey>,
) -> Option<Outcome> {
    let (baseline, values) = (by_block(metric, baseline), by_block(metric, runs));
    let mut sessions: BTreeMap<(u64, u64), Vec<f64>> = BTreeMap::new();
    for key in blocks {
        let (Some(baseline), Some(value)) = (baseline.get(key), values.get(key)) else {
            continue;
        };
        if *baseline > 0.0 && *value > 0.0 {
            let session = sessions.entry((key.seed, key.session)).or_default();
            session.push((value / baseline).ln());
        }
    }
    let sessions: Vec<Vec<f64>> = sessions.into_values().collect();
    let ratio = match sessions.as_slice() {
        [only] => PairedRatio::of(only, 1)?,
        several => PairedRatio::of_sessions(several, 1)?,
    };
    Some(ratio.outcome())
}

fn by_block(metric: Metric, runs: &[&ComparedRun]) -> BTreeMap<BlockKey, f64> {
    let values = runs.iter().filter_map(|run| {
        let key = BlockKey::of(run)?;
        Some((key, metric.value(&run.figures)?))
    });
    values.collect()
}
