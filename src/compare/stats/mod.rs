//! Statistics on samples; nothing here depends on what was measured.
//!
//! All results are closed-form or exact, without random resampling: the same samples give the same
//! result, to the last digit, on every machine.

mod estimate;
mod holm;
mod mann_whitney;
mod sample;
mod share;
mod shift;
mod significance;
mod welch;

pub use estimate::{ConfidenceInterval, Estimate};
pub use holm::holm;
pub use mann_whitney::{EXACT_UP_TO, MannWhitney};
pub use sample::{Sample, Summary};
pub use share::{PartOfWhole, share};
pub use significance::{Outcome, PValue, SignificanceTest};
pub use welch::Welch;

/// Confidence level of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// Significance level: a difference is significant if its corrected p-value is below this.
pub const ALPHA: f64 = 0.05;
