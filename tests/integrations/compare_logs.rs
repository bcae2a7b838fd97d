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
fn logs_with_additional_output_of_sysbench_1_0_are_read_correctly() {
    let dir = tempfile::tempdir().unwrap();
    let files = "fileio --file-total-size=1M --file-num=4";
    sysbench_1_0(dir.path(), &format!("{files} prepare"));
    let tests = [
        ("cpu", "cpu --cpu-max-prime=500".to_owned()),
        ("memory", "memory --memory-total-size=1T".to_owned()),
        ("fileio", format!("{files} --file-test-mode=rndrw")),
        ("threads", "threads --thread-yields=5".to_owned()),
        (
            "mutex",
            "mutex --mutex-locks=1000 --mutex-loops=100".to_owned(),
        ),
    ];
    let options = [
        "--time=2 --histogram --report-interval=1 --report-checkpoints=1",
        "--time=1 --percentile=0",
    ];
    for (test, arguments) in tests {
        for option in options {
            let line = format!("{arguments} --threads=2 --verbosity=4 {option} run");
            let log = sysbench_1_0(dir.path(), &line);
            let run = read_one_run(&log);
            assert_eq!(run.test, test, "{line}");
            // The mutex test ends before its checkpoint.
            let (before, report) = match log.split_once("Checkpoint report:") {
                Some((_, rest)) => rest.split_once("execution time (avg/stddev):").unwrap(),
                None => ("", &log[..]),
            };
            let number = |name, end| number_between(report, name, end);
            let began = number_between(before, "total time:", "s\n").unwrap_or(0.0);
            let seconds = number("total time:", "s\n").unwrap() - began;
            assert_metric(&run, "time", Some(seconds));
            let ms = |name| number(name, "\n").map(|ms| ms * 1e6);
            assert_metric(&run, "latency-mean", ms("avg:"));
            assert_metric(&run, "latency-max", ms("max:"));
            match ms("95th percentile:") {
                None => assert!(run.figures.latency.percentiles.is_empty(), "{line}"),
                p95 => assert_metric(&run, "p95", p95),
            }
            let rate = match test {
                "cpu" => number("events per second:", "\n"),
                "memory" => number_between(
                    report.split_once("Total operations:").unwrap().1,
                    "(",
                    " per second",
                ),
                "fileio" => {
                    Some(number("reads/s:", "\n").unwrap() + number("writes/s:", "\n").unwrap())
                }
                _ => number("total number of events:", "\n").map(|events| events / seconds),
            };
            assert_metric(&run, "rate", rate);
        }
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
