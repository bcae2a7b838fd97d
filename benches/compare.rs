//! Speed of `wbench compare` with 1,000 and 10,000 result files with histograms, from a warm page
//! cache.
//!
//! `cargo bench --bench compare [-- RUNS]` prints the median and range of several runs of the whole
//! program for each number of files, and the maximum resident memory. The exit status is 1 if a target
//! is missed. With `WBENCH_BASELINE=PATH`, another wbench binary, it compares the two in pairs instead.

mod paired;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use paired::{Comparison, Ranged, Target, WBENCH};
use paired::{pairs, sample, seconds_of, verdict, wbench};
use serde_json::{Value, json};
use wbench::compare::stats::Sample;

const GROUPS: [&str; 3] = ["native", "docker", "kvm"];

/// Targets for the larger number of files, on two cores.
const MAX_SECONDS: f64 = 1.0;
const MAX_MIB: i64 = 256;

/// Maximum ratio of the run times for ten times the number of files.
const MAX_RATIO: f64 = 15.0;

fn main() -> Result<ExitCode> {
    let dir = paired::work_dir()?;
    let met = match std::env::var("WBENCH_BASELINE") {
        Ok(baseline) => no_slower_than(dir.path(), &baseline)?,
        Err(_) => scales(dir.path())?,
    };
    Ok(match met {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn no_slower_than(dir: &Path, baseline: &str) -> Result<bool> {
    write_results(dir, 10_000)?;
    let comparison = Comparison {
        name: "compare of 10,000 results : baseline",
        unit: "1/s",
        target: Target::AtLeast(0.97),
    };
    let rate = |program: &str| compare(program, dir).map(|seconds| 1.0 / seconds);
    let outcome = comparison.run(pairs(7), || rate(WBENCH), || rate(baseline))?;
    Ok(outcome.meets_target())
}

fn scales(dir: &Path) -> Result<bool> {
    let few = measure(&dir.join("few"), 1_000)?.median().value;
    let many = measure(&dir.join("many"), 10_000)?.median().value;
    let ratio = many / few;
    let memory = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss() >> 10;
    let met = many < MAX_SECONDS && ratio < MAX_RATIO && memory < MAX_MIB;
    println!(
        "10,000 files: target below {MAX_SECONDS} s; ratio of the medians {ratio:.1}, target below \
         {MAX_RATIO}; maximum resident memory {memory} MiB, target below {MAX_MIB}: {}",
        verdict(met)
    );
    Ok(met)
}

/// Returns the durations of several comparisons of `files` result files, in seconds.
fn measure(dir: &Path, files: usize) -> Result<Sample> {
    write_results(dir, files)?;
    // The first run warms the page cache.
    compare(WBENCH, dir)?;
    let times = (0..pairs(7)).map(|_| compare(WBENCH, dir));
    let times = sample(times.collect::<Result<_>>()?)?;
    println!("{files} files: {} s", Ranged(&times));
    Ok(times)
}

fn compare(program: &str, dir: &Path) -> Result<f64> {
    seconds_of(|| {
        let status = Command::new(program)
            .arg("compare")
            .args(GROUPS)
            .args(["--format", "json"])
            .current_dir(dir)
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "{program} compare failed");
        Ok(())
    })
}

/// Writes copies of real results with varying rates, in one directory per group.
fn write_results(dir: &Path, files: usize) -> Result<()> {
    let patterns = ["rndrd", "rndrw", "seqrd", "rndwr"].map(|mode| run(dir, mode));
    let patterns: Vec<Value> = patterns.into_iter().collect::<Result<_>>()?;
    for i in 0..files {
        let group = dir.join(GROUPS[i % GROUPS.len()]);
        fs::create_dir_all(&group)?;
        let mut result = patterns[(i / GROUPS.len()) % patterns.len()].clone();
        result["labels"] = json!({"instance": i.to_string()});
        result["rates"]["mib_per_s"] = json!(100.0 + (i * 7919 % 1000) as f64 / 100.0);
        let text = serde_json::to_string_pretty(&result)?;
        fs::write(group.join(format!("{i}.json")), text)?;
    }
    Ok(())
}

fn run(dir: &Path, mode: &str) -> Result<Value> {
    fs::create_dir_all(dir)?;
    let set = "--total-size 64M --files 4 --events 10000";
    wbench(dir, &format!("fileio --mode {mode} --flags none {set}"))
}
