//! Welch's t-test, and the relative change that corresponds to it.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{ALPHA, ConfidenceInterval, Estimate, Sample};

/// Two-sided test of whether two samples have the same mean.
///
/// Assumes independent values and near-normal means: samples that are large or from near-normal
/// distributions. Does not assume equal variances. See Welch, Biometrika 34 (1947), 28-35. Results
/// match `scipy.stats.ttest_ind` with `equal_var=False`.
#[derive(Debug, Clone, Copy)]
pub struct Welch {
    /// Difference of the means, sample less baseline.
    difference: f64,
    /// Its standard error.
    error: f64,
    /// Welch-Satterthwaite degrees of freedom; `None` if neither sample varies.
    freedom: Option<f64>,
}

/// Squared standard error of the mean; `None` for one value.
fn squared_error(sample: &Sample) -> Option<f64> {
    Some(sample.variance()? / sample.n() as f64)
}

impl Welch {
    /// Compares the means; `None` if a sample has only one value, and so no variance.
    pub fn of(baseline: &Sample, sample: &Sample) -> Option<Self> {
        let (a, b) = (squared_error(baseline)?, squared_error(sample)?);
        Some(Self {
            difference: sample.mean() - baseline.mean(),
            error: (a + b).sqrt(),
            freedom: freedom([(a, baseline.n()), (b, sample.n())]),
        })
    }

    /// Two-sided p-value.
    pub fn p(&self) -> f64 {
        match self.freedom.and_then(distribution) {
            Some(distribution) => 2.0 * distribution.sf((self.difference / self.error).abs()),
            None if self.difference == 0.0 => 1.0,
            None => 0.0,
        }
    }

    /// The difference of the means, sample less baseline, with its confidence interval at the
    /// significance level `alpha`. It excludes 0 exactly if p is below `alpha`.
    pub fn difference(&self, alpha: f64) -> Estimate {
        let t = match self.freedom {
            Some(freedom) => critical_t(freedom, alpha),
            None => Some(0.0),
        };
        Estimate {
            value: self.difference,
            interval: t.map(|t| ConfidenceInterval {
                low: self.difference - t * self.error,
                high: self.difference + t * self.error,
            }),
        }
    }
}

/// Welch-Satterthwaite degrees of freedom of the difference of two means, each with its squared
/// standard error and number of values; `None` if neither varies.
pub(super) fn freedom(means: [(f64, usize); 2]) -> Option<f64> {
    let total: f64 = means.iter().map(|(error, _)| error).sum();
    let parts = means.iter();
    let parts = parts.map(|(error, n)| error.powi(2) / (n - 1) as f64);
    (total > 0.0).then(|| total.powi(2) / parts.sum::<f64>())
}

fn distribution(freedom: f64) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, freedom).ok()
}

/// The critical value of |t| at the significance level `alpha`.
pub(super) fn critical_t(freedom: f64, alpha: f64) -> Option<f64> {
    Some(distribution(freedom)?.inverse_cdf(1.0 - alpha / 2.0))
}

/// Ratio of the means minus 1; `None` if any value is zero or negative.
///
/// Has Fieller's confidence interval with the test's degrees of freedom: all ratios r for which
/// mean(sample) - r mean(baseline) is within t standard errors of 0. It excludes 0 exactly if p is
/// below the significance level. There is no interval if the baseline's mean does not differ
/// significantly from 0. See Fieller, Journal of the Royal Statistical Society B 16 (1954),
/// 175-185.
pub fn relative(baseline: &Sample, sample: &Sample, test: Option<&Welch>) -> Option<Estimate> {
    let positive = baseline.values()[0].min(sample.values()[0]) > 0.0;
    positive.then(|| {
        let ratio = Estimate {
            value: sample.mean() / baseline.mean(),
            interval: test.and_then(|test| fieller(baseline, sample, test)),
        };
        ratio.map(|ratio| ratio - 1.0)
    })
}

fn fieller(baseline: &Sample, sample: &Sample, test: &Welch) -> Option<ConfidenceInterval> {
    let (a, b) = (baseline.mean(), sample.mean());
    let t2 = critical_t(test.freedom?, ALPHA)?.powi(2);
    let (error_a, error_b) = (squared_error(baseline)?, squared_error(sample)?);
    // (b - r a)^2 = t^2 (error_b + r^2 error_a), a quadratic in r.
    let square = a * a - t2 * error_a;
    let constant = b * b - t2 * error_b;
    let root = ((a * b).powi(2) - square * constant).max(0.0).sqrt();
    (square > 0.0).then(|| ConfidenceInterval {
        low: (a * b - root) / square,
        high: (a * b + root) / square,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample::new(values.to_vec()).unwrap()
    }

    #[test]
    fn samples_without_variance_have_a_p_of_one_or_zero() {
        let test = |a: &[f64], b: &[f64]| Welch::of(&sample(a), &sample(b)).unwrap().p();
        assert_eq!(test(&[2.0, 2.0], &[2.0, 2.0, 2.0]), 1.0);
        assert_eq!(test(&[2.0, 2.0], &[3.0, 3.0]), 0.0);
    }

    #[test]
    fn a_baseline_not_distinguishable_from_zero_has_no_confidence_interval() {
        let (baseline, other) = (sample(&[0.01, 100.0]), sample(&[50.0, 60.0]));
        let test = Welch::of(&baseline, &other);
        let change = relative(&baseline, &other, test.as_ref()).unwrap();
        assert_eq!(change.interval, None);
    }
}
