//! Samples become statements. Nothing here knows what was measured.
//!
//! All of it is closed-form or exact: no random resampling, so that the same samples give the
//! same statement, to the last digit, on every machine.

mod holm;
mod mann_whitney;
mod sample;
mod shift;
mod welch;

use std::cmp::Ordering;

use serde::Serialize;

pub use holm::holm;
pub use mann_whitney::{EXACT_UP_TO, MannWhitney};
pub use sample::{Sample, Summary};
pub use welch::Welch;

/// The confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// A difference counts as shown where its corrected p is below this: what [`CONFIDENCE`] leaves.
pub const ALPHA: f64 = 0.05;

/// A closed interval that holds the true value with [`CONFIDENCE`] or a little more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    fn map(self, monotone: impl Fn(f64) -> f64) -> Self {
        Self {
            low: monotone(self.low),
            high: monotone(self.high),
        }
    }
}

/// A value estimated from a sample, and how well it is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its interval; None where the sample is too small for one at [`CONFIDENCE`].
    pub interval: Option<Interval>,
}

impl Estimate {
    fn map(self, monotone: impl Fn(f64) -> f64) -> Self {
        Self {
            value: monotone(self.value),
            interval: self.interval.map(|interval| interval.map(&monotone)),
        }
    }
}

/// Which test tells whether two samples differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Mann-Whitney U: ranks only, no assumption about the shape of the distribution
    #[default]
    MannWhitney,
    /// Welch's t: means of samples that are near normal, or large
    Welch,
}

/// What a test says of a sample beside its baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Where the sample lies: `Greater` = above the baseline.
    pub direction: Ordering,
    /// The ratio to the baseline less 1; None where a value is not above 0, so that there is no
    /// ratio.
    pub change: Option<Estimate>,
    /// None where either has one value only, as nothing is known of its spread then.
    pub p: Option<PValue>,
}

/// A two-sided p, beside the smallest that samples of these sizes can give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PValue {
    /// The probability of a difference at least this large where there is none.
    pub p: f64,
    /// The p of samples that don't overlap at all.
    pub smallest: f64,
}

impl Test {
    /// The smallest sample that is tested at all.
    pub const SMALLEST_SAMPLE: usize = 2;

    /// Compares a sample with its baseline.
    pub fn compare(self, baseline: &Sample, sample: &Sample) -> Outcome {
        let enough = baseline.n().min(sample.n()) >= Self::SMALLEST_SAMPLE;
        match self {
            Self::MannWhitney => {
                let test = MannWhitney::of(baseline, sample);
                Outcome {
                    direction: test.direction(),
                    change: shift::relative(baseline, sample, &test),
                    p: enough.then(|| PValue {
                        p: test.p(),
                        smallest: test.smallest_p(),
                    }),
                }
            }
            Self::Welch => {
                let test = Welch::of(baseline, sample);
                Outcome {
                    direction: sample.mean().total_cmp(&baseline.mean()),
                    change: welch::relative(baseline, sample, test.as_ref()),
                    p: test.map(|test| PValue {
                        p: test.p(),
                        smallest: 0.0,
                    }),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    fn values() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(1.0f64..1e6, 2..40)
    }

    fn sample(values: &[f64]) -> Sample {
        Sample::new(values.to_vec()).unwrap()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
    }

    proptest! {
        #[test]
        fn swapping_the_groups_turns_the_change_round_and_leaves_p(a in values(), b in values()) {
            let (a, b) = (sample(&a), sample(&b));
            for test in [Test::MannWhitney, Test::Welch] {
                let (there, back) = (test.compare(&a, &b), test.compare(&b, &a));
                prop_assert_eq!(there.direction, back.direction.reverse());
                prop_assert!(close(there.p.unwrap().p, back.p.unwrap().p));
                let (there, back) = (there.change.unwrap(), back.change.unwrap());
                prop_assert!(close((1.0 + there.value) * (1.0 + back.value), 1.0));
                if let (Some(there), Some(back)) = (there.interval, back.interval) {
                    prop_assert!(close((1.0 + there.low) * (1.0 + back.high), 1.0));
                }
            }
        }

        #[test]
        fn another_unit_changes_neither_p_nor_the_change(
            a in values(), b in values(), power in -20i32..20
        ) {
            // By a power of two, which is exact: no new ties.
            let unit = 2f64.powi(power);
            let scaled = |values: &[f64]| sample(&values.iter().map(|v| v * unit).collect::<Vec<_>>());
            for test in [Test::MannWhitney, Test::Welch] {
                let before = test.compare(&sample(&a), &sample(&b));
                let after = test.compare(&scaled(&a), &scaled(&b));
                prop_assert!(close(before.p.unwrap().p, after.p.unwrap().p));
                prop_assert!(close(before.change.unwrap().value, after.change.unwrap().value));
            }
        }

        #[test]
        fn the_interval_holds_the_change(a in values(), b in values()) {
            for test in [Test::MannWhitney, Test::Welch] {
                let change = test.compare(&sample(&a), &sample(&b)).change.unwrap();
                if let Some(interval) = change.interval {
                    prop_assert!(interval.low <= change.value && change.value <= interval.high);
                }
            }
        }

        #[test]
        fn the_interval_leaves_zero_out_where_p_is_below_alpha(
            a in values(), b in values(), factor in 0.01f64..100.0
        ) {
            let b: Vec<_> = b.iter().map(|v| v * factor).collect();
            for test in [Test::MannWhitney, Test::Welch] {
                let outcome = test.compare(&sample(&a), &sample(&b));
                let Some(interval) = outcome.change.unwrap().interval else { continue };
                let p = outcome.p.unwrap().p;
                // Where p is at the border, the two may be rounded apart.
                if (p - ALPHA).abs() > 1e-9 {
                    let without_zero = interval.low > 0.0 || interval.high < 0.0;
                    prop_assert_eq!(p < ALPHA, without_zero, "{} {:?}", p, interval);
                }
            }
        }
    }

    #[test]
    fn identical_groups_have_no_change_and_a_p_of_one() {
        let same = sample(&[3.0, 1.0, 2.0, 2.0, 5.0]);
        for test in [Test::MannWhitney, Test::Welch] {
            let outcome = test.compare(&same, &same);
            assert_eq!(outcome.p.unwrap().p, 1.0);
            assert!(outcome.change.unwrap().value.abs() < 1e-12);
        }
    }

    #[test]
    fn one_value_against_many_has_a_change_and_no_p() {
        for test in [Test::MannWhitney, Test::Welch] {
            let outcome = test.compare(&sample(&[10.0]), &sample(&[12.0, 12.0, 12.0]));
            assert_eq!(outcome.p, None);
            let change = outcome.change.unwrap();
            assert!(close(change.value, 0.2) && change.interval.is_none());
        }
    }

    #[test]
    fn a_baseline_of_zero_has_no_change_but_a_direction() {
        let outcome = Test::MannWhitney.compare(&sample(&[0.0, 0.0]), &sample(&[1.0, 2.0]));
        assert_eq!(outcome.change, None);
        assert_eq!(outcome.direction, Ordering::Greater);
    }

    /// A value of a skewed distribution, as latencies have.
    fn skewed(rng: &mut SmallRng) -> f64 {
        let uniform: f64 = rng.random();
        100.0 - 20.0 * (1.0 - uniform).ln()
    }

    #[test]
    fn about_5_percent_of_1000_comparisons_of_equals_come_out_different() {
        let mut rng = SmallRng::seed_from_u64(1);
        for (test, n) in [
            (Test::MannWhitney, 20),
            (Test::MannWhitney, 50),
            (Test::Welch, 32),
        ] {
            let mut draw = || Sample::new((0..n).map(|_| skewed(&mut rng)).collect()).unwrap();
            let different = (0..1000)
                .filter(|_| test.compare(&draw(), &draw()).p.unwrap().p < ALPHA)
                .count();
            // 5 % of 1000 is 50 with a standard deviation of 6.9: three of them either way.
            assert!((30..=70).contains(&different), "{test:?} {n}: {different}");
        }
    }

    #[test]
    fn about_95_percent_of_the_intervals_hold_the_true_change() {
        let mut rng = SmallRng::seed_from_u64(2);
        for test in [Test::MannWhitney, Test::Welch] {
            let hold = (0..1000)
                .filter(|_| {
                    let mut draw = |factor: f64| {
                        Sample::new((0..20).map(|_| factor * skewed(&mut rng)).collect()).unwrap()
                    };
                    let (baseline, slower) = (draw(1.0), draw(0.8));
                    let change = test.compare(&baseline, &slower).change.unwrap();
                    let interval = change.interval.unwrap();
                    interval.low <= -0.2 && -0.2 <= interval.high
                })
                .count();
            assert!((930..=980).contains(&hold), "{test:?}: {hold}");
        }
    }
}
