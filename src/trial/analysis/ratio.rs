//! Ratio of an environment to the baseline, from the blocks so far.

use std::fmt;

use super::autocorrelation::autocorrelation_time;
use super::bets::Bets;
use super::{Decision, Margin};
use crate::compare::stats::{ALPHA, ConfidenceInterval, Estimate};

/// Ratio of an environment to the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedRatio {
    /// Number of blocks.
    pub blocks: usize,
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
            ln: Estimate {
                value: bets.center()?,
                interval: bets.interval(log_limit(family) * autocorrelation_time),
            },
            autocorrelation_time,
        })
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
            None => f.write_str(" [too few blocks]"),
        }
    }
}

/// Returns the natural logarithm of the wealth at which a center is rejected: each side of each
/// interval of the family has an equal share of the significance level.
fn log_limit(family: usize) -> f64 {
    (2.0 * family as f64 / ALPHA).ln()
}
