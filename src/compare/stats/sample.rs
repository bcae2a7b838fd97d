//! The values of one metric in one group, and their summary statistics.

use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::{CONFIDENCE, ConfidenceInterval, Estimate};

/// One or more finite values in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample(Vec<f64>);

/// Summary statistics of a sample, always with its size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    /// Number of values.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Estimated standard deviation of the population (divisor n - 1); absent for one value.
    pub stddev: Option<f64>,
    /// Median, with a confidence interval from six values on.
    pub median: Estimate,
}

impl Sample {
    /// Accepts values in any order. Returns `None` if there are none or one is not finite.
    pub fn new(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let usable = !values.is_empty() && values.iter().all(|value| value.is_finite());
        usable.then_some(Self(values))
    }

    /// The values in ascending order.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// Number of values.
    pub fn n(&self) -> usize {
        self.0.len()
    }

    /// Arithmetic mean.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.n() as f64
    }

    /// Unbiased variance (divisor n - 1); `None` for one value.
    pub fn variance(&self) -> Option<f64> {
        let mean = self.mean();
        let squares: f64 = self.0.iter().map(|value| (value - mean).powi(2)).sum();
        (self.n() > 1).then(|| squares / (self.n() - 1) as f64)
    }

    /// Median, with the pair of order statistics that bounds the population median with a
    /// confidence of at least 95 %.
    ///
    /// The number of values below the population median is binomial with n and 1/2, whatever the
    /// distribution: the k-th values from both ends bound it with probability 1 - 2 P(B < k).
    /// Assumes independent values. With fewer than six values even the outermost pair covers it in
    /// less than 95 % of cases. See Conover, Practical Nonparametric Statistics, section 3.2.
    pub fn median(&self) -> Estimate {
        let n = self.n();
        let middle = (self.0[(n - 1) / 2] + self.0[n / 2]) / 2.0;
        let tail = (1.0 - CONFIDENCE) / 2.0;
        let below = Binomial::new(0.5, n as u64).expect("1/2 is a probability");
        // Binary search for the largest k for which P(B < k) does not exceed the tail.
        let (mut k, mut beyond) = (0, n / 2 + 1);
        while beyond - k > 1 {
            let middle = k.midpoint(beyond);
            match below.cdf(middle as u64 - 1) <= tail {
                true => k = middle,
                false => beyond = middle,
            }
        }
        let interval = (k > 0).then(|| ConfidenceInterval {
            low: self.0[k - 1],
            high: self.0[n - k],
        });
        Estimate {
            value: middle,
            interval,
        }
    }

    /// Summary statistics.
    pub fn summary(&self) -> Summary {
        Summary {
            n: self.n(),
            mean: self.mean(),
            stddev: self.variance().map(f64::sqrt),
            median: self.median(),
        }
    }

    /// Natural logarithms; `None` if a value is zero or negative.
    pub fn ln(&self) -> Option<Self> {
        let positive = self.0[0] > 0.0;
        positive.then(|| Self(self.0.iter().map(|value| value.ln()).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(n: u32) -> Sample {
        Sample::new((1..=n).map(f64::from).collect()).unwrap()
    }

    #[test]
    fn a_sample_has_at_least_one_value_and_only_finite_ones() {
        assert_eq!(Sample::new(vec![]), None);
        assert_eq!(Sample::new(vec![1.0, f64::NAN]), None);
        assert_eq!(Sample::new(vec![1.0, f64::INFINITY]), None);
    }

    #[test]
    fn one_value_has_neither_standard_deviation_nor_confidence_interval() {
        let summary = counting(1).summary();
        assert_eq!((summary.n, summary.mean, summary.stddev), (1, 1.0, None));
        assert_eq!(summary.median.interval, None);
    }

    #[test]
    fn the_median_has_a_confidence_interval_from_six_values_on() {
        assert_eq!(counting(5).median().interval, None);
        let interval = counting(6).median().interval.unwrap();
        assert_eq!((interval.low, interval.high), (1.0, 6.0));
    }

    #[test]
    fn the_confidence_interval_of_the_median_matches_the_published_table() {
        // Conover's table A3 (binomial, p = 1/2): n and the rank of the lower bound.
        for (n, rank) in [(8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (32, 10)] {
            let interval = counting(n).median().interval.unwrap();
            assert_eq!(interval.low, f64::from(rank), "n = {n}");
            assert_eq!(interval.high, f64::from(n + 1 - rank), "n = {n}");
        }
    }
}
