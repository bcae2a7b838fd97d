//! The values of a group, and what describes them.

use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::{CONFIDENCE, Estimate, Interval};

/// At least one finite value, in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample(Vec<f64>);

/// What describes a sample; each figure stands beside the number of values it is from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Standard deviation of the population estimated from the sample (divisor n - 1); None for
    /// one value.
    pub stddev: Option<f64>,
    /// Their median, with an interval from six values on; see [`Sample::median`].
    pub median: Estimate,
}

impl Sample {
    /// Takes the values in any order; None where there is none, or one is not finite.
    pub fn new(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let usable = !values.is_empty() && values.iter().all(|value| value.is_finite());
        usable.then_some(Self(values))
    }

    /// The values in ascending order.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// How many.
    pub fn n(&self) -> usize {
        self.0.len()
    }

    /// The arithmetic mean.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.n() as f64
    }

    /// The unbiased variance (divisor n - 1); None for one value.
    pub fn variance(&self) -> Option<f64> {
        let mean = self.mean();
        let squares: f64 = self.0.iter().map(|value| (value - mean).powi(2)).sum();
        (self.n() > 1).then(|| squares / (self.n() - 1) as f64)
    }

    /// The median, with the interval between two order statistics that holds the median of the
    /// population with at least 95 %.
    ///
    /// The number of values below that median is binomial with n and 1/2, whatever the
    /// distribution: the k-th value from either end bounds it with the probability
    /// 1 - 2 P(B < k). Assumes independent values. Below six values even the outermost pair
    /// holds it in fewer than 95 % of cases. See Conover, Practical Nonparametric Statistics,
    /// section 3.2.
    pub fn median(&self) -> Estimate {
        let n = self.n();
        let middle = (self.0[(n - 1) / 2] + self.0[n / 2]) / 2.0;
        let tail = (1.0 - CONFIDENCE) / 2.0;
        let below = Binomial::new(0.5, n as u64).expect("1/2 is a probability");
        // The largest k for which P(B < k) is within the tail, by halving.
        let (mut k, mut beyond) = (0, n / 2 + 1);
        while beyond - k > 1 {
            let middle = k.midpoint(beyond);
            match below.cdf(middle as u64 - 1) <= tail {
                true => k = middle,
                false => beyond = middle,
            }
        }
        let interval = (k > 0).then(|| Interval {
            low: self.0[k - 1],
            high: self.0[n - k],
        });
        Estimate {
            value: middle,
            interval,
        }
    }

    /// All that describes it.
    pub fn summary(&self) -> Summary {
        Summary {
            n: self.n(),
            mean: self.mean(),
            stddev: self.variance().map(f64::sqrt),
            median: self.median(),
        }
    }

    /// The logarithms; None where a value has none.
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
    fn one_value_has_neither_deviation_nor_interval() {
        let summary = counting(1).summary();
        assert_eq!((summary.n, summary.mean, summary.stddev), (1, 1.0, None));
        assert_eq!(summary.median.interval, None);
    }

    #[test]
    fn the_interval_of_the_median_begins_at_six_values() {
        assert_eq!(counting(5).median().interval, None);
        let interval = counting(6).median().interval.unwrap();
        assert_eq!((interval.low, interval.high), (1.0, 6.0));
    }

    #[test]
    fn the_interval_of_the_median_is_the_tabled_pair_of_order_statistics() {
        // Conover's table A3 (binomial, p = 1/2): n and the rank of the lower end.
        for (n, rank) in [(8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (32, 10)] {
            let interval = counting(n).median().interval.unwrap();
            assert_eq!(interval.low, f64::from(rank), "n = {n}");
            assert_eq!(interval.high, f64::from(n + 1 - rank), "n = {n}");
        }
    }
}
