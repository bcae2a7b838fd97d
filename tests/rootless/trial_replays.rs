//! Trials replayed on noise with a known difference: a sample of `cargo bench --bench trial`.

#[path = "../../benches/trial/noise.rs"]
mod noise;
#[path = "../../benches/trial/replay.rs"]
mod replay;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use wbench::trial::analysis::{Decision, Margin};

use noise::Noise;
use replay::{Replay, log_ratios, replay};

const REPLAYS: usize = 50;
const MAX_BLOCKS: usize = 40;

/// Replays trials of two environments with this ratio.
fn replays(noise: Noise, ratio: f64, margin: f64) -> Vec<Replay> {
    let mut rng = SmallRng::seed_from_u64(4);
    let margin = Margin::of_percent(margin).unwrap();
    let replays = (0..REPLAYS).map(|_| {
        let runs = noise.runs(&mut rng, 2 * MAX_BLOCKS);
        let ratios = log_ratios(&runs, rng.random(), ratio.ln());
        replay(&ratios, margin, ratio.ln())
    });
    replays.collect()
}

fn count(replays: &[Replay], is: impl Fn(&Replay) -> bool) -> usize {
    replays.iter().filter(|end| is(end)).count()
}

#[test]
fn equal_environments_are_hardly_ever_found_to_differ_on_any_noise() {
    for noise in Noise::ALL {
        let ends = replays(noise, 1.0, 2.0);
        let differ = count(&ends, |end| {
            matches!(end.decision, Decision::Faster | Decision::Slower)
        });
        let covers = count(&ends, |end| end.covers);
        assert!(differ <= 1, "{noise:?}: {differ} differ");
        assert!(covers >= REPLAYS - 2, "{noise:?}: {covers} cover");
        let equivalent = count(&ends, |end| end.decision == Decision::Equivalent);
        let expected = match noise {
            // Its rates vary by a factor of 5.
            Noise::Recorded => 0,
            _ => REPLAYS * 9 / 10,
        };
        assert!(equivalent >= expected, "{noise:?}: {equivalent} equivalent");
    }
}

#[test]
fn a_difference_of_4_percent_is_found_with_a_margin_of_1_percent() {
    for noise in [
        Noise::White,
        Noise::Autoregressive,
        Noise::RandomWalk,
        Noise::Bursts,
    ] {
        let ends = replays(noise, 0.96, 1.0);
        let slower = count(&ends, |end| end.decision == Decision::Slower);
        assert!(slower >= REPLAYS * 9 / 10, "{noise:?}: {slower} found");
        assert_eq!(count(&ends, |end| end.decision == Decision::Faster), 0);
    }
}
