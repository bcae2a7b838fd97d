//! `wbench compare` and `wbench show`: words become a question about results.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::compare::Question;
use crate::compare::group::Grouping;
use crate::compare::metric::Metric;
use crate::compare::output::Format;
use crate::compare::read::Input;
use crate::compare::stats;
use crate::output::Destination;
use crate::report::ReportFormat;

/// The words behind `wbench compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Result files, logs of sysbench 0.4.12 and 1.0, folders of them, - for standard input;
    /// each is a group, the first the baseline
    #[arg(required = true, value_name = "FILE|FOLDER")]
    inputs: Vec<PathBuf>,

    /// Group by a label, parameter or field of the results (env, host.kernel) instead
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    /// The group that the others are held against [default: the first]
    #[arg(long, value_name = "GROUP")]
    baseline: Option<String>,

    /// A second axis: a label, parameter or field (concurrency, threads)
    #[arg(long, value_name = "NAME")]
    vary: Option<String>,

    /// What to compare: rate, bandwidth, time, p50 to p99.9, latency-mean, fsync-p99, ...
    /// [default: bandwidth, or the rate where no bytes are moved]
    #[arg(long = "metric", value_name = "METRIC", value_delimiter = ',')]
    metrics: Vec<Metric>,

    /// How a difference is told from chance
    #[arg(long, value_enum, default_value_t, value_name = "TEST")]
    test: stats::Test,

    /// Count interrupted and failed runs too
    #[arg(long)]
    include_incomplete: bool,

    /// Name what can't be read, and go on without it
    #[arg(long)]
    skip_bad: bool,

    /// Exit with 1 when a row is worse by more than this, and significantly so; with 2 when that
    /// can't be told
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    fail_above: Option<f64>,

    /// The form of the comparison
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// Write it to this file [default: standard output]
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "-",
        hide_default_value = true
    )]
    output: Destination,

    /// Colours in the table; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    color: Color,
}

/// When a table has colours.
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

/// A comparison to be made.
#[derive(Debug)]
pub struct CompareJob {
    /// Where the results are.
    pub inputs: Vec<Input>,
    /// What is asked.
    pub question: Question,
    /// What can't be read is no reason to fail.
    pub skip_bad: bool,
    /// The most percent by which a row may be worse.
    pub fail_above: Option<f64>,
    /// The form of the answer.
    pub format: Format,
    /// Where it goes.
    pub output: Destination,
    /// When it has colours.
    pub color: Color,
}

impl CompareArgs {
    /// The job with every default filled in.
    pub fn into_job(self) -> CompareJob {
        CompareJob {
            inputs: self
                .inputs
                .iter()
                .map(|path| path.as_path().into())
                .collect(),
            question: Question {
                grouping: self.by.map_or(Grouping::Input, Grouping::By),
                baseline: self.baseline,
                vary: self.vary,
                metrics: self.metrics,
                test: self.test,
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

/// The words behind `wbench show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Result files; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The form of the report
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ReportFormat,
}

/// Results to be shown again.
#[derive(Debug)]
pub struct ShowJob {
    /// Where they are.
    pub inputs: Vec<Input>,
    /// How.
    pub format: ReportFormat,
}

impl ShowArgs {
    /// The job.
    pub fn into_job(self) -> ShowJob {
        ShowJob {
            inputs: self
                .files
                .iter()
                .map(|path| path.as_path().into())
                .collect(),
            format: self.format,
        }
    }
}

fn percent(text: &str) -> Result<f64> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let percent = number.parse().ok();
    let accepted = |percent: &f64| percent.is_finite() && *percent >= 0.0;
    percent
        .filter(accepted)
        .with_context(|| format!("invalid percentage '{text}': expected 0% or more, such as 5%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_taken_with_and_without_its_sign() {
        assert_eq!(percent("5%").unwrap(), 5.0);
        assert_eq!(percent("2.5 %").unwrap(), 2.5);
        assert_eq!(percent("0").unwrap(), 0.0);
        for text in ["", "%", "five", "-1%", "NaN", "inf%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
