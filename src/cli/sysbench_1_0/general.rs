//! Options of all tests.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use super::options::{OptionSpec, find_general};
use super::refusal::{Checked, Refusal, Stream};
use super::split;
use super::values::GivenOptions;
use crate::report::sysbench::Verbosity;

/// General options, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct General {
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Limit for the number of events; `None` for no limit.
    pub events: Option<u64>,
    /// Limit for the time in seconds; `None` for no limit.
    pub time: Option<u64>,
    /// Seconds after the time limit at which a run that hangs is ended.
    pub forced_shutdown: Option<u64>,
    /// Stack size of worker threads in bytes.
    pub stack_size: u64,
    /// Events per second that are to start; `None` for no such rate.
    pub rate: Option<i32>,
    /// Seconds between interval lines.
    pub report_interval: Option<u64>,
    /// Times of the checkpoint reports in seconds, ascending.
    pub report_checkpoints: Vec<u64>,
    /// Seed as it was given; `None` for the current time.
    pub seed: Option<i32>,
    /// Output level.
    pub verbosity: Verbosity,
    /// Percentile of the report; `None` for none.
    pub percentile: Option<u8>,
    /// Whether to print a histogram.
    pub histogram: bool,
    /// Whether to print debugging output.
    pub debug: bool,
    /// Whether to check what can be checked.
    pub validate: bool,
}

/// Returns a general option.
pub(super) fn option(name: &str) -> &'static OptionSpec {
    find_general(name).expect("the name of a general option")
}

/// Adds the options of a file, which count as if they were given in its place.
///
/// Returns what is wrong with the file: 1.0 reports an unreadable one and ignores it.
pub(super) fn read_config_file(path: &str, values: &mut GivenOptions) -> Option<String> {
    let lines = match fs::read_to_string(Path::new(path)) {
        Ok(lines) => lines,
        Err(error) => {
            return Some(format!(
                "cannot read {path}: {error}; its options are ignored"
            ));
        }
    };
    for line in lines.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let (name, value) = split(line);
        if let Some(option) = find_general(&name) {
            values.set(option, value);
        }
    }
    None
}

impl General {
    /// Checks the options in the order of 1.0, which determines the first refusal. Adds the warnings
    /// that precede it.
    pub(super) fn of(values: &GivenOptions, warnings: &mut Vec<String>) -> Checked<Self> {
        let number = |name: &str| values.number(option(name));
        let mut renamed = |old: &str, new: &str, is_given: fn(i32) -> bool| -> Checked<i32> {
            let value = number(old)?;
            if !is_given(value) {
                return number(new);
            }
            warnings.push(format!("--{old} is deprecated, use --{new} instead"));
            Ok(value)
        };
        let threads = renamed("num-threads", "threads", |threads| {
            !(0..=1).contains(&threads)
        })?;
        let threads = match usize::try_from(threads) {
            Ok(threads) if threads > 0 => threads,
            _ => return Err(refused("--threads", format_args!("{threads}.\n"))),
        };
        let events = positive(renamed("max-requests", "events", |events| events != 0)?);
        let time = positive(renamed("max-time", "time", |time| time > 0)?);
        let rate = |warnings: &mut Vec<String>| -> Checked<i32> {
            let rate = number("tx-rate")?;
            if rate == 0 {
                return number("rate");
            }
            warnings.push("--tx-rate is deprecated, use --rate instead".to_owned());
            Ok(rate)
        };
        if events.is_none() && time.is_none() {
            warnings.push(
                "Both event and time limits are disabled, running an endless test".to_owned(),
            );
        }
        let forced_shutdown = match time {
            Some(time) => forced_shutdown(values, time)?,
            None => None,
        };
        let stack_size = values.size(option("thread-stack-size")).unwrap_or(0);
        if stack_size == 0 {
            return Err(refused("thread-stack-size", "0.\n"));
        }
        let seed = number("rand-seed")?;
        check_distribution(values)?;
        let rate = rate(warnings)?;
        let report_interval = number("report-interval")?;
        if report_interval < 0 {
            return Err(refused("--report-interval", report_interval));
        }
        let report_checkpoints = report_checkpoints(values)?;
        let debug = values.switch(option("debug"));
        let verbosity = match debug {
            true => Verbosity::DEBUG,
            false => verbosity(number("verbosity")?)?,
        };
        let percentile = number("percentile")?;
        let Some(percentile) = u8::try_from(percentile).ok().filter(|&it| it <= 100) else {
            return Err(refused("--percentile", percentile));
        };
        let histogram = values.switch(option("histogram"));
        if histogram && percentile == 0 {
            return Err(Refusal::fatal(
                "--histogram cannot be used with --percentile=0",
            ));
        }
        Ok(Self {
            threads,
            events,
            time,
            forced_shutdown,
            stack_size,
            rate: Some(rate).filter(|&rate| rate != 0),
            report_interval: positive(report_interval),
            report_checkpoints,
            seed: Some(seed).filter(|&seed| seed != 0),
            verbosity,
            percentile: Some(percentile).filter(|&percentile| percentile > 0),
            histogram,
            debug,
            validate: values.switch(option("validate")),
        })
    }
}

fn refused(option: &str, value: impl Display) -> Refusal {
    Refusal::fatal(format_args!("Invalid value for {option}: {value}"))
}

fn positive(number: i32) -> Option<u64> {
    u64::try_from(number).ok().filter(|&number| number > 0)
}

/// Returns the seconds between the time limit and the forced shutdown: as given, a percentage of
/// the limit, or 5 % of it.
fn forced_shutdown(values: &GivenOptions, time: u64) -> Checked<Option<u64>> {
    let Some(text) = values.text(option("forced-shutdown")) else {
        return Ok(Some(time * 5 / 100));
    };
    let seconds = match text.strip_suffix('%') {
        _ if text == "off" => return Ok(None),
        Some(percent) => percent
            .parse::<u32>()
            .map(|percent| time * u64::from(percent) / 100),
        None => text.parse::<u32>().map(u64::from),
    };
    let seconds = seconds.map_err(|_| refused("--forced-shutdown", format_args!("'{text}'")));
    seconds.map(Some)
}

/// Checks the options of the distribution of random numbers, which changes nothing in the system
/// tests.
fn check_distribution(values: &GivenOptions) -> Checked<()> {
    let name = values.text(option("rand-type")).unwrap_or_default();
    if !["uniform", "gaussian", "special", "pareto"].contains(&name) {
        return Err(Refusal::fatal(format_args!(
            "Invalid random numbers distribution: {name}."
        )));
    }
    for name in ["rand-spec-iter", "rand-spec-pct", "rand-spec-res"] {
        values.number(option(name))?;
    }
    Ok(())
}

/// Returns the times of the checkpoint reports, ascending.
fn report_checkpoints(values: &GivenOptions) -> Checked<Vec<u64>> {
    let text = values
        .text(option("report-checkpoints"))
        .unwrap_or_default();
    let mut times = Vec::new();
    for item in text.split(',').filter(|item| !item.is_empty()) {
        let seconds = item.parse::<u32>().map(u64::from);
        times.push(seconds.map_err(|_| refused("--report-checkpoints", format_args!("'{item}'")))?);
    }
    times.sort_unstable();
    Ok(times)
}

fn verbosity(level: i32) -> Checked<Verbosity> {
    match u8::try_from(level) {
        Ok(level) if level <= 5 => Ok(Verbosity(level)),
        _ => Err(Refusal {
            text: format!("Invalid value for verbosity: {level}\n"),
            stream: Stream::Stdout,
        }),
    }
}
