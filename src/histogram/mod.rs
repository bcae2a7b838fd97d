//! Histograms of durations: recording, merging, percentiles and encoding.
//!
//! The buckets are those of an HdrHistogram with 3 significant digits, so that a result file can be
//! read by every HdrHistogram library. This is the only module that knows the bucket formula: the
//! engine records with [`LatencyHistogram`], a comparison merges with [`Merger`].

mod buckets;
mod encoding;
mod latency;
mod merger;
mod percentile;

pub use encoding::decode;
pub use latency::LatencyHistogram;
pub use merger::Merger;
pub use percentile::{Percentile, Percentiles};
