//! How groups are compared.

use serde::Serialize;

use super::stats::SignificanceTest;

/// How a group is compared with the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Method {
    /// Mann-Whitney U: ranks only, no assumption about the shape of the distribution
    #[default]
    MannWhitney,
    /// Welch's t: means of samples that are near normal, or large
    Welch,
    /// Ratios within the blocks of a trial, valid whenever the trial stopped
    Paired,
}

impl Method {
    /// Returns the test of two samples that are not paired; None for [`Method::Paired`].
    pub fn unpaired(self) -> Option<SignificanceTest> {
        match self {
            Self::MannWhitney => Some(SignificanceTest::MannWhitney),
            Self::Welch => Some(SignificanceTest::Welch),
            Self::Paired => None,
        }
    }
}
