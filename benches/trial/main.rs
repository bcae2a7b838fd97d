//! How often `wbench trial` is wrong, and how long it takes, on replayed noise; beside it, the
//! comparison of one batch of runs with the next by the test of `wbench compare`.
//!
//! `cargo bench --bench trial -- [REPLAYS]`

mod noise;
mod replay;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use wbench::compare::stats::{ALPHA, MannWhitney, Sample};
use wbench::trial::analysis::{Decision, Margin};

use noise::{Noise, autoregressive};
use replay::{Replay, ever_misses, log_ratios, replay};

/// Number of blocks after which a trial ends undecided.
const MAX_BLOCKS: usize = 100;

/// Runs of each batch that Mann-Whitney compares.
const BATCH: usize = 20;

fn main() {
    let replays = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let replays: usize = replays.unwrap_or(1000);
    println!("{replays} replays each, up to {MAX_BLOCKS} blocks of two runs\n");
    println!("A/A, margin 2 %");
    println!(
        "  {:14} {:>12} {:>8} {:>10} {:>10} {:>8} {:>13}",
        "noise", "faster/slower", "covers", "ever miss", "equivalent", "blocks", "Mann-Whitney"
    );
    for noise in Noise::ALL {
        let outcome = Outcome::of(replays, 0.0, 2.0, |rng| noise.runs(rng, 2 * MAX_BLOCKS));
        let batches = share(replays, |rng| batches_differ(noise, rng));
        println!("  {:14} {outcome} {:>12.1}%", noise.name(), batches);
    }
    println!(
        "\nA/A with autoregressive noise of each environment, correlation of neighboring blocks"
    );
    for correlation in [0.3, 0.5, 0.7, 0.9] {
        let own = |rng: &mut SmallRng| {
            let series = autoregressive(rng, correlation, MAX_BLOCKS);
            series.into_iter().map(|value| 0.014 * value).collect()
        };
        let outcome = Outcome::of_ratios(replays, 0.0, 2.0, own);
        println!("  {correlation:<14} {outcome}");
    }
    println!("\n2 % slower, margin 1 %");
    for noise in Noise::ALL {
        let difference = 0.98f64.ln();
        let outcome = Outcome::of(replays, difference, 1.0, |rng| {
            noise.runs(rng, 2 * MAX_BLOCKS)
        });
        println!("  {:14} {outcome}", noise.name());
    }
}

/// What a series of replays ended with, in percent.
struct Outcome {
    differs: f64,
    covers: f64,
    ever_misses: f64,
    equivalent: f64,
    blocks: usize,
}

impl Outcome {
    /// Replays trials of two environments with this logarithm of the ratio.
    fn of(
        replays: usize,
        difference: f64,
        margin: f64,
        mut runs: impl FnMut(&mut SmallRng) -> Vec<f64>,
    ) -> Self {
        Self::of_ratios(replays, difference, margin, |rng| {
            let runs = runs(rng);
            log_ratios(&runs, rng.random(), difference)
        })
    }

    fn of_ratios(
        replays: usize,
        difference: f64,
        margin: f64,
        mut ratios: impl FnMut(&mut SmallRng) -> Vec<f64>,
    ) -> Self {
        let margin = Margin::of_percent(margin).expect("a margin");
        let mut rng = SmallRng::seed_from_u64(1);
        let ratios: Vec<_> = (0..replays).map(|_| ratios(&mut rng)).collect();
        let ends: Vec<_> = ratios
            .iter()
            .map(|it| replay(it, margin, difference))
            .collect();
        let percent = |count: usize| 100.0 * count as f64 / replays as f64;
        let with =
            |is: &dyn Fn(&Replay) -> bool| percent(ends.iter().filter(|end| is(end)).count());
        let mut blocks: Vec<usize> = ends.iter().map(|end| end.blocks).collect();
        blocks.sort_unstable();
        Self {
            differs: with(&|end| matches!(end.decision, Decision::Faster | Decision::Slower)),
            covers: with(&|end| end.covers),
            equivalent: with(&|end| end.decision == Decision::Equivalent),
            ever_misses: percent(
                ratios
                    .iter()
                    .filter(|it| ever_misses(it, difference))
                    .count(),
            ),
            blocks: blocks[blocks.len() / 2],
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:>12.1}% {:>7.1}% {:>9.1}% {:>9.1}% {:>8}",
            self.differs, self.covers, self.ever_misses, self.equivalent, self.blocks
        )
    }
}

/// Returns the share of replays in which a condition holds, in percent.
fn share(replays: usize, mut holds: impl FnMut(&mut SmallRng) -> bool) -> f64 {
    let mut rng = SmallRng::seed_from_u64(1);
    let count = (0..replays).filter(|_| holds(&mut rng)).count();
    100.0 * count as f64 / replays as f64
}

/// Whether Mann-Whitney finds a difference between one batch of runs and the next.
fn batches_differ(noise: Noise, rng: &mut SmallRng) -> bool {
    let runs = noise.runs(rng, 2 * BATCH);
    let sample = |runs: &[f64]| Sample::new(runs.to_vec()).expect("runs");
    let (first, second) = runs.split_at(BATCH);
    MannWhitney::of(&sample(first), &sample(second)).p() < ALPHA
}
