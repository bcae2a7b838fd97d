//! Trial: this program run as an instance runs it, but with little work.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::Sweep;
use super::directory::SweepDirectory;
use super::process::terminate_with_parent;
use crate::plan::FilePlan;

/// Name of the trial's directory.
const DIRECTORY: &str = "trial";

/// Maximum bytes written by a trial.
const MAX_BYTES: u64 = 64 << 20;

/// Measures the time from the start of the program to its end with a single event.
pub(super) fn startup_time(sweep: &Sweep) -> Result<Duration> {
    let args = ["cpu", "--max-prime", "3", "--events", "1", "--quiet"].map(str::to_owned);
    let began = Instant::now();
    run_with_sweep(sweep, &args)?;
    Ok(began.elapsed())
}

/// Estimates the time to create a file set by creating a small one.
pub(super) fn prepare_time(
    sweep: &Sweep,
    directory: &SweepDirectory,
    files: &FilePlan,
) -> Result<Duration> {
    let Some(trial) = directory.create(DIRECTORY)? else {
        return Ok(Duration::ZERO);
    };
    let time = prepare_in(sweep, trial.path(), files);
    directory
        .remove(&trial)
        .map_err(|error| anyhow!("the trial run left files: {error}"))?;
    time
}

fn prepare_in(sweep: &Sweep, dir: &Path, files: &FilePlan) -> Result<Duration> {
    let total = files.set.total_size();
    let part = total.min(MAX_BYTES);
    let args = |step: &str| {
        let dir = dir.display().to_string();
        let size = part.to_string();
        [
            "fileio",
            step,
            "--quiet",
            "--files",
            "4",
            "--block-size",
            "1",
            "--total-size",
            &size,
            "--dir",
            &dir,
        ]
        .map(str::to_owned)
    };
    let began = Instant::now();
    let prepared = run_with_sweep(sweep, &args("prepare"));
    let time = began.elapsed();
    // Not terminated with the sweep: the files must be removed in any case.
    run(sweep, &mut this_program(sweep, &args("cleanup")))?;
    prepared?;
    Ok(time.mul_f64(total as f64 / part as f64))
}

/// Runs this program as a child that is terminated with the sweep.
fn run_with_sweep(sweep: &Sweep, args: &[String]) -> Result<()> {
    let mut command = this_program(sweep, args);
    terminate_with_parent(&mut command);
    run(sweep, &mut command)
}

fn this_program(sweep: &Sweep, args: &[String]) -> Command {
    let mut command = Command::new(&sweep.program);
    command.args(args).stdin(Stdio::null());
    command
}

fn run(sweep: &Sweep, command: &mut Command) -> Result<()> {
    let about = || format!("cannot run {}", sweep.program);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(about)?;
    let mut message = Vec::new();
    let stderr = child.stderr.take();
    let read = stderr.map(|mut stderr| stderr.read_to_end(&mut message));
    let status = child.wait().with_context(about)?;
    read.transpose()
        .context("cannot read the standard error of a trial run")?;
    ensure!(
        status.success(),
        "a trial run of one instance failed: {}",
        String::from_utf8_lossy(&message).trim()
    );
    Ok(())
}
