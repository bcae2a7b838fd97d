//! The threshold for CI: pass, fail or inconclusive.

use super::comparison::{Comparison, ComparisonRow};
use super::output::title;
use super::verdict::{BaselineComparison, Verdict};

/// Result of the check against the threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThresholdCheck {
    /// No row is worse by more than the threshold, and all rows have enough runs to decide.
    Pass,
    /// Rows that are worse by more than the threshold.
    Fail(Vec<String>),
    /// Undecided, with the reason.
    Inconclusive(String),
}

impl ThresholdCheck {
    /// Checks every comparison against the threshold: the largest acceptable change for the worse,
    /// in percent.
    pub fn of(comparison: &Comparison, threshold_percent: f64) -> Self {
        let mut worse = Vec::new();
        let mut inconclusive = Vec::new();
        let mut compared = 0;
        for row in comparison.rows() {
            for (group, comparison) in row.compared() {
                compared += 1;
                let name = format!("{} of {}, {group}", row.metric, title::of(row));
                match (comparison.verdict(), percent_worse(row, comparison)) {
                    (Verdict::TooFew, _) | (Verdict::Worse, None) => inconclusive.push(name),
                    (Verdict::Worse, Some(percent)) if percent > threshold_percent => {
                        worse.push(format!("{name}: worse by {percent:.1} %"));
                    }
                    _ => {}
                }
            }
        }
        if !worse.is_empty() {
            return Self::Fail(worse);
        }
        if compared == 0 {
            return Self::Inconclusive(
                "no row has results of the baseline and of another group".into(),
            );
        }
        match inconclusive.first() {
            None => Self::Pass,
            Some(first) => Self::Inconclusive(format!(
                "{} of {compared} comparisons are inconclusive with this few runs ({first})",
                inconclusive.len()
            )),
        }
    }
}

/// How much worse the group is than the baseline; negative if better.
fn percent_worse(row: ComparisonRow<'_>, comparison: &BaselineComparison) -> Option<f64> {
    let percent = 100.0 * comparison.change?.value;
    Some(match row.metric.more_is_better() {
        true => -percent,
        false => percent,
    })
}
