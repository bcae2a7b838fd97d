//! Arguments of `wbench compare`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::compare::ComparisonOptions;
use crate::compare::group::Grouping;
use crate::compare::method::Method;
use crate::compare::metric::Metric;
use crate::compare::output::Format;
use crate::compare::read::Input;
use crate::output::Destination;

/// Arguments of `wbench compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Result files, logs of sysbench 0.4.12 and 1.0, directories of these, or - for standard
    /// input; each is a group, the first is the baseline
    #[arg(required = true, value_name = "FILE|DIR")]
    inputs: Vec<PathBuf>,

    /// Group by a label, parameter or field of the results (env, host.kernel) instead
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    /// Compare the other groups with this one [default: the first]
    #[arg(long, value_name = "GROUP")]
    baseline: Option<String>,

    /// Add a second axis: a label, parameter or field (concurrency, threads)
    #[arg(long, value_name = "NAME")]
    vary: Option<String>,

    /// Compare these metrics: rate, bandwidth, time, p50 to p99.9, latency-mean, fsync-p99, ...
    /// [default: bandwidth, or rate if no data is moved]
    #[arg(long = "metric", value_name = "METRIC", value_delimiter = ',')]
    metrics: Vec<Metric>,

    /// Significance test [default: paired for the file of a trial without --by, else mann-whitney]
    #[arg(long = "test", value_enum, value_name = "TEST")]
    method: Option<Method>,

    /// Include interrupted and failed runs
    #[arg(long)]
    include_incomplete: bool,

    /// Report unreadable input and continue without it
    #[arg(long)]
    skip_bad: bool,

    /// Exit with status 1 if a row is significantly worse by more than this, with 2 if that is
    /// inconclusive
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    fail_above: Option<f64>,

    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// Write the comparison to this file [default: standard output]
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "-",
        hide_default_value = true
    )]
    output: Destination,

    /// Color in the table
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    color: Color,
}

/// When a table has colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// A comparison to make.
#[derive(Debug)]
pub struct CompareJob {
    /// Where the results are.
    pub inputs: Vec<Input>,
    /// What to compare, and how.
    pub options: ComparisonOptions,
    /// Whether unreadable input is tolerated.
    pub skip_bad: bool,
    /// The threshold in percent.
    pub fail_above: Option<f64>,
    /// Output format.
    pub format: Format,
    /// Where the output goes.
    pub output: Destination,
    /// When it has colors.
    pub color: Color,
}

impl CompareArgs {
    /// Returns the job with all defaults filled in.
    pub fn into_job(self) -> CompareJob {
        CompareJob {
            inputs: self
                .inputs
                .iter()
                .map(|path| path.as_path().into())
                .collect(),
            options: ComparisonOptions {
                grouping: self.by.map_or(Grouping::Input, Grouping::By),
                baseline: self.baseline,
                vary: self.vary,
                metrics: self.metrics,
                method: self.method,
                include_incomplete: self.include_incomplete,
            },
            skip_bad: self.skip_bad,
            fail_above: self.fail_above,
            format: self.format,
            output: self.output,
            color: self.color,
        }
    }
}

fn percent(text: &str) -> Result<f64> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let percent = number.parse().ok();
    let accepted = |percent: &f64| percent.is_finite() && *percent >= 0.0;
    percent
        .filter(accepted)
        .context("expected 0% or more, such as 5%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_accepted_with_and_without_its_sign() {
        assert_eq!(percent("5%").unwrap(), 5.0);
        assert_eq!(percent("2.5 %").unwrap(), 2.5);
        assert_eq!(percent("0").unwrap(), 0.0);
        for text in ["", "%", "five", "-1%", "NaN", "inf%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
