//! The run itself: its harness, its start, and how it differs from what was requested.

use std::fmt;

use super::{Code, Reason};
use crate::plan::RunPlan;
use crate::result::RunResult;

/// Largest share of the harness in the time of an event without a warning.
pub const HARNESS_SHARE: f64 = 0.1;

/// Longest delay of a start without a warning, in seconds: threads that wait for a CPU may take
/// as long.
pub const LATE_S: f64 = 0.05;

/// Why a run may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum RunWarning {
    /// The harness takes this share of the time of an event.
    HarnessShare(f64),
    /// The run began this many seconds after its start time.
    LateStart(f64),
    /// The files are smaller than requested, as this sentence says.
    RoundedFiles(String),
    /// The measurement is this share of what its profile says.
    Scaled(f64),
}

impl RunWarning {
    /// Returns the warnings of a result that the plan gave.
    pub fn of(result: &RunResult, plan: &RunPlan) -> impl Iterator<Item = Self> {
        let rounding = plan.files.as_ref().and_then(|files| files.set.rounding());
        Self::of_harness(result)
            .into_iter()
            .chain(Self::of_start(result))
            .chain(rounding.map(Self::RoundedFiles))
    }

    fn of_harness(result: &RunResult) -> Option<Self> {
        let overhead = result.harness.event_overhead_ns?;
        let work = result.latency_ns.as_ref()?.mean - result.harness.latency_floor_ns?;
        let is_empty = result.workload.params.test.has_empty_events();
        let share = overhead / (overhead + work.max(0.0));
        (share > HARNESS_SHARE && !is_empty).then_some(Self::HarnessShare(share))
    }

    fn of_start(result: &RunResult) -> Option<Self> {
        let late_s = result.start.as_ref()?.late_s?;
        (late_s > LATE_S).then_some(Self::LateStart(late_s))
    }
}

impl Reason for RunWarning {
    fn code(&self) -> Code {
        match self {
            Self::HarnessShare(_) => Code::HarnessShare,
            Self::LateStart(_) => Code::LateStart,
            Self::RoundedFiles(_) => Code::RoundedFiles,
            Self::Scaled(_) => Code::Scaled,
        }
    }
}

impl fmt::Display for RunWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HarnessShare(share) => write!(
                f,
                "the harness took {:.0} % of the time of each event: larger events, such as larger \
                 blocks, measure the work better",
                share * 100.0
            ),
            Self::LateStart(late_s) => write!(
                f,
                "started {late_s:.3} s after its --start-at: runs that were to start with it had the \
                 machine to themselves until then"
            ),
            Self::RoundedFiles(sentence) => f.write_str(sentence),
            Self::Scaled(scale) => write!(
                f,
                "scaled to {scale} of the profile (times, events, totals and file sets): a first \
                 look, not comparable with a full run"
            ),
        }
    }
}
