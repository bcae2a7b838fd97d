//! What a ratio means for the user.

use std::fmt;

/// Decision about an environment and a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Better than the baseline by more than the margin.
    Faster,
    /// Worse than the baseline by more than the margin.
    Slower,
    /// Within the margin.
    Equivalent,
    /// The confidence interval contains a limit of the margin.
    Undecided,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Equivalent => "equivalent",
            Self::Undecided => "undecided",
        })
    }
}
