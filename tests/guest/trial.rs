//! A trial of this host and a container: paired runs, files that serve all blocks, and a duet whose
//! CPUs reach the container only through its launcher.

use std::process::{Command, Output};

use serde_json::Value;

use crate::common::{
    Running, WBENCH, allowed_cpus, assert_ended, names_in, result_in, temp_dir, text, tool,
};

const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/container/run");

/// Runs a trial with these arguments and returns its output and results.
fn trial(options: &str, launcher: &str, measurement: &str) -> (Output, Vec<Value>) {
    // Checked here so that the test, not the launcher, reports it missing.
    tool("runc");
    let directory = temp_dir();
    let mut command = Command::new(WBENCH);
    command
        .args("trial --json all.json --run-time 0.05".split(' '))
        .args(options.split(' '))
        .args(["--launch", "native=", "--launch", launcher, "--"])
        .args(measurement.split(' '))
        .current_dir(directory.path());
    let output = Running::start(command).finish();
    assert_eq!(names_in(directory.path()), ["all.json"]);
    let array = result_in(&directory.path().join("all.json"));
    (output, array.as_array().unwrap().clone())
}

#[test]
fn native_and_container_runs_are_paired_and_their_files_serve_all_blocks() {
    let launcher = format!(
        "runc={LAUNCHER} --container-binary {WBENCH} --container-data {{dir}} -- {{args}} --dir /data"
    );
    let measurement = "fileio --mode rndrw --files 2 --total-size 1M --flags none";
    let (output, results) = trial("--max-blocks 4", &launcher, measurement);
    assert_ended(&output, 2);
    for result in &results {
        assert_eq!(result["status"], "complete", "{}", result["error"]);
        let in_container = result["labels"]["env"] == "runc";
        assert_eq!(result["host"]["container"] != "none", in_container);
    }
    assert_eq!(results.len(), 8);
    assert!(text(&output.stdout).contains("change from native"));
}

#[test]
fn a_duet_in_a_container_that_is_not_bound_to_its_cpus_fails_with_advice() {
    if allowed_cpus().len() < 2 {
        return;
    }
    let unbound = format!(
        "runc=sh -c 'exec taskset -c {} {LAUNCHER} --container-binary {WBENCH} -- {{args}}'",
        allowed_cpus()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    );
    let options = "--duet --lead 3 --max-blocks 2 --warmup 0";
    let (output, results) = trial(options, &unbound, "cpu --max-prime 100");
    assert_ended(&output, 2);
    let failed = results
        .iter()
        .find(|result| result["labels"]["env"] == "runc")
        .unwrap();
    let error = failed["error"].as_str().unwrap();
    assert!(
        error.contains("pass {cpus} on to the environment"),
        "{error}"
    );
}
