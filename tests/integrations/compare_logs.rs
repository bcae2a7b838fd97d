//! Text logs of the installed sysbench 1.0: each number is read as it is in the text.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::logs::{
    assert_common, assert_metric, assert_param, number_between, read_one_run,
};

fn sysbench_1_0(dir: &Path, line: &str) -> String {
    let output = Command::new("sysbench")
        .args(line.split(' '))
        .current_dir(dir)
        .output()
        .expect("the package sysbench is installed");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_number_in_a_log_of_sysbench_1_0_is_read_correctly() {
    let dir = tempfile::tempdir().unwrap();
    let log = sysbench_1_0(
        dir.path(),
        "cpu --cpu-max-prime=500 --events=300 --threads=2 run",
    );
    let run = read_one_run(&log);
    assert_common(&run, &log, "\n");
    assert_metric(
        &run,
        "rate",
        number_between(&log, "events per second:", "\n"),
    );
    assert_metric(
        &run,
        "p95",
        number_between(&log, "95th percentile:", "\n").map(|ms| ms * 1e6),
    );
    assert_param(&run, "params.max_prime", "500");
    assert!(run.fields.get("tool.version").unwrap().starts_with("1.0."));

    let log = sysbench_1_0(
        dir.path(),
        "memory --memory-total-size=16M --memory-oper=read run",
    );
    let run = read_one_run(&log);
    assert_common(&run, &log, "\n");
    assert_metric(
        &run,
        "rate",
        number_between(&log, "Total operations: 16384 (", " per second"),
    );
    assert_metric(
        &run,
        "bandwidth",
        number_between(&log, "MiB transferred (", " MiB/sec"),
    );
    for (name, value) in [
        ("block_size_bytes", "1024"),
        ("total_size_bytes", "16777216"),
        ("oper", "read"),
        ("scope", "global"),
    ] {
        assert_param(&run, &format!("params.{name}"), value);
    }

    let files = "fileio --file-total-size=1M --file-num=4";
    sysbench_1_0(dir.path(), &format!("{files} prepare"));
    let modes = "--file-test-mode=rndrw --events=200 --percentile=99 --file-block-size=4K run";
    let log = sysbench_1_0(dir.path(), &format!("{files} {modes}"));
    let run = read_one_run(&log);
    assert_common(&run, &log, "\n");
    assert_metric(
        &run,
        "p99",
        number_between(&log, "99th percentile:", "\n").map(|ms| ms * 1e6),
    );
    let sum = |a, b| Some(number_between(&log, a, "\n")? + number_between(&log, b, "\n")?);
    assert_metric(&run, "rate", sum("reads/s:", "writes/s:"));
    assert_metric(&run, "bandwidth", sum("read, MiB/s:", "written, MiB/s:"));
    for (name, value) in [
        ("mode", "rndrw"),
        ("io_mode", "sync"),
        ("files", "4"),
        ("total_size_bytes", "1048576"),
        ("block_size_bytes", "4096"),
        ("flags", "none"),
        ("fsync_freq", "100"),
        ("fsync_end", "true"),
        ("fsync_mode", "fsync"),
        ("rw_ratio", "1.5"),
        ("max_requests", "200"),
    ] {
        assert_param(&run, &format!("params.{name}"), value);
    }
}

#[test]
fn a_log_shares_a_row_with_the_result_of_the_same_parameters() {
    let dir = tempfile::tempdir().unwrap();
    let wbench = |line: &str| {
        let mut command = assert_cmd::Command::cargo_bin("wbench").unwrap();
        let command = command.current_dir(dir.path()).args(line.split(' '));
        command.output().unwrap().stdout
    };
    wbench("cpu --max-prime 500 --events 100 -q --json new.json");
    wbench("memory --total-size 16M --oper read -q --json memory.json");
    let old = wbench("--test=cpu --cpu-max-prime=500 --max-requests=100 run");
    fs::write(dir.path().join("old.log"), old).unwrap();
    let log = sysbench_1_0(
        dir.path(),
        "memory --memory-total-size=16M --memory-oper=read run",
    );
    fs::write(dir.path().join("1.0.log"), log).unwrap();
    let rows_of = |files: &str| {
        let comparison = wbench(&format!("compare {files} --format json"));
        let mut comparison: Value = serde_json::from_slice(&comparison).unwrap();
        comparison["rows"].take().as_array().unwrap().clone()
    };
    for (files, names) in [
        ("old.log new.json", ["old", "new"]),
        ("1.0.log memory.json", ["1.0", "memory"]),
    ] {
        let rows = rows_of(files);
        assert_eq!(rows.len(), 1, "{rows:#?}");
        let groups = rows[0]["groups"].as_array().unwrap().iter();
        let groups: Vec<_> = groups.map(|group| &group["group"]).collect();
        assert_eq!(groups, names);
    }
}
