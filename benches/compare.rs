//! The speed of a comparison: 1,000 and 10,000 result files with histograms, as wbench writes
//! them, read from a warm page cache.
//!
//! `cargo bench --bench compare` prints for each the median and the spread of several runs of the
//! whole program, with the largest memory of them, and fails where a target is missed.

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

/// Ten times the files may take so many times as long.
const LARGEST_RATIO: f64 = 15.0;

fn main() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let few = measure(dir.path(), 1_000);
    let many = measure(dir.path(), 10_000);
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    let children = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel knows");
    let memory = children.max_rss();
    println!(
        "ten times the files take {ratio:.1} times as long; {} MiB at most",
        memory >> 10
    );
    assert!(many < LONGEST, "10,000 files took {many:?}");
    assert!(ratio < LARGEST_RATIO, "{ratio:.1} times as long");
    assert!(memory < MOST_KIB, "{memory} KiB");
}

/// The median of some comparisons of so many files.
fn measure(dir: &Path, files: usize) -> Duration {
    let folder = dir.join(files.to_string());
    write(&folder, files);
    let mut times: Vec<Duration> = (0..=RUNS).map(|_| compare(&folder)).collect();
    // The first warmed the page cache.
    times.remove(0);
    times.sort();
    println!(
        "{files} files: median {:?}, {:?} to {:?} in {RUNS} runs",
        times[RUNS / 2],
        times[0],
        times[RUNS - 1]
    );
    times[RUNS / 2]
}

fn compare(folder: &Path) -> Duration {
    let start = Instant::now();
    let status = Command::new(WBENCH)
        .arg("compare")
        .args(GROUPS)
        .args(["--format", "json"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .status()
        .expect("wbench runs");
    assert!(status.success());
    start.elapsed()
}

/// Real results, each with rates of its own, in a folder for each group.
fn write(folder: &Path, files: usize) {
    let patterns = ["rndrd", "rndrw", "seqrd", "rndwr"].map(|mode| run(folder, mode));
    for i in 0..files {
        let group = folder.join(GROUPS[i % GROUPS.len()]);
        fs::create_dir_all(&group).expect("a folder can be made");
        let mut result = patterns[(i / GROUPS.len()) % patterns.len()].clone();
        result["labels"] = json!({"instance": i.to_string()});
        result["rates"]["mib_per_s"] = json!(100.0 + (i * 7919 % 1000) as f64 / 100.0);
        let text = serde_json::to_string_pretty(&result).expect("it is JSON");
        fs::write(group.join(format!("{i}.json")), text).expect("a file can be written");
    }
}

fn run(folder: &Path, mode: &str) -> Value {
    fs::create_dir_all(folder).expect("a folder can be made");
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
        .arg(folder)
        .output()
        .expect("wbench runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("it is a result")
}
