//! Significance tests of a sample against its baseline.

use std::cmp::Ordering;

use super::{Estimate, MannWhitney, Sample, Welch, shift, welch};

/// The significance test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignificanceTest {
    /// Mann-Whitney U: ranks only, no assumption about the shape of the distribution
    MannWhitney,
    /// Welch's t: means of samples that are near normal, or large
    Welch,
}

/// Result of a significance test of a sample against its baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// `Greater` if the sample lies above the baseline.
    pub direction: Ordering,
    /// Ratio to the baseline minus 1; `None` if any value is zero or negative.
    pub change: Option<Estimate>,
    /// `None` if either sample has only one value, as its spread is then unknown.
    pub p: Option<PValue>,
}

/// Two-sided p-value, and the smallest possible one for samples of these sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PValue {
    /// Probability of a difference at least this large under the null hypothesis.
    pub p: f64,
    /// The p-value of samples that do not overlap.
    pub smallest: f64,
}

impl SignificanceTest {
    /// Size of the smallest sample that is tested.
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
    use super::super::ALPHA;
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
        fn swapping_the_groups_inverts_the_change_and_keeps_p(a in values(), b in values()) {
            let (a, b) = (sample(&a), sample(&b));
            for test in [SignificanceTest::MannWhitney, SignificanceTest::Welch] {
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
        fn a_change_of_unit_affects_neither_p_nor_the_change(
            a in values(), b in values(), power in -20i32..20
        ) {
            // Scaling by a power of two is exact and creates no ties.
            let unit = 2f64.powi(power);
            let scaled = |values: &[f64]| sample(&values.iter().map(|v| v * unit).collect::<Vec<_>>());
            for test in [SignificanceTest::MannWhitney, SignificanceTest::Welch] {
                let before = test.compare(&sample(&a), &sample(&b));
                let after = test.compare(&scaled(&a), &scaled(&b));
                prop_assert!(close(before.p.unwrap().p, after.p.unwrap().p));
                prop_assert!(close(before.change.unwrap().value, after.change.unwrap().value));
            }
        }

        #[test]
        fn the_confidence_interval_contains_the_change(a in values(), b in values()) {
            for test in [SignificanceTest::MannWhitney, SignificanceTest::Welch] {
                let change = test.compare(&sample(&a), &sample(&b)).change.unwrap();
                if let Some(interval) = change.interval {
                    prop_assert!(interval.low <= change.value && change.value <= interval.high);
                }
            }
        }

        #[test]
        fn the_confidence_interval_excludes_zero_exactly_if_p_is_below_alpha(
            a in values(), b in values(), factor in 0.01f64..100.0
        ) {
            let b: Vec<_> = b.iter().map(|v| v * factor).collect();
            for test in [SignificanceTest::MannWhitney, SignificanceTest::Welch] {
                let outcome = test.compare(&sample(&a), &sample(&b));
                let Some(interval) = outcome.change.unwrap().interval else { continue };
                let p = outcome.p.unwrap().p;
                // Near the threshold, rounding may make the two disagree.
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
        for test in [SignificanceTest::MannWhitney, SignificanceTest::Welch] {
            let outcome = test.compare(&same, &same);
            assert_eq!(outcome.p.unwrap().p, 1.0);
            assert!(outcome.change.unwrap().value.abs() < 1e-12);
        }
    }

    #[test]
    fn one_value_compared_with_many_has_a_change_and_no_p() {
        for test in [SignificanceTest::MannWhitney, SignificanceTest::Welch] {
            let outcome = test.compare(&sample(&[10.0]), &sample(&[12.0, 12.0, 12.0]));
            assert_eq!(outcome.p, None);
            let change = outcome.change.unwrap();
            assert!(close(change.value, 0.2) && change.interval.is_none());
        }
    }

    #[test]
    fn a_baseline_of_zero_has_a_direction_but_no_change() {
        let outcome =
            SignificanceTest::MannWhitney.compare(&sample(&[0.0, 0.0]), &sample(&[1.0, 2.0]));
        assert_eq!(outcome.change, None);
        assert_eq!(outcome.direction, Ordering::Greater);
    }

    /// Draws from a skewed distribution, like that of latencies.
    fn skewed(rng: &mut SmallRng) -> f64 {
        let uniform: f64 = rng.random();
        100.0 - 20.0 * (1.0 - uniform).ln()
    }

    #[test]
    fn about_5_percent_of_comparisons_of_equal_distributions_are_significant() {
        let mut rng = SmallRng::seed_from_u64(1);
        for (test, n) in [
            (SignificanceTest::MannWhitney, 20),
            (SignificanceTest::MannWhitney, 50),
            (SignificanceTest::Welch, 32),
        ] {
            let mut draw = || Sample::new((0..n).map(|_| skewed(&mut rng)).collect()).unwrap();
            let different = (0..1000)
                .filter(|_| test.compare(&draw(), &draw()).p.unwrap().p < ALPHA)
                .count();
            // 5 % of 1000 is 50, with a standard deviation of 6.9; allow three of these either way.
            assert!((30..=70).contains(&different), "{test:?} {n}: {different}");
        }
    }

    #[test]
    fn about_95_percent_of_the_confidence_intervals_contain_the_true_change() {
        let mut rng = SmallRng::seed_from_u64(2);
        for test in [SignificanceTest::MannWhitney, SignificanceTest::Welch] {
            let covering = (0..1000)
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
            assert!((930..=980).contains(&covering), "{test:?}: {covering}");
        }
    }
}
