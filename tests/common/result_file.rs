//! Runs that write a result file.

use std::path::Path;
use std::process::Output;

use crate::common::wbench;

/// Runs the program and returns its output whatever its status.
pub fn run(directory: &Path, args: &str) -> Output {
    wbench(directory, args).output().expect("the program ends")
}

/// Labels that make a result larger than the space reserved for it.
pub fn large_labels() -> Vec<String> {
    (0..4)
        .flat_map(|i| {
            [
                "--label".to_owned(),
                format!("l{i}={}", "x".repeat(100_000)),
            ]
        })
        .collect()
}

/// A run that ends at once.
pub const SHORT: &str = "cpu --max-prime 100 --events 3 --quiet";

/// Arguments of runs that would never end.
pub const ENDLESS: &str = "cpu --events 0 --time 0 --json";
