//! Replays of trials: the analysis of `wbench trial` on simulated runs with a known difference.

#![allow(dead_code, reason = "each program uses a part")]

use wbench::trial::analysis::{Decision, Margin, PairedRatio};
use wbench::trial::order::order;

/// End of a replayed trial.
#[derive(Debug, Clone, Copy)]
pub struct Replay {
    /// Number of blocks until the decision, or all.
    pub blocks: usize,
    /// The decision.
    pub decision: Decision,
    /// Whether the interval contains the true ratio at that time.
    pub covers: bool,
}

/// Returns the log ratios of the second environment to the first in each block, from the noise of
/// consecutive runs. Each block has two runs in the order that the seed gives.
pub fn log_ratios(runs: &[f64], seed: u32, log_difference: f64) -> Vec<f64> {
    let blocks = (1..).zip(runs.chunks_exact(2));
    let ratios = blocks.map(|(block, pair)| match order(seed, block, 2)[0] {
        0 => pair[1] - pair[0] + log_difference,
        _ => pair[0] - pair[1] + log_difference,
    });
    ratios.collect()
}

/// Analyzes a trial after each block and stops at the decision.
pub fn replay(log_ratios: &[f64], margin: Margin, log_difference: f64) -> Replay {
    let mut last = None;
    for blocks in 1..=log_ratios.len() {
        let ratio = PairedRatio::of(&log_ratios[..blocks], 1).expect("a block");
        let decision = ratio.decide(margin, true);
        last = Some(Replay {
            blocks,
            decision,
            covers: covers(&ratio, log_difference),
        });
        if decision != Decision::Undecided {
            break;
        }
    }
    last.expect("a block")
}

/// Whether the interval contains a ratio; an unbounded one does.
fn covers(ratio: &PairedRatio, log_difference: f64) -> bool {
    let truth = log_difference.exp_m1();
    let interval = ratio.change().interval;
    interval.is_none_or(|interval| (interval.low..=interval.high).contains(&truth))
}

/// Whether the interval excludes the true ratio after any number of blocks.
pub fn ever_misses(log_ratios: &[f64], log_difference: f64) -> bool {
    (1..=log_ratios.len()).any(|blocks| {
        let ratio = PairedRatio::of(&log_ratios[..blocks], 1).expect("a block");
        !covers(&ratio, log_difference)
    })
}
