//! A comparison: what makes a difference between groups doubtful.

use std::fmt;

use super::{Code, Reason};
use crate::format::count;

/// Why a comparison may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum ComparisonWarning {
    /// A field differs between runs; `values` lists its values by group.
    Different {
        /// The field.
        field: DoubtfulField,
        /// Its values by group.
        values: String,
    },
    /// Some runs used the page cache, others bypassed it; the flags by group.
    BufferedAgainstDirect(String),
    /// Runs of a group with steal time.
    Steal {
        /// The group.
        group: String,
        /// Its runs with steal time above the threshold.
        runs: u64,
        /// The largest share.
        share: f64,
    },
    /// Runs of a group whose clock drifted.
    ClockDrift {
        /// The group.
        group: String,
        /// Its runs with drift above the threshold.
        runs: u64,
        /// The largest drift.
        ppm: f64,
    },
    /// Latencies of sysbench 1.0's fileio test include fsyncs.
    SysbenchFsyncs,
    /// A histogram cannot be decoded.
    BadHistogram {
        /// Where the result was read.
        source: String,
        /// Why it cannot be decoded.
        error: String,
    },
    /// Runs with different values of these labels are averaged.
    UnusedLabels(Vec<String>),
    /// Runs of a group that did not complete are included.
    Incomplete {
        /// The group.
        group: String,
        /// Its incomplete runs.
        runs: u64,
    },
}

/// A field whose difference casts doubt on a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoubtfulField {
    /// The clock that timed the events.
    ClockSource,
    /// The kernel's clock source.
    HostClocksource,
    /// The program that measured.
    ToolName,
    /// Its version.
    ToolVersion,
}

impl DoubtfulField {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::ClockSource,
        Self::HostClocksource,
        Self::ToolName,
        Self::ToolVersion,
    ];

    /// Its path in a result.
    pub fn path(self) -> &'static str {
        match self {
            Self::ClockSource => "clock.source",
            Self::HostClocksource => "host.clocksource",
            Self::ToolName => "tool.name",
            Self::ToolVersion => "tool.version",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::ClockSource => "different clocks timed the events",
            Self::HostClocksource => "the kernels had different clock sources",
            Self::ToolName => "different programs measured: their events may not be the same",
            Self::ToolVersion => "different versions of the program measured",
        }
    }
}

impl Reason for ComparisonWarning {
    fn code(&self) -> Code {
        match self {
            Self::Different { field, .. } => match field {
                DoubtfulField::ClockSource => Code::DifferentClockSource,
                DoubtfulField::HostClocksource => Code::DifferentHostClocksource,
                DoubtfulField::ToolName => Code::DifferentToolName,
                DoubtfulField::ToolVersion => Code::DifferentToolVersion,
            },
            Self::BufferedAgainstDirect(_) => Code::BufferedAgainstDirect,
            Self::Steal { .. } => Code::Steal,
            Self::ClockDrift { .. } => Code::ClockDrift,
            Self::SysbenchFsyncs => Code::SysbenchFsyncs,
            Self::BadHistogram { .. } => Code::BadHistogram,
            Self::UnusedLabels(_) => Code::UnusedLabel,
            Self::Incomplete { .. } => Code::Incomplete,
        }
    }
}

impl fmt::Display for ComparisonWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Different { field, values } => write!(f, "{}: {values}", field.reason()),
            Self::BufferedAgainstDirect(flags) => write!(
                f,
                "some runs used the page cache, others bypassed it: {flags}"
            ),
            Self::Steal { group, runs, share } => write!(
                f,
                "{group}: the hypervisor gave CPU time of this machine to others in {}, up to \
                 {:.1} % of it",
                count(*runs, "run"),
                share * 100.0
            ),
            Self::ClockDrift { group, runs, ppm } => write!(
                f,
                "{group}: the clock drifted in {}, by up to {ppm:.0} ppm",
                count(*runs, "run")
            ),
            Self::SysbenchFsyncs => {
                f.write_str("latencies of sysbench 1.0's fileio test include its fsyncs")
            }
            Self::BadHistogram { source, error } => write!(f, "{source}: {error}"),
            Self::UnusedLabels(labels) => write!(
                f,
                "runs with different values of {} are averaged: --vary {} separates them",
                labels.join(", "),
                labels.first().map_or("", String::as_str)
            ),
            Self::Incomplete { group, runs } => write!(
                f,
                "{group} includes {} that did not complete",
                count(*runs, "run")
            ),
        }
    }
}
