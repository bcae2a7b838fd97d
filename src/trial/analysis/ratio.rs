//! Ratio of an environment to the baseline, from the blocks so far.

use std::fmt;

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::autocorrelation::autocorrelation_time;
use super::bets::{Bets, Side};
use super::{Decision, Margin};
use crate::compare::stats::{ALPHA, ConfidenceInterval, Estimate, Outcome, PValue, Sample};

/// Ratio of an environment to the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedRatio {
    /// Number of blocks.
    pub blocks: usize,
    /// Number of sessions that are a sample of their own.
    pub sessions: usize,
    /// Two-sided p-value of no difference, valid like the interval.
    p: PValue,
    /// Natural logarithm of the ratio, with the confidence interval.
    ln: Estimate,
    /// Number of correlated blocks that say as much as an independent one.
    autocorrelation_time: f64,
}

impl PairedRatio {
    /// What the estimate is, for reports.
    pub const STATISTIC: &str = "Huber's estimate of location";

    /// Estimates the ratio from its natural logarithms in each block, in the order of the blocks.
    /// None without blocks.
    ///
    /// The confidence interval covers the ratio with a probability of at least 95 % after any number
    /// of blocks, together with those of all comparisons of a family of this size (Bonferroni).
    pub fn of(log_ratios: &[f64], family: usize) -> Option<Self> {
        let bets = Bets::on(log_ratios);
        let autocorrelation_time = autocorrelation_time(log_ratios);
        Some(Self {
            blocks: log_ratios.len(),
            sessions: 1,
            p: PValue {
                p: p_of_no_difference(&bets, autocorrelation_time),
                smallest: p_of_no_difference(&Bets::on(&vec![1.0; log_ratios.len()]), 1.0),
            },
            ln: Estimate {
                value: bets.center()?,
                interval: bets.interval(log_limit(family) * autocorrelation_time),
            },
            autocorrelation_time,
        })
    }

    /// Estimates the ratio from several sessions: the mean of their estimates, each of which is a
    /// single value of a sample, as a restart may change the ratio for the whole session.
    ///
    /// The confidence interval is that of Student's t. It assumes that the effects of restarts are
    /// nearly normal, and that the number of sessions does not depend on the ratios.
    pub fn of_sessions(sessions: &[Vec<f64>], family: usize) -> Option<Self> {
        let centers = sessions
            .iter()
            .filter_map(|session| Bets::on(session).center());
        let centers = Sample::new(centers.collect())?;
        let mean = centers.mean();
        Some(Self {
            blocks: sessions.iter().map(Vec::len).sum(),
            sessions: centers.n(),
            p: PValue {
                p: p_of_mean(&centers),
                smallest: 0.0,
            },
            ln: Estimate {
                value: mean,
                interval: half_width(&centers, family).map(|half| ConfidenceInterval {
                    low: mean - half,
                    high: mean + half,
                }),
            },
            autocorrelation_time: 1.0,
        })
    }

    /// Returns the comparison with no difference, as that of other significance tests.
    pub fn outcome(&self) -> Outcome {
        Outcome {
            direction: self.ln.value.total_cmp(&0.0),
            change: Some(self.change()),
            p: (self.blocks > 1 && (self.sessions > 1 || self.p.smallest > 0.0)).then_some(self.p),
        }
    }

    /// Whether the interval is at most as wide as that between the limits of a margin.
    pub fn is_precise(&self, margin: Margin) -> bool {
        let interval = self.ln.interval;
        interval.is_some_and(|interval| interval.high - interval.low <= 2.0 * margin.ln())
    }

    /// Returns the ratio minus 1, with its confidence interval.
    pub fn change(&self) -> Estimate {
        self.ln.map(f64::exp_m1)
    }

    /// Returns the number of independent blocks that would say as much.
    pub fn effective_blocks(&self) -> f64 {
        self.blocks as f64 / self.autocorrelation_time
    }

    /// Returns what the ratio means if differences within the margin do not matter.
    pub fn decide(&self, margin: Margin, more_is_better: bool) -> Decision {
        let Some(ConfidenceInterval { low, high }) = self.ln.interval else {
            return Decision::Undecided;
        };
        let limit = margin.ln();
        match (low > limit, high < -limit) {
            (true, _) if more_is_better => Decision::Faster,
            (true, _) => Decision::Slower,
            (_, true) if more_is_better => Decision::Slower,
            (_, true) => Decision::Faster,
            _ if low > -limit && high < limit => Decision::Equivalent,
            _ => Decision::Undecided,
        }
    }

    /// Estimates after how many blocks the interval lies within the margin or outside of it. None
    /// if there is no interval yet.
    pub fn blocks_until_decided(&self, margin: Margin) -> Option<f64> {
        let ConfidenceInterval { low, high } = self.ln.interval?;
        let from_limit = (self.ln.value.abs() - margin.ln()).abs();
        let half_width = (high - low) / 2.0;
        Some(self.blocks as f64 * (half_width / from_limit).powi(2).max(1.0))
    }
}

impl fmt::Display for PairedRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |change: f64| 100.0 * change;
        let change = self.change();
        write!(f, "{:+.2} %", percent(change.value))?;
        match change.interval {
            Some(ConfidenceInterval { low, high }) => {
                write!(f, " [{:+.2} %, {:+.2} %]", percent(low), percent(high))
            }
            None if self.sessions > 1 => f.write_str(" [too few sessions]"),
            None => f.write_str(" [too few blocks]"),
        }
    }
}

/// Returns the p-value of a center of 0: the inverse of the largest wealth, for two sides.
fn p_of_no_difference(bets: &Bets<'_>, autocorrelation_time: f64) -> f64 {
    let wealths = [Side::Above, Side::Below].map(|side| bets.log_wealth(0.0, side));
    let largest = wealths[0].max(wealths[1]) / autocorrelation_time;
    (2.0 * (-largest).exp()).min(1.0)
}

/// Returns the p-value of a mean of 0, by Student's t.
fn p_of_mean(sample: &Sample) -> f64 {
    let n = sample.n() as f64;
    let error = sample.variance().map(|variance| (variance / n).sqrt());
    let distribution = StudentsT::new(0.0, 1.0, n - 1.0).ok();
    match (error, distribution) {
        (Some(error), Some(distribution)) if error > 0.0 => {
            2.0 * distribution.sf(sample.mean().abs() / error)
        }
        _ => 1.0,
    }
}

/// Returns half of the width of the confidence interval of a mean, by Student's t; None for one value.
fn half_width(sample: &Sample, family: usize) -> Option<f64> {
    let n = sample.n() as f64;
    let error = (sample.variance()? / n).sqrt();
    let distribution = StudentsT::new(0.0, 1.0, n - 1.0).ok()?;
    Some(error * distribution.inverse_cdf(1.0 - ALPHA / (2.0 * family as f64)))
}

/// Returns the natural logarithm of the wealth at which a center is rejected: each side of each
/// interval of the family has an equal share of the significance level.
fn log_limit(family: usize) -> f64 {
    (2.0 * family as f64 / ALPHA).ln()
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn margin() -> Margin {
        Margin::of_percent(2.0).unwrap()
    }

    /// 40 log ratios, up to 0.4 % from a center.
    fn around(center: f64) -> Vec<f64> {
        let mut rng = SmallRng::seed_from_u64(3);
        let noise = std::iter::repeat_with(|| rng.random_range(-0.004..0.004));
        noise.take(40).map(|noise: f64| center + noise).collect()
    }

    fn decide(center: f64, more_is_better: bool) -> Decision {
        let ratio = PairedRatio::of(&around(center), 1).unwrap();
        ratio.decide(margin(), more_is_better)
    }

    #[test]
    fn the_whole_interval_decides() {
        for (center, more, less) in [
            (0.0, Decision::Equivalent, Decision::Equivalent),
            (0.05, Decision::Faster, Decision::Slower),
            (-0.05, Decision::Slower, Decision::Faster),
            (0.0198, Decision::Undecided, Decision::Undecided),
        ] {
            assert_eq!(decide(center, true), more, "{center}");
            assert_eq!(decide(center, false), less, "{center}");
        }
        let few = PairedRatio::of(&[5.0; 7], 1).unwrap();
        assert_eq!(few.decide(margin(), true), Decision::Undecided);
        assert!(few.to_string().contains("too few blocks"));
    }

    #[test]
    fn a_larger_family_has_wider_intervals() {
        let width = |family| {
            let ratio = PairedRatio::of(&around(0.0), family).unwrap();
            let interval = ratio.change().interval.unwrap();
            interval.high - interval.low
        };
        assert!(width(1) < width(2) && width(2) < width(10));
    }

    #[test]
    fn several_sessions_are_a_sample_of_their_estimates() {
        let sessions = [around(0.01), around(0.03), around(0.02)];
        let ratio = PairedRatio::of_sessions(&sessions, 1).unwrap();
        let change = ratio.change();
        // The 97.5 % quantile of t with 2 degrees of freedom is 4.302653; the deviation is 0.01.
        let half = 4.302653 * 0.01 / 3f64.sqrt();
        let low = change.interval.unwrap().low;
        let below = change.value.ln_1p() - low.ln_1p();
        assert!((below - half).abs() < 1e-6, "{below}");
        let one = PairedRatio::of_sessions(&sessions[..1], 1).unwrap();
        assert_eq!(one.change().interval, None);
    }
}
