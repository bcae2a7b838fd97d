//! Comparison of one group with the baseline, and its conclusion.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use super::metric::Metric;
use super::stats::{ALPHA, Estimate, Outcome, holm};

/// Comparison of a group with the baseline.
#[derive(Debug, Clone, Copy)]
pub struct BaselineComparison {
    /// Ratio minus 1; `None` if any value is zero or negative.
    pub change: Option<Estimate>,
    /// `None` if either group has only one run.
    pub p: Option<CorrectedP>,
    /// Whether the difference is for the better, significant or not.
    better: bool,
}

/// Two-sided p-value before and after Holm's correction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CorrectedP {
    /// The p-value of this comparison alone.
    pub raw: f64,
    /// Corrected for all comparisons of the report.
    pub holm: f64,
    /// The corrected p-value if no groups overlapped in any row: the smallest that these numbers of
    /// runs can give.
    #[serde(skip)]
    smallest: f64,
}

/// Conclusion of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Verdict {
    /// Significantly better.
    Better,
    /// Significantly worse.
    Worse,
    /// No significant difference.
    Undecided,
    /// Too few runs: even the largest difference would not be significant.
    TooFew,
}

impl BaselineComparison {
    /// A single comparison, before correction.
    pub fn new(metric: Metric, outcome: &Outcome) -> Self {
        Self {
            change: outcome.change,
            p: outcome.p.map(|p| CorrectedP {
                raw: p.p,
                holm: p.p,
                smallest: p.smallest,
            }),
            better: (outcome.direction == Ordering::Greater) == metric.more_is_better(),
        }
    }

    /// The conclusion.
    pub fn verdict(&self) -> Verdict {
        match self.p {
            Some(p) if p.holm < ALPHA && self.better => Verdict::Better,
            Some(p) if p.holm < ALPHA => Verdict::Worse,
            Some(p) if p.smallest < ALPHA => Verdict::Undecided,
            _ => Verdict::TooFew,
        }
    }
}

/// Corrects the p-values of all comparisons together. Returns their number.
pub fn correct<'a>(comparisons: impl Iterator<Item = &'a mut BaselineComparison>) -> usize {
    let mut tested: Vec<&mut CorrectedP> = comparisons
        .filter_map(|comparison| comparison.p.as_mut())
        .collect();
    let raw: Vec<f64> = tested.iter().map(|p| p.raw).collect();
    let smallest: Vec<f64> = tested.iter().map(|p| p.smallest).collect();
    let corrected = holm(&raw).into_iter().zip(holm(&smallest));
    for (p, (holm, smallest)) in tested.iter_mut().zip(corrected) {
        (p.holm, p.smallest) = (holm, smallest);
    }
    tested.len()
}

impl Verdict {
    /// Name in machine-readable output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Undecided => "undecided",
            Self::TooFew => "too-few",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Undecided => "~",
            Self::TooFew => "~ needs more runs",
        })
    }
}
