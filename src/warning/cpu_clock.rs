//! The effective clock of a CPU before and after a run.

use std::fmt;

use super::{Code, Reason};
use crate::result::Accounting;

/// Largest relative change of the effective clock during a run without a warning, in addition to
/// the error of both measurements: more than a step of turbo.
pub const CPU_CLOCK_CHANGE: f64 = 0.05;

/// The effective clock was not the same before and after the run.
#[derive(Debug, Clone, PartialEq)]
pub struct CpuClockWarning {
    /// Before, in GHz.
    pub before_ghz: f64,
    /// After, in GHz.
    pub after_ghz: f64,
}

impl CpuClockWarning {
    /// Returns the warning of a run.
    pub fn of(budget: &Accounting) -> Option<Self> {
        let (before_ghz, after_ghz) = (budget.cpu_ghz_before?, budget.cpu_ghz_after?);
        let change = (after_ghz / before_ghz - 1.0).abs();
        let uncertain = 2.0 * budget.cpu_ghz_error?;
        (change > CPU_CLOCK_CHANGE + uncertain).then_some(Self {
            before_ghz,
            after_ghz,
        })
    }
}

impl Reason for CpuClockWarning {
    fn code(&self) -> Code {
        Code::CpuClock
    }
}

impl fmt::Display for CpuClockWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the effective clock of the CPU was {:.2} GHz before and {:.2} GHz after the run: its \
             frequency changed, or a busy SMT sibling slowed it down",
            self.before_ghz, self.after_ghz
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(before: Option<f64>, after: Option<f64>, error: f64) -> Option<CpuClockWarning> {
        CpuClockWarning::of(&Accounting {
            cpu_ghz_before: before,
            cpu_ghz_after: after,
            cpu_ghz_error: Some(error),
            ..Accounting::default()
        })
    }

    #[test]
    fn a_change_above_the_threshold_and_the_errors_is_a_warning_in_either_direction() {
        let after = |change: f64| Some(3.0 * (1.0 + change));
        for sign in [1.0, -1.0] {
            assert_eq!(
                of(Some(3.0), after(sign * CPU_CLOCK_CHANGE * 0.99), 0.0),
                None
            );
            let found = of(Some(3.0), after(sign * CPU_CLOCK_CHANGE * 1.01), 0.0);
            assert!(found.is_some());
            let uncertain = of(Some(3.0), after(sign * CPU_CLOCK_CHANGE * 1.01), 0.002);
            assert_eq!(uncertain, None);
        }
        let sentence = of(Some(3.0), Some(2.0), 0.01).unwrap().to_string();
        assert!(
            sentence.contains("3.00 GHz before and 2.00 GHz after"),
            "{sentence}"
        );
    }

    #[test]
    fn an_unknown_clock_gives_no_warning() {
        assert_eq!(of(None, Some(2.0), 0.0), None);
        assert_eq!(of(Some(2.0), None, 0.0), None);
        assert_eq!(CpuClockWarning::of(&Accounting::default()), None);
    }
}
