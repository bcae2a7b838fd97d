//! Correlation of neighboring blocks.

use std::f64::consts::PI;

/// Fewest blocks from which a correlation is estimated.
const FEWEST: usize = 4;

/// Largest correlation that is used: at 1 no number of blocks would be enough.
const LARGEST: f64 = 0.95;

/// Returns the integrated autocorrelation time of the values, at least 1: N correlated blocks say
/// as much as N divided by this number of independent ones.
///
/// The values are taken as an autoregressive process of order 1, for which the time is (1 + r) /
/// (1 - r). The correlation r is that of a normal process with the correlation of the ranks (Pearson,
/// "On further methods of determining correlation", 1907), so that outliers do not decide it. The estimate is low by (1 + 3r) / N (Kendall, Biometrika 41, 1954), which is corrected; half of its standard
/// error of 1 / sqrt(N) is added, so that few blocks do not count as independent because their
/// correlation is not known. Negative correlation is not used.
pub fn autocorrelation_time(values: &[f64]) -> f64 {
    let n = values.len();
    if n < FEWEST {
        return 1.0;
    }
    let ranks = centered_ranks(values);
    let variance: f64 = ranks.iter().map(|rank| rank * rank).sum();
    if variance == 0.0 {
        return 1.0;
    }
    let neighbors = ranks.windows(2).map(|pair| pair[0] * pair[1]);
    let n = n as f64;
    let of_ranks = neighbors.sum::<f64>() / variance;
    let of_normal = 2.0 * (PI / 6.0 * of_ranks).sin();
    let unbiased = (of_normal + 1.0 / n) / (1.0 - 3.0 / n);
    let correlation = (unbiased + 0.5 / n.sqrt()).clamp(0.0, LARGEST);
    (1.0 + correlation) / (1.0 - correlation)
}

/// Returns the ranks of the values minus their mean. Equal values have the mean of their ranks.
fn centered_ranks(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ranks = values.iter().map(|value| {
        let below = sorted.partition_point(|other| other < value);
        let up_to = sorted.partition_point(|other| other <= value);
        (below + up_to) as f64 / 2.0 - sorted.len() as f64 / 2.0
    });
    ranks.collect()
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// An autoregressive process of order 1 with steps from a uniform distribution.
    fn process(correlation: f64, n: usize) -> Vec<f64> {
        let mut rng = SmallRng::seed_from_u64(7);
        let mut value = 0.0;
        let steps = std::iter::repeat_with(|| {
            value = correlation * value + rng.random_range(-1.0..1.0);
            value
        });
        steps.take(n).collect()
    }

    #[test]
    fn the_time_is_that_of_the_process() {
        for correlation in [0.0, 0.3, 0.5, 0.8, -0.5] {
            let time = autocorrelation_time(&process(correlation, 10_000));
            let found = (time - 1.0) / (time + 1.0);
            let expected = f64::max(correlation, 0.0);
            assert!((found - expected).abs() < 0.04, "{correlation}: {found}");
        }
    }

    #[test]
    fn constant_and_few_values_are_uncorrelated() {
        assert_eq!(autocorrelation_time(&[1.0; 50]), 1.0);
        assert_eq!(autocorrelation_time(&[1.0, 2.0, 3.0]), 1.0);
        assert_eq!(autocorrelation_time(&[]), 1.0);
    }

    #[test]
    fn an_outlier_does_not_change_the_time_much() {
        let mut values = process(0.5, 200);
        let before = autocorrelation_time(&values);
        values[100] = 1e6;
        let after = autocorrelation_time(&values);
        assert!((after / before - 1.0).abs() < 0.2, "{before} {after}");
    }
}
