//! Alternating runs of wbench and a peer, so that other load on the machine affects both.
//!
//! The statistics are those of `wbench compare`.

#![allow(dead_code, reason = "each benchmark uses a part")]

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wbench::compare::stats::Sample;

/// The measured binary.
pub const WBENCH: &str = env!("CARGO_BIN_EXE_wbench");

/// Range of ratios that meets a target.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// Not below this.
    AtLeast(f64),
    /// Between these, inclusive.
    Within(f64, f64),
}

/// Two measurements of the same quantity, of which more is better, and the target for their ratio.
pub struct Comparison {
    /// What is compared.
    pub name: &'static str,
    /// Unit of both values.
    pub unit: &'static str,
    /// Target for wbench : peer.
    pub target: Target,
}

/// The values of both sides and their ratios by pair.
pub struct Outcome {
    comparison: Comparison,
    ours: Sample,
    peer: Sample,
    ratios: Sample,
}

impl Comparison {
    /// Runs both sides alternately, after one discarded pair, and prints the outcome. Which side
    /// runs first also alternates, so that neither always finds the state that the other left.
    pub fn run(
        self,
        pairs: usize,
        mut ours: impl FnMut() -> Result<f64>,
        mut peer: impl FnMut() -> Result<f64>,
    ) -> Result<Outcome> {
        let (mut our_values, mut peer_values) = (Vec::new(), Vec::new());
        for pair in 0..=pairs {
            let (our_value, peer_value) = match pair % 2 {
                0 => {
                    let first = ours()?;
                    (first, peer()?)
                }
                _ => {
                    let first = peer()?;
                    (ours()?, first)
                }
            };
            if pair > 0 {
                our_values.push(our_value);
                peer_values.push(peer_value);
            }
        }
        let ratios = our_values.iter().zip(&peer_values).map(|(a, b)| a / b);
        let outcome = Outcome {
            ratios: sample(ratios.collect())?,
            ours: sample(our_values)?,
            peer: sample(peer_values)?,
            comparison: self,
        };
        println!("{outcome}");
        Ok(outcome)
    }
}

impl Outcome {
    /// Returns whether the median ratio meets the target.
    pub fn meets_target(&self) -> bool {
        let ratio = self.ratios.median().value;
        match self.comparison.target {
            Target::AtLeast(least) => ratio >= least,
            Target::Within(least, most) => (least..=most).contains(&ratio),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { name, unit, target } = &self.comparison;
        write!(
            f,
            "{name:<58} {:>11.1} : {:>11.1} {unit:<8} ratio {}, target {target}: {}",
            self.ours.median().value,
            self.peer.median().value,
            Ranged(&self.ratios),
            verdict(self.meets_target())
        )
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::Within(least, most) => write!(f, "{least} to {most}"),
        }
    }
}

/// Formats a sample as its median, range and size.
pub struct Ranged<'a>(pub &'a Sample);

impl fmt::Display for Ranged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.0.values();
        write!(
            f,
            "{:.3} ({:.3} to {:.3}, n = {})",
            self.0.median().value,
            values[0],
            values[values.len() - 1],
            values.len()
        )
    }
}

/// Returns the sample of measured values.
pub fn sample(values: Vec<f64>) -> Result<Sample> {
    Sample::new(values).context("no values, or one is not finite")
}

/// Returns how a target was missed or met.
pub fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// Runs the named benchmarks of which the name contains one of the arguments, or all. Fails if one
/// misses its target.
pub fn run_selected<B>(
    benchmarks: &[(&str, B)],
    mut run: impl FnMut(&B) -> Result<bool>,
) -> Result<ExitCode> {
    let arguments = std::env::args().skip(1);
    let names: Vec<String> = arguments
        .filter(|argument| !argument.starts_with("--") && argument.parse::<usize>().is_err())
        .collect();
    let mut all_met = true;
    for (name, benchmark) in benchmarks {
        if names.is_empty() || names.iter().any(|part| name.contains(part.as_str())) {
            all_met &= run(benchmark).with_context(|| (*name).to_owned())?;
        }
    }
    Ok(match all_met {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Returns the number of pairs: the numeric argument, or the default.
pub fn pairs(default: usize) -> usize {
    let number = std::env::args().find_map(|argument| argument.parse().ok());
    number.unwrap_or(default)
}

/// Returns a temporary directory in `WBENCH_BENCH_DIR` or the directory of the build.
pub fn work_dir() -> Result<tempfile::TempDir> {
    let dir = std::env::var_os("WBENCH_BENCH_DIR");
    let dir = dir.map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    tempfile::tempdir_in(&dir).with_context(|| format!("cannot create a directory in {dir:?}"))
}

/// Runs wbench with space-separated arguments and returns its result.
pub fn wbench(dir: &Path, arguments: &str) -> Result<Value> {
    let mut command = Command::new(WBENCH);
    command.current_dir(dir).args(arguments.split(' '));
    command.args(["--quiet", "--json", "-"]);
    Ok(serde_json::from_str(&output(command)?)?)
}

/// Runs wbench and returns the events per second.
pub fn wbench_rate(dir: &Path, arguments: &str) -> Result<f64> {
    let result = wbench(dir, arguments)?;
    let rate = result["rates"]["events_per_s"].as_f64();
    rate.context("no rate in the result")
}

/// Runs wbench for its effect.
pub fn wbench_step(dir: &Path, arguments: &str) -> Result<()> {
    let mut command = Command::new(WBENCH);
    command.current_dir(dir).args(arguments.split(' '));
    output(command).map(drop)
}

/// Returns a command with space-separated arguments.
pub fn command(dir: &Path, line: &str) -> Command {
    let mut parts = line.split(' ');
    let mut command = Command::new(parts.next().unwrap_or_default());
    command.current_dir(dir).args(parts);
    command
}

/// Runs a command to its end and returns its standard output.
pub fn output(mut command: Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program:?}, which this benchmark needs"))?;
    let errors = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{program:?} failed: {errors}");
    Ok(String::from_utf8(done.stdout)?)
}

/// Returns the duration of some work in seconds.
pub fn seconds_of(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}
