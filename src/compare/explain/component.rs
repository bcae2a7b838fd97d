//! The components of the time of a run.

use std::fmt;

use serde::{Serialize, Serializer};

/// A component of the time that worker threads spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// In user mode.
    User,
    /// In the kernel.
    System,
    /// Ready to run, but waiting for a CPU that others used.
    Contended,
    /// Not allowed to run, because a cgroup had used up its CPU quota.
    Throttled,
    /// Contended or throttled, if a run does not distinguish them.
    Waiting,
    /// Asleep.
    Blocked,
    /// The CPU ran other guests.
    Stolen,
    /// Additional CPU time because the CPU's clock is slower than in the baseline.
    Clock,
    /// The rest, which may be negative.
    Unexplained,
}

impl Component {
    /// The name in machine-readable output.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::System => "system",
            Self::Contended => "contended",
            Self::Throttled => "throttled",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Stolen => "stolen",
            Self::Clock => "clock",
            Self::Unexplained => "unexplained",
        }
    }

    /// Whether the threads ran. Most kernels divide the time on a CPU into user and system by samples at
    /// timer ticks, so that in a short run only the sum of the two is exact.
    pub fn is_on_cpu(self) -> bool {
        matches!(self, Self::User | Self::System)
    }

    /// Whether the component can be the cause of a difference.
    pub fn can_be_cause(self) -> bool {
        self != Self::Unexplained
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::System => "system",
            Self::Contended => "waiting for a CPU (contended)",
            Self::Throttled => "waiting for a CPU quota (throttled)",
            Self::Waiting => "waiting for a CPU (contended or throttled)",
            Self::Blocked => "asleep (blocked)",
            Self::Stolen => "CPU given to other guests (stolen)",
            Self::Clock => "CPU clock",
            Self::Unexplained => "unexplained",
        })
    }
}

impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
