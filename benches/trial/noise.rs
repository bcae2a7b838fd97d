//! Noise of a machine over time, for replays of trials: natural logarithms of relative speeds, one per
//! run of 5 s.

#![allow(dead_code, reason = "each program uses a part")]

use rand::RngExt;
use rand::rngs::SmallRng;

/// Seconds per run.
const RUN_S: f64 = 5.0;

/// Events per second of the cpu test on a shared KVM guest with 2 CPUs while others compiled on
/// it: runs of 0.5 s, about 6.5 s apart.
const RECORDED: &str = include_str!("recorded.txt");

/// A kind of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// Independent, normal, standard deviation 1 %.
    White,
    /// [`RECORDED`], from a random position.
    Recorded,
    /// Autoregressive of order 1: standard deviation 5 %, correlation time 3 minutes, and 0.5 % of
    /// white noise.
    Autoregressive,
    /// Random walk with steps of 1 %.
    RandomWalk,
    /// 26 % slower in bursts of 6 runs on average, every 20 runs on average, and 0.5 % of white
    /// noise.
    Bursts,
    /// Two modes 8 % apart that change with a probability of 20 % per run, and 0.5 % of white noise.
    Bimodal,
}

impl Noise {
    pub const ALL: [Self; 6] = [
        Self::White,
        Self::Recorded,
        Self::Autoregressive,
        Self::RandomWalk,
        Self::Bursts,
        Self::Bimodal,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::White => "white, 1 %",
            Self::Recorded => "recorded",
            Self::Autoregressive => "AR(1), 3 min",
            Self::RandomWalk => "random walk",
            Self::Bursts => "bursts",
            Self::Bimodal => "bimodal",
        }
    }

    /// Draws the noise of this many consecutive runs.
    pub fn runs(self, rng: &mut SmallRng, count: usize) -> Vec<f64> {
        match self {
            Self::White => (0..count).map(|_| 0.01 * normal(rng)).collect(),
            Self::Recorded => recorded(rng, count),
            Self::Autoregressive => {
                let process = autoregressive(rng, (-RUN_S / 180.0).exp(), count);
                let own = process.into_iter().map(|value| 0.05 * value);
                own.map(|value| value + 0.005 * normal(rng)).collect()
            }
            Self::RandomWalk => {
                let steps = (0..count).map(|_| 0.01 * normal(rng));
                let sum = |at: &mut f64, step| {
                    *at += step;
                    Some(*at)
                };
                steps.scan(0.0, sum).collect()
            }
            Self::Bursts => switching(rng, [1.0 / 20.0, 1.0 / 6.0], -0.3, count),
            Self::Bimodal => switching(rng, [0.2, 0.2], -0.08, count),
        }
    }
}

/// A standard autoregressive process of order 1, from its stationary distribution.
pub fn autoregressive(rng: &mut SmallRng, correlation: f64, count: usize) -> Vec<f64> {
    let mut value = normal(rng);
    let innovation = (1.0 - correlation * correlation).sqrt();
    let steps = (0..count).map(|_| {
        value = correlation * value + innovation * normal(rng);
        value
    });
    steps.collect()
}

/// Two states with these probabilities of leaving each, the second of which is `slow`.
fn switching(rng: &mut SmallRng, leave: [f64; 2], slow: f64, count: usize) -> Vec<f64> {
    let mut state = 0;
    let runs = (0..count).map(|_| {
        if rng.random::<f64>() < leave[state] {
            state = 1 - state;
        }
        state as f64 * slow + 0.005 * normal(rng)
    });
    runs.collect()
}

fn recorded(rng: &mut SmallRng, count: usize) -> Vec<f64> {
    let rates = RECORDED.split_whitespace().map(|rate| {
        let rate: f64 = rate.parse().expect("a rate");
        rate.ln()
    });
    let rates: Vec<f64> = rates.collect();
    let start = rng.random_range(0..rates.len());
    rates.into_iter().cycle().skip(start).take(count).collect()
}

/// A standard normal number, by the method of Box and Muller.
fn normal(rng: &mut SmallRng) -> f64 {
    let (radius, angle): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
