//! Text logs of sysbench compared with results: each number is the one in the text.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use wbench::compare::metric::{Metric, Statistic, Timed};
use wbench::histogram::Percentile;

use crate::common::WBENCH;
use crate::common::logs::{
    assert_common, assert_metric, assert_param, number_between, read_one_run, read_runs,
};

/// Checks a report of 0.4.12 against its own text.
fn check_0_4_12(log: &str) {
    let run = read_one_run(log);
    assert_common(&run, log, "ms");
    let percentile = log
        .split_once("approx.")
        .and_then(|(_, rest)| Some(rest.split_once("percentile:")?.0.trim().parse().unwrap()));
    let percentile = percentile.and_then(Percentile::of_percent);
    let ms = number_between(log, "percentile:", "ms").filter(|ms| *ms < 1e7);
    let metric = |percentile| Metric::Latency(Timed::Event, Statistic::Percentile(percentile));
    match (percentile, ms) {
        (Some(percentile), Some(ms)) => {
            assert_metric(&run, &metric(percentile).to_string(), Some(ms * 1e6))
        }
        (Some(percentile), None) => assert_eq!(metric(percentile).value(&run.figures), None),
        _ => {}
    }
    match run.test.as_str() {
        "cpu" => {
            let events = number_between(log, "total number of events:", "\n").unwrap();
            let seconds = number_between(log, "total time:", "s\n").unwrap();
            assert_metric(&run, "rate", Some(events / seconds));
        }
        "memory" => {
            let (_, done) = log.split_once("Operations performed: ").unwrap();
            assert_metric(&run, "rate", number_between(done, "(", " ops/sec"));
            match number_between(log, "MB transferred (", " MB/sec") {
                Some(moved) => assert_metric(&run, "bandwidth", Some(moved)),
                None => assert_eq!(run.figures.mib_per_s, None),
            }
        }
        _ => {
            let (before, _) = log.split_once(" Requests/sec").unwrap();
            assert_metric(
                &run,
                "rate",
                before.lines().last().unwrap().trim().parse().ok(),
            );
            let (_, transferred) = log.split_once("Total transferred").unwrap();
            let mb = number_between(transferred, "(", "Mb/sec");
            let kb = || Some(number_between(transferred, "(", "Kb/sec")? / 1024.0);
            let gb = || Some(number_between(transferred, "(", "Gb/sec")? * 1024.0);
            assert_metric(&run, "bandwidth", mb.or_else(kb).or_else(gb));
        }
    }
}

#[test]
fn every_number_in_a_report_in_the_format_of_0_4_12_is_read_correctly() {
    let dir = tempfile::tempdir().unwrap();
    let run = |line: &str| {
        let mut command = assert_cmd::Command::cargo_bin("wbench").unwrap();
        let command = command.current_dir(dir.path()).args(line.split(' '));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    check_0_4_12(&run(
        "--test=cpu --cpu-max-prime=500 --max-requests=100 --num-threads=2 run",
    ));
    check_0_4_12(&run(
        "--test=memory --memory-total-size=16M --percentile=99 run",
    ));
    check_0_4_12(&run(
        "--test=memory --memory-total-size=16M --memory-oper=none run",
    ));
    let files = "--test=fileio --file-num=4 --file-total-size=1M --file-block-size=4K";
    let prepared = run(&format!("{files} prepare"));
    let random = run(&format!(
        "{files} --file-test-mode=rndrw --max-requests=250 run"
    ));
    check_0_4_12(&random);
    let sequential = run(&format!(
        "{files} --file-test-mode=seqrd --file-merged-requests=5 run"
    ));
    check_0_4_12(&sequential);
    assert_param(&read_one_run(&sequential), "params.merged_requests", "5");
    // One file may contain the output of a script: other commands and several runs.
    let whole = format!("$ ./study.sh\n{prepared}{random}\n{sequential}");
    let runs = read_runs(&whole);
    assert_eq!(runs.len(), 2);
    let line = whole
        .lines()
        .position(|line| line.starts_with("Running the test"))
        .unwrap();
    assert!(runs[0].location.line <= line && runs[0].location.line > 2);
}

#[test]
fn every_number_in_the_recorded_reports_of_0_4_12_is_read_correctly() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference/cases");
    let Ok(cases) = fs::read_dir(cases) else {
        return;
    };
    let mut checked = 0;
    for case in cases {
        let case: Value = serde_json::from_slice(&fs::read(case.unwrap().path()).unwrap()).unwrap();
        for step in case["steps"].as_array().unwrap() {
            let log = step["stdout"].as_str().unwrap_or("");
            if log.contains("Test execution summary:") {
                check_0_4_12(log);
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn cpu_runs_with_the_loops_of_different_versions_are_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let wbench = |line: &str| {
        let mut command = assert_cmd::Command::cargo_bin("wbench").unwrap();
        command.current_dir(dir.path()).args(line.split(' '));
        command.output().unwrap().stdout
    };
    let old = wbench("--test=cpu --cpu-max-prime=500 --max-requests=9 run");
    fs::write(dir.path().join("old.log"), old).unwrap();
    std::os::unix::fs::symlink(WBENCH, dir.path().join("sysbench")).unwrap();
    let new = assert_cmd::Command::new(dir.path().join("sysbench"))
        .args(["cpu", "--cpu-max-prime=500", "--events=9", "run"])
        .output()
        .unwrap();
    fs::write(dir.path().join("new.log"), new.stdout).unwrap();
    wbench("cpu --max-prime 500 --events 9 -q --json native.json");
    let comparison = wbench("compare old.log new.log native.json --format json");
    let comparison: Value = serde_json::from_slice(&comparison).unwrap();
    let rows = comparison["rows"].as_array().unwrap().iter();
    let rows: BTreeMap<&str, Vec<&str>> = rows
        .map(|row| {
            let groups = row["groups"].as_array().unwrap().iter();
            let names = groups.filter_map(|group| group["group"].as_str());
            (row["params"]["bound"].as_str().unwrap(), names.collect())
        })
        .collect();
    let expected = [("double", vec!["new"]), ("integer", vec!["old", "native"])];
    assert_eq!(rows, BTreeMap::from(expected));
}
