//! Text logs of sysbench compared with results: each number is the one in the text.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use wbench::compare::metric::{Metric, Of, Percentile, Point};
use wbench::compare::read::read_bytes;
use wbench::compare::run::Run;

fn read(log: &str) -> Vec<Run> {
    let reading = read_bytes(log.as_bytes(), &"log".into());
    assert!(reading.bad.is_empty(), "{}\n{log}", reading.bad[0]);
    reading.runs
}

fn read_one(log: &str) -> Run {
    let mut runs = read(log);
    assert_eq!(runs.len(), 1, "{log}");
    runs.remove(0)
}

/// The number between two strings of a log.
fn between(log: &str, before: &str, after: &str) -> Option<f64> {
    let (_, rest) = log.split_once(before)?;
    rest.split_once(after)?.0.trim().parse().ok()
}

#[track_caller]
fn is(run: &Run, metric: &str, expected: Option<f64>) {
    let expected = expected.unwrap_or_else(|| panic!("the log has no {metric}"));
    let metric: Metric = metric.parse().unwrap();
    let read = metric.of(&run.figures).unwrap_or(f64::NAN);
    assert!(
        (read - expected).abs() <= 1e-9 * expected,
        "{metric}: {read}, {expected}"
    );
}

#[track_caller]
fn param(run: &Run, name: &str, expected: &str) {
    let read = run.facts.get(&format!("workload.{name}"));
    assert_eq!(read, Some(expected), "{name}");
}

/// Checks what all logs of a version contain.
fn common(run: &Run, log: &str, ms_end: &str) {
    is(run, "time", between(log, "total time:", "s\n"));
    let ms = |name: &str| Some(between(log, name, ms_end)? * 1e6);
    is(run, "latency-mean", ms("avg:"));
    is(run, "latency-max", ms("max:"));
    // Not printed at a low verbosity.
    if let Some(threads) = between(log, "Number of threads:", "\n") {
        param(run, "threads", &threads.to_string());
    }
}

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
    let run = read_one(&log);
    common(&run, &log, "\n");
    is(&run, "rate", between(&log, "events per second:", "\n"));
    is(
        &run,
        "p95",
        between(&log, "95th percentile:", "\n").map(|ms| ms * 1e6),
    );
    param(&run, "params.max_prime", "500");
    assert!(run.facts.get("tool.version").unwrap().starts_with("1.0."));

    let log = sysbench_1_0(
        dir.path(),
        "memory --memory-total-size=16M --memory-oper=read run",
    );
    let run = read_one(&log);
    common(&run, &log, "\n");
    is(
        &run,
        "rate",
        between(&log, "Total operations: 16384 (", " per second"),
    );
    is(
        &run,
        "bandwidth",
        between(&log, "MiB transferred (", " MiB/sec"),
    );
    for (name, value) in [
        ("block_size_bytes", "1024"),
        ("total_size_bytes", "16777216"),
        ("oper", "read"),
        ("scope", "global"),
    ] {
        param(&run, &format!("params.{name}"), value);
    }

    let files = "fileio --file-total-size=1M --file-num=4";
    sysbench_1_0(dir.path(), &format!("{files} prepare"));
    let modes = "--file-test-mode=rndrw --events=200 --percentile=99 --file-block-size=4K run";
    let log = sysbench_1_0(dir.path(), &format!("{files} {modes}"));
    let run = read_one(&log);
    common(&run, &log, "\n");
    is(
        &run,
        "p99",
        between(&log, "99th percentile:", "\n").map(|ms| ms * 1e6),
    );
    let sum = |a, b| Some(between(&log, a, "\n")? + between(&log, b, "\n")?);
    is(&run, "rate", sum("reads/s:", "writes/s:"));
    is(&run, "bandwidth", sum("read, MiB/s:", "written, MiB/s:"));
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
        param(&run, &format!("params.{name}"), value);
    }
}

/// Checks a report of 0.4.12 against its own text.
fn check_0_4_12(log: &str) {
    let run = read_one(log);
    common(&run, log, "ms");
    let percentile = log
        .split_once("approx.")
        .and_then(|(_, rest)| Some(rest.split_once("percentile:")?.0.trim().parse().unwrap()));
    let percentile = percentile.and_then(Percentile::of_percent);
    let told = between(log, "percentile:", "ms").filter(|ms| *ms < 1e7);
    let metric = |percentile| Metric::Latency(Of::Events, Point::At(percentile));
    match (percentile, told) {
        (Some(percentile), Some(ms)) => is(&run, &metric(percentile).to_string(), Some(ms * 1e6)),
        (Some(percentile), None) => assert_eq!(metric(percentile).of(&run.figures), None),
        _ => {}
    }
    match run.test.as_str() {
        "cpu" => {
            let events = between(log, "total number of events:", "\n").unwrap();
            let seconds = between(log, "total time:", "s\n").unwrap();
            is(&run, "rate", Some(events / seconds));
        }
        "memory" => {
            let (_, done) = log.split_once("Operations performed: ").unwrap();
            is(&run, "rate", between(done, "(", " ops/sec"));
            match between(log, "MB transferred (", " MB/sec") {
                Some(moved) => is(&run, "bandwidth", Some(moved)),
                None => assert_eq!(run.figures.mib_per_s, None),
            }
        }
        _ => {
            let (before, _) = log.split_once(" Requests/sec").unwrap();
            is(
                &run,
                "rate",
                before.lines().last().unwrap().trim().parse().ok(),
            );
            let (_, transferred) = log.split_once("Total transferred").unwrap();
            let mb = between(transferred, "(", "Mb/sec");
            let kb = || Some(between(transferred, "(", "Kb/sec")? / 1024.0);
            let gb = || Some(between(transferred, "(", "Gb/sec")? * 1024.0);
            is(&run, "bandwidth", mb.or_else(kb).or_else(gb));
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
    param(&read_one(&sequential), "params.merged_requests", "5");
    // One file may contain the output of a script: other commands and several runs.
    let whole = format!("$ ./study.sh\n{prepared}{random}\n{sequential}");
    let runs = read(&whole);
    assert_eq!(runs.len(), 2);
    let line = whole
        .lines()
        .position(|line| line.starts_with("Running the test"))
        .unwrap();
    assert!(runs[0].source.line <= line && runs[0].source.line > 2);
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
fn a_log_shares_a_row_with_the_result_of_the_same_parameters() {
    let dir = tempfile::tempdir().unwrap();
    let wbench = |line: &str| {
        let mut command = assert_cmd::Command::cargo_bin("wbench").unwrap();
        let command = command.current_dir(dir.path()).args(line.split(' '));
        command.output().unwrap().stdout
    };
    wbench("cpu --max-prime 500 --events 100 -q --json new.json");
    let old = wbench("--test=cpu --cpu-max-prime=500 --max-requests=100 run");
    fs::write(dir.path().join("old.log"), old).unwrap();
    let log = sysbench_1_0(dir.path(), "cpu --cpu-max-prime=500 --events=100 run");
    fs::write(dir.path().join("1.0.log"), log).unwrap();
    let told = wbench("compare old.log 1.0.log new.json --format json");
    let told: Value = serde_json::from_slice(&told).unwrap();
    let rows = told["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    let groups: Vec<_> = rows[0]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| &g["group"])
        .collect();
    assert_eq!(groups, ["old", "1.0", "new"]);
}
