//! The share of a part in a difference.

use super::welch::{critical_t, freedom};
use super::{ConfidenceInterval, Estimate};

/// One part of a quantity together with the whole, observed at the same time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartOfWhole {
    /// The part.
    pub part: f64,
    /// The whole, of which it is a part.
    pub whole: f64,
}

/// Means of a group with their squared standard errors and covariance.
#[derive(Debug, Clone, Copy)]
struct Means {
    n: usize,
    part: f64,
    whole: f64,
    part_error: f64,
    whole_error: f64,
    covariance: f64,
}

impl Means {
    /// `None` for fewer than two values, which have no spread.
    fn of(values: &[PartOfWhole]) -> Option<Self> {
        let n = values.len();
        let mean = |of: &dyn Fn(&PartOfWhole) -> f64| values.iter().map(of).sum::<f64>() / n as f64;
        let (part, whole) = (mean(&|it| it.part), mean(&|it| it.whole));
        // The variance of a mean has the divisor n (n - 1).
        let error = |of: &dyn Fn(&PartOfWhole) -> f64| mean(of) / (n - 1) as f64;
        (n > 1).then(|| Self {
            n,
            part,
            whole,
            part_error: error(&|it| (it.part - part).powi(2)),
            whole_error: error(&|it| (it.whole - whole).powi(2)),
            covariance: error(&|it| (it.part - part) * (it.whole - whole)),
        })
    }
}

/// The difference of the mean parts of two groups divided by that of the mean wholes; `None` if a
/// group has fewer than two values or the wholes do not differ.
///
/// Has Fieller's confidence interval with confidence 1 - `alpha`: all shares r for which the
/// difference of part - r whole is within t standard errors of 0. The degrees of freedom are those of
/// Welch's test of the part, so that the interval excludes 0 exactly if that test's p is below
/// `alpha`. There is no interval if the wholes do not differ significantly. Assumes independent runs
/// and near-normal means, but neither equal variances nor that part and whole are independent. See
/// Fieller, Journal of the Royal Statistical Society B 16 (1954), 175-185.
pub fn share(baseline: &[PartOfWhole], sample: &[PartOfWhole], alpha: f64) -> Option<Estimate> {
    let (a, b) = (Means::of(baseline)?, Means::of(sample)?);
    let (part, whole) = (b.part - a.part, b.whole - a.whole);
    let value = part / whole;
    value.is_finite().then(|| Estimate {
        value,
        interval: interval(a, b, alpha),
    })
}

fn interval(a: Means, b: Means, alpha: f64) -> Option<ConfidenceInterval> {
    let (part, whole) = (b.part - a.part, b.whole - a.whole);
    let of_part = freedom([(a.part_error, a.n), (b.part_error, b.n)]);
    let of_whole = || freedom([(a.whole_error, a.n), (b.whole_error, b.n)]);
    // A constant part has no degrees of freedom; if the whole is constant too, the share is exact.
    let t2 = match of_part.or_else(of_whole) {
        Some(freedom) => critical_t(freedom, alpha)?.powi(2),
        None => 0.0,
    };
    // (part - r whole)^2 = t^2 (part_error - 2 r covariance + r^2 whole_error), a quadratic in r.
    let square = whole.powi(2) - t2 * (a.whole_error + b.whole_error);
    let linear = part * whole - t2 * (a.covariance + b.covariance);
    let constant = part.powi(2) - t2 * (a.part_error + b.part_error);
    let root = (linear.powi(2) - square * constant).max(0.0).sqrt();
    (square > 0.0).then(|| ConfidenceInterval {
        low: (linear - root) / square,
        high: (linear + root) / square,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Sample, Welch};
    use super::*;
    use proptest::prelude::*;
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    const ALPHA: f64 = 0.05;

    /// Pairs from values of a part and of the rest.
    fn pairs(values: &[(f64, f64)]) -> Vec<PartOfWhole> {
        let values = values.iter();
        values
            .map(|&(part, rest)| PartOfWhole {
                part,
                whole: part + rest,
            })
            .collect()
    }

    fn values() -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec((0.0f64..10.0, 0.0f64..10.0), 2..12)
    }

    proptest! {
        #[test]
        fn the_interval_excludes_zero_exactly_if_the_test_of_the_part_rejects(
            a in values(), b in values(), factor in 1.0f64..20.0
        ) {
            let b: Vec<_> = b.iter().map(|(part, rest)| (part * factor, rest * factor)).collect();
            let Some(share) = share(&pairs(&a), &pairs(&b), ALPHA) else { return Ok(()) };
            let Some(interval) = share.interval else { return Ok(()) };
            let parts = |pairs: &[(f64, f64)]| Sample::new(pairs.iter().map(|it| it.0).collect());
            let p = Welch::of(&parts(&a).unwrap(), &parts(&b).unwrap()).unwrap().p();
            let without_zero = interval.low > 0.0 || interval.high < 0.0;
            // Near the threshold, rounding may make the two disagree.
            if (p - ALPHA).abs() > 1e-9 {
                prop_assert_eq!(p < ALPHA, without_zero, "{} {:?}", p, share);
            }
            prop_assert!(interval.low <= share.value && share.value <= interval.high);
        }

        #[test]
        fn the_shares_of_a_part_and_of_the_rest_add_up_to_one(a in values(), b in values()) {
            let swapped = |values: &[(f64, f64)]| -> Vec<_> {
                values.iter().map(|&(part, rest)| (rest, part)).collect()
            };
            let one = share(&pairs(&a), &pairs(&b), ALPHA);
            let other = share(&pairs(&swapped(&a)), &pairs(&swapped(&b)), ALPHA);
            if let (Some(one), Some(other)) = (one, other) {
                let tolerance = 1e-9 * (1.0 + one.value.abs());
                prop_assert!((one.value + other.value - 1.0).abs() < tolerance);
            }
        }
    }

    #[test]
    fn constant_parts_have_exact_shares_and_one_run_has_none() {
        let (a, b) = (pairs(&[(1.0, 2.0); 3]), pairs(&[(4.0, 3.0); 2]));
        let exact = share(&a, &b, ALPHA).unwrap();
        let interval = exact.interval.unwrap();
        assert_eq!(
            (exact.value, interval.low, interval.high),
            (0.75, 0.75, 0.75)
        );
        assert_eq!(share(&a, &b[..1], ALPHA), None);
        assert_eq!(share(&a, &a, ALPHA), None);
    }

    #[test]
    fn a_whole_that_does_not_differ_significantly_gives_no_interval() {
        let a = pairs(&[(0.0, 10.0), (5.0, 5.0), (2.0, 30.0)]);
        let b = pairs(&[(10.0, 10.0), (11.0, 0.0), (12.0, 20.0)]);
        assert_eq!(share(&a, &b, ALPHA).unwrap().interval, None);
    }

    #[test]
    fn about_95_percent_of_the_intervals_contain_the_true_share() {
        let mut rng = SmallRng::seed_from_u64(7);
        let mut draw = |n: usize, part: f64| {
            let mut noise = |mean: f64| {
                let sum: f64 = (0..12).map(|_| rng.random::<f64>()).sum();
                mean * (1.0 + 0.1 * (sum - 6.0))
            };
            let values: Vec<_> = (0..n).map(|_| (noise(part), noise(10.0))).collect();
            pairs(&values)
        };
        for n in [3, 6, 10] {
            // The part grows by 15; the rest does not.
            let covering = (0..1000).filter(|_| {
                let share = share(&draw(n, 5.0), &draw(n, 20.0), ALPHA).unwrap();
                share
                    .interval
                    .is_none_or(|it| it.low <= 1.0 && 1.0 <= it.high)
            });
            // 95 % of 1000, less and more three standard deviations of 6.9, and more at small n,
            // where Welch's test is conservative.
            let covering = covering.count();
            assert!((929..=990).contains(&covering), "n = {n}: {covering}");
        }
    }
}
