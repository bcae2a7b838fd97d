//! `wbench suite`: its options.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::common::{Output, label, positive_seconds, start_at};
use super::numbers::positive;
use crate::cli::profile::{DEFAULT, built_in_names};
use crate::output::Destination;
use crate::plan::ClockChoice;
use crate::report::ReportFormat;
use crate::start::StartAt;
use crate::suite::Overrides;

#[derive(Debug, Args)]
pub(super) struct SuiteArgs {
    /// Profile to run: the name of a built-in profile, or a file
    #[arg(long, value_name = "NAME|FILE", default_value = DEFAULT, help = profile_help())]
    profile: PathBuf,

    /// Print the profile in the format of --profile FILE, and exit
    #[arg(long)]
    show: bool,

    /// Directory of the test files
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,

    /// Multiply times, events, total sizes and file sets by this factor, above 0 and at most 1
    #[arg(long, default_value = "1", value_name = "FACTOR", value_parser = scale)]
    scale: f64,

    /// Repeat the whole profile N times
    #[arg(long, default_value = "1", value_name = "N", value_parser = positive::<NonZeroU32>)]
    repeat: NonZeroU32,

    /// Resume the suite in the result file: run what is missing
    #[arg(long)]
    resume: bool,

    /// Worker threads [default: from the profile]
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroUsize>)]
    threads: Option<NonZeroUsize>,

    /// Pin each worker thread to one CPU, in turn
    #[arg(long)]
    pin: bool,

    /// Clock that times events [default: from the profile]
    #[arg(long, value_enum, value_name = "CLOCK")]
    clock: Option<ClockChoice>,

    /// Record statistics every N seconds in each result [default: from the profile]
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    report_interval: Option<Duration>,

    /// Prepare, then start the first measurement at this time: RFC 3339 in UTC, or seconds since
    /// 1970
    #[arg(long, value_name = "TIME", value_parser = start_at)]
    start_at: Option<StartAt>,

    /// Add a label to each result, such as env=kvm; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// Write the results as a JSON array to this file; - is standard output
    #[arg(long, default_value = "wbench-suite.json", value_name = "FILE")]
    json: Destination,

    /// Format of the report on standard output [default: text, one table; none with --quiet or
    /// --json -]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<ReportFormat>,

    /// Keep the test files
    #[arg(long)]
    keep: bool,

    /// Print no progress, and a report only with --format
    #[arg(long, short)]
    quiet: bool,
}

fn profile_help() -> String {
    format!(
        "Profile to run: the name of a built-in profile ({}), or a file",
        built_in_names()
    )
}

/// A suite to run.
#[derive(Debug)]
pub struct SuiteJob {
    /// The name of a built-in profile, or a file.
    pub profile: PathBuf,
    /// Only print the profile.
    pub show: bool,
    /// Options that override the profile's.
    pub overrides: Overrides,
    /// Rounds of the whole profile.
    pub rounds: NonZeroU32,
    /// Resume the suite in the result file.
    pub resume: bool,
    /// When the first measurement starts.
    pub start_at: Option<StartAt>,
    /// Where the results are written.
    pub json: Destination,
    /// Format of the report on standard output.
    pub report: Option<ReportFormat>,
    /// Keep the test files.
    pub keep: bool,
    /// Print no progress.
    pub quiet: bool,
}

impl SuiteArgs {
    /// Fails if two documents would be printed on standard output.
    pub(super) fn into_job(self) -> Result<SuiteJob> {
        let json = self.json;
        let output = Output::of(Some(json.clone()), self.format, self.quiet)?;
        Ok(SuiteJob {
            profile: self.profile,
            show: self.show,
            overrides: Overrides {
                scale: self.scale,
                dir: self.dir,
                threads: self.threads,
                pin: self.pin,
                clock: self.clock,
                report_interval: self.report_interval,
                labels: self.labels.into_iter().collect(),
            },
            rounds: self.repeat,
            resume: self.resume,
            start_at: self.start_at,
            json,
            report: output.report,
            keep: self.keep,
            quiet: self.quiet,
        })
    }
}

fn scale(text: &str) -> Result<f64> {
    let scale: f64 = text
        .parse()
        .with_context(|| format!("invalid scale '{text}': expected a number"))?;
    ensure!(
        scale > 0.0 && scale <= 1.0,
        "invalid scale '{text}': expected more than 0 and at most 1; for longer runs, edit a \
         profile (--show) and run it with --profile FILE"
    );
    Ok(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_above_zero_and_at_most_one() {
        assert_eq!(scale("0.01").unwrap(), 0.01);
        assert_eq!(scale("1").unwrap(), 1.0);
        for text in ["0", "-1", "1.01", "NaN", "inf", "small", ""] {
            assert!(scale(text).is_err(), "{text}");
        }
    }
}
