//! Speed of `wbench compare` with 1,000 and 10,000 result files with histograms, from a warm page
//! cache.
//!
//! `cargo bench --bench compare` prints the median and range of several runs of the whole program for
//! each number of files, and the maximum resident memory. It fails if a target is missed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

const WBENCH: &str = env!("CARGO_BIN_EXE_wbench");
const GROUPS: [&str; 3] = ["native", "docker", "kvm"];
const RUNS: usize = 7;

/// Targets for the larger number of files, on two cores.
const LONGEST: Duration = Duration::from_secs(1);
const MOST_KIB: i64 = 256 << 10;

/// Maximum ratio of the run times for ten times the number of files.
const LARGEST_RATIO: f64 = 15.0;

fn main() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let few = measure(dir.path(), 1_000);
    let many = measure(dir.path(), 10_000);
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    let children = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage");
    let memory = children.max_rss();
    println!(
        "ratio of the medians: {ratio:.1}; maximum resident memory: {} MiB",
        memory >> 10
    );
    assert!(many < LONGEST, "10,000 files took {many:?}");
    assert!(
        ratio < LARGEST_RATIO,
        "10,000 files took {ratio:.1} times as long as 1,000"
    );
    assert!(memory < MOST_KIB, "maximum resident memory: {memory} KiB");
}

/// Returns the median duration of several comparisons of `files` result files.
fn measure(dir: &Path, files: usize) -> Duration {
    let dir = dir.join(files.to_string());
    write(&dir, files);
    let mut times: Vec<Duration> = (0..=RUNS).map(|_| compare(&dir)).collect();
    // The first run warms the page cache.
    times.remove(0);
    times.sort();
    println!(
        "{files} files: median {:?} ({:?} to {:?}, n = {RUNS})",
        times[RUNS / 2],
        times[0],
        times[RUNS - 1]
    );
    times[RUNS / 2]
}

fn compare(dir: &Path) -> Duration {
    let start = Instant::now();
    let status = Command::new(WBENCH)
        .arg("compare")
        .args(GROUPS)
        .args(["--format", "json"])
        .current_dir(dir)
        .stdout(Stdio::null())
        .status()
        .expect("wbench runs");
    assert!(status.success());
    start.elapsed()
}

/// Writes copies of real results with varying rates, in one directory per group.
fn write(dir: &Path, files: usize) {
    let patterns = ["rndrd", "rndrw", "seqrd", "rndwr"].map(|mode| run(dir, mode));
    for i in 0..files {
        let group = dir.join(GROUPS[i % GROUPS.len()]);
        fs::create_dir_all(&group).expect("a temporary directory");
        let mut result = patterns[(i / GROUPS.len()) % patterns.len()].clone();
        result["labels"] = json!({"instance": i.to_string()});
        result["rates"]["mib_per_s"] = json!(100.0 + (i * 7919 % 1000) as f64 / 100.0);
        let text = serde_json::to_string_pretty(&result).expect("JSON");
        fs::write(group.join(format!("{i}.json")), text).expect("a result file");
    }
}

fn run(dir: &Path, mode: &str) -> Value {
    fs::create_dir_all(dir).expect("a temporary directory");
    let output = Command::new(WBENCH)
        .args(["fileio", "--mode", mode, "--flags", "none", "--json", "-"])
        .args([
            "--total-size",
            "64M",
            "--files",
            "4",
            "--events",
            "10000",
            "--dir",
        ])
        .arg(dir)
        .output()
        .expect("wbench runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a result")
}
