//! `wbench suite`: its options.

use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::common::{
    DirArgs, FormatArgs, JsonArgs, KeepArgs, LabelArgs, Output, QuietArgs, ResumeArgs, RunArgs,
    with_default,
};
use super::numbers::positive;
use crate::cli::profile::{DEFAULT, built_in_names};
use crate::output::Destination;
use crate::report::ReportFormat;
use crate::start::StartAt;
use crate::suite::Overrides;

#[derive(Debug, Args)]
#[command(
    mut_arg("threads", |arg| with_default(arg, "from the profile")),
    mut_arg("clock", |arg| with_default(arg, "from the profile")),
    mut_arg("report_interval", |arg| with_default(arg, "from the profile")),
    mut_arg("json", |arg| arg
        .help("Write the results as a JSON array to this file; - is standard output")
        .default_value("wbench-suite.json")),
)]
pub(super) struct SuiteArgs {
    /// Profile to run: the name of a built-in profile, or a file
    #[arg(long, value_name = "NAME|FILE", default_value = DEFAULT, help = profile_help())]
    profile: PathBuf,

    /// Print the profile in the format of --profile FILE, and exit
    #[arg(long)]
    show: bool,

    #[command(flatten)]
    dir: DirArgs,

    /// Multiply times, events, total sizes and file sets by this factor, above 0 and at most 1
    #[arg(long, default_value = "1", value_name = "FACTOR", value_parser = scale)]
    scale: f64,

    /// Repeat the whole profile N times
    #[arg(long, default_value = "1", value_name = "N", value_parser = positive::<NonZeroU32>)]
    repeat: NonZeroU32,

    #[command(flatten)]
    resume: ResumeArgs,

    #[command(flatten)]
    run: RunArgs,

    #[command(flatten)]
    label: LabelArgs,

    #[command(flatten)]
    json: JsonArgs,

    #[command(flatten)]
    format: FormatArgs,

    #[command(flatten)]
    keep: KeepArgs,

    #[command(flatten)]
    quiet: QuietArgs,
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
        let json = self.json.json.context("missing --json")?;
        let output = Output::of(Some(json.clone()), self.format.format, self.quiet.quiet)?;
        Ok(SuiteJob {
            profile: self.profile,
            show: self.show,
            overrides: Overrides {
                scale: self.scale,
                dir: self.dir.dir,
                threads: self.run.threads,
                pin: self.run.pin,
                clock: self.run.clock,
                report_interval: self.run.report_interval,
                labels: self.label.labels(),
            },
            rounds: self.repeat,
            resume: self.resume.resume,
            start_at: self.run.start_at,
            json,
            report: output.report,
            keep: self.keep.keep,
            quiet: output.quiet,
        })
    }
}

fn scale(text: &str) -> Result<f64> {
    let scale: f64 = text.parse().context("expected a number")?;
    ensure!(
        scale > 0.0 && scale <= 1.0,
        "expected more than 0 and at most 1; for longer runs, edit a \
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
