//! Sweeps in a directory of their own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Running, WBENCH, names_in, result_in, temp_dir};

/// Instances that end within hundredths of a second.
pub const TRIVIAL: &str = "cpu --max-prime 100 --events 10";

/// A directory that contains the instances' data directory and the result file.
pub struct Workspace {
    directory: TempDir,
}

impl Workspace {
    pub fn new() -> Self {
        let directory = temp_dir();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        Self { directory }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Parent of the instances' directories.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub fn command(&self, options: &str, launchers: &[&str], measurement: &str) -> Command {
        let mut command = Command::new(WBENCH);
        command
            .args("sweep --dir data --json all.json".split(' '))
            .args(options.split_whitespace())
            .args(launchers.iter().flat_map(|launcher| ["--launch", launcher]))
            .arg("--")
            .args(measurement.split_whitespace())
            .env("WBENCH", WBENCH)
            .current_dir(self.path());
        command
    }

    pub fn sweep(&self, options: &str, launchers: &[&str], measurement: &str) -> Output {
        Running::start(self.command(options, launchers, measurement)).finish()
    }

    pub fn file(&self) -> PathBuf {
        self.path().join("all.json")
    }

    pub fn results(&self) -> Vec<Value> {
        let array = result_in(&self.file());
        array.as_array().expect("an array").clone()
    }

    /// Checks that nothing is left of the instances and that the results are in one file.
    #[track_caller]
    pub fn assert_tidy(&self) {
        assert_eq!(names_in(self.path()), ["all.json", "data"]);
        assert!(names_in(&self.data()).is_empty());
    }
}

pub fn label<'a>(result: &'a Value, name: &str) -> &'a str {
    result["labels"][name].as_str().expect("a label")
}

/// Environment, concurrency and instance number, in the order of the file.
pub fn instances(results: &[Value]) -> Vec<(String, u32, u32)> {
    let number = |result, name| label(result, name).parse().unwrap();
    results
        .iter()
        .map(|result| {
            let env = label(result, "env").to_owned();
            (
                env,
                number(result, "concurrency"),
                number(result, "instance"),
            )
        })
        .collect()
}

/// Fails unless there is one result for each instance.
#[track_caller]
pub fn assert_each_once(results: &[Value], envs: &[&str], concurrency: &[u32], count: u32) {
    let found = instances(results);
    let once: BTreeSet<_> = found.iter().cloned().collect();
    assert_eq!(once.len(), found.len(), "an instance counts twice");
    let expected: BTreeSet<_> = envs
        .iter()
        .flat_map(|env| concurrency.iter().map(move |&k| (env.to_string(), k)))
        .flat_map(|(env, k)| (1..=count).map(move |number| (env.clone(), k, number)))
        .collect();
    assert_eq!(once, expected);
}

pub fn error(result: &Value) -> &str {
    result["error"].as_str().expect("an error")
}
