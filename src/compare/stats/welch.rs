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
    /// Difference of the means divided by its standard error.
    t: f64,
    /// Welch-Satterthwaite degrees of freedom; infinite if neither sample varies.
    freedom: f64,
}

/// Squared standard error of the mean; `None` for one value.
fn squared_error(sample: &Sample) -> Option<f64> {
    Some(sample.variance()? / sample.n() as f64)
}

impl Welch {
    /// Compares the means; `None` if a sample has only one value, and so no variance.
    pub fn of(baseline: &Sample, sample: &Sample) -> Option<Self> {
        let (a, b) = (squared_error(baseline)?, squared_error(sample)?);
        let part = |error: f64, sample: &Sample| error.powi(2) / (sample.n() - 1) as f64;
        let difference = sample.mean() - baseline.mean();
        let constant = a + b == 0.0;
        Some(Self {
            t: match constant && difference == 0.0 {
                true => 0.0,
                false => difference / (a + b).sqrt(),
            },
            freedom: match constant {
                true => f64::INFINITY,
                false => (a + b).powi(2) / (part(a, baseline) + part(b, sample)),
            },
        })
    }

    /// Two-sided p-value.
    pub fn p(&self) -> f64 {
        match (self.t.is_infinite(), self.distribution()) {
            (true, _) => 0.0,
            (false, Some(distribution)) => 2.0 * distribution.sf(self.t.abs()),
            (false, None) => 1.0,
        }
    }

    fn distribution(&self) -> Option<StudentsT> {
        let usable = self.freedom.is_finite();
        usable.then(|| StudentsT::new(0.0, 1.0, self.freedom).ok())?
    }

    /// The critical value of |t| at significance level [`ALPHA`].
    fn critical_t(&self) -> Option<f64> {
        Some(self.distribution()?.inverse_cdf(1.0 - ALPHA / 2.0))
    }
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
    let t2 = test.critical_t()?.powi(2);
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
