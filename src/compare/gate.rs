//! Pass or fail, for CI.

use super::comparison::{Comparison, Verdict};
use super::output::title;

/// Result of the check against the threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// No row is worse by more than the threshold, and all rows have enough runs to decide.
    Pass,
    /// Rows that are worse by more than the threshold.
    Fail(Vec<String>),
    /// Inconclusive, with the reason.
    Untold(String),
}

impl Gate {
    /// Checks every comparison against the threshold: the largest acceptable change for the worse,
    /// in percent.
    pub fn of(comparison: &Comparison, limit_percent: f64) -> Self {
        let mut worse = Vec::new();
        let mut untold = Vec::new();
        let mut compared = 0;
        for row in comparison.rows() {
            for (group, against) in row.compared() {
                compared += 1;
                let name = || format!("{} of {}, {group}", row.metric, title::of(row));
                let by_percent = against.change.map(|change| {
                    let percent = 100.0 * change.value;
                    if row.metric.more_is_better() {
                        -percent
                    } else {
                        percent
                    }
                });
                match (against.verdict, by_percent) {
                    (Verdict::TooFew, _) => untold.push(name()),
                    (Verdict::Worse, None) => untold.push(name()),
                    (Verdict::Worse, Some(by)) if by > limit_percent => {
                        worse.push(format!("{}: worse by {by:.1} %", name()));
                    }
                    _ => {}
                }
            }
        }
        if !worse.is_empty() {
            return Self::Fail(worse);
        }
        if compared == 0 {
            return Self::Untold("no row has results of the baseline and of another group".into());
        }
        match untold.first() {
            None => Self::Pass,
            Some(first) => Self::Untold(format!(
                "{} of {compared} comparisons are inconclusive with this few runs ({first})",
                untold.len()
            )),
        }
    }
}
