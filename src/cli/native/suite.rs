//! The words of `wbench suite`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::common::{Output, label, positive_seconds, start_at};
use crate::output::Destination;
use crate::plan::ClockChoice;
use crate::report::ReportFormat;
use crate::start::StartAt;
use crate::suite::Changes;
use crate::suite::profile::{DEFAULT, built_in_names};

#[derive(Debug, Args)]
pub(super) struct SuiteArgs {
    /// What to measure: the name of a built-in profile, or a file
    #[arg(long, value_name = "NAME|FILE", default_value = DEFAULT, help = profile_help())]
    profile: PathBuf,

    /// Print the profile, as --profile FILE takes it, and do nothing else
    #[arg(long)]
    show: bool,

    /// The folder of the test files
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    dir: PathBuf,

    /// A first look: times, events, totals and file sets by so much smaller, such as 0.01
    #[arg(long, default_value = "1", value_name = "FACTOR", value_parser = scale)]
    scale: f64,

    /// Measure all so many times, one round of the whole profile after the other
    #[arg(long, default_value = "1", value_name = "N")]
    repeat: NonZeroU32,

    /// Go on with the suite that the result file is of: measure what is missing in it
    #[arg(long)]
    resume: bool,

    /// Worker threads [default: as the profile says]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Bind each worker thread to a CPU of its own, as far as there are enough
    #[arg(long)]
    pin: bool,

    /// The clock that times events [default: as the profile says]
    #[arg(long, value_enum, value_name = "CLOCK")]
    clock: Option<ClockChoice>,

    /// Have statistics of every so many seconds in each result [default: as the profile says]
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    report_interval: Option<Duration>,

    /// Be ready, then begin the first measurement at this moment: RFC 3339 in UTC, or seconds since
    /// 1970, with decimals
    #[arg(long, value_name = "TIME", value_parser = start_at)]
    start_at: Option<StartAt>,

    /// A label for each result, such as env=kvm; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// Write the results as JSON to this file, an array; - for standard output, with nothing else
    /// on it
    #[arg(long, default_value = "wbench-suite.json", value_name = "FILE")]
    json: String,

    /// Print the results in this form; text: as one table [default: text; none with --quiet or
    /// --json -]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<ReportFormat>,

    /// Keep the test files
    #[arg(long)]
    keep: bool,

    /// Print no progress, and no table that was not asked for
    #[arg(long, short)]
    quiet: bool,
}

fn profile_help() -> String {
    format!(
        "What to measure: the name of a built-in profile ({}), or a file",
        built_in_names()
    )
}

/// A suite to be run.
#[derive(Debug)]
pub struct SuiteJob {
    /// The profile: the name of a built-in one, or a file.
    pub profile: PathBuf,
    /// Only print the profile.
    pub show: bool,
    /// What the profile's plans are changed by.
    pub changes: Changes,
    /// Rounds of the whole profile.
    pub rounds: NonZeroU32,
    /// Go on where the result file ends.
    pub resume: bool,
    /// The moment at which the first measurement begins.
    pub start_at: Option<StartAt>,
    /// Where the results go.
    pub json: Destination,
    /// The form in which they stand on standard output.
    pub report: Option<ReportFormat>,
    /// The test files stay.
    pub keep: bool,
    /// No progress.
    pub quiet: bool,
}

impl SuiteArgs {
    /// Fails where two documents would be on standard output.
    pub(super) fn into_job(self) -> Result<SuiteJob> {
        let json = Destination::from(self.json.as_str());
        let output = Output::of(Some(json.clone()), self.format, self.quiet)?;
        Ok(SuiteJob {
            profile: self.profile,
            show: self.show,
            changes: Changes {
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
        .with_context(|| format!("'{text}' is no number"))?;
    ensure!(
        scale > 0.0 && scale <= 1.0,
        "{text} is not above 0 and at most 1: for longer runs take a profile of your own \
         (--show, --profile FILE)"
    );
    Ok(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_shortens_and_leaves_something() {
        assert_eq!(scale("0.01").unwrap(), 0.01);
        assert_eq!(scale("1").unwrap(), 1.0);
        for text in ["0", "-1", "1.01", "NaN", "inf", "small", ""] {
            assert!(scale(text).is_err(), "{text}");
        }
    }
}
