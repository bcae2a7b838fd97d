//! `--start-at`: runs that begin together at a given time.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::common::{
    Running, assert_ended, names_in, number, parsed, result_in, result_of, temp_dir, text, wbench,
};

/// The time this many seconds from now, in seconds since 1970.
fn in_seconds(ahead: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("{:.6}", now.as_secs_f64() + ahead)
}

fn codes(result: &Value) -> Vec<&str> {
    let warnings = result["warnings"].as_array().unwrap();
    warnings
        .iter()
        .map(|warning| warning["code"].as_str().unwrap())
        .collect()
}

#[test]
fn every_test_waits_for_its_start_time() {
    let start_time = in_seconds(1.5);
    let runs = [
        "cpu --max-prime 100 --events 10",
        "memory --total-size 1M",
        "fileio --mode rndrd --files 2 --total-size 1M --events 10 --flags none",
        "fileio --mode seqwr --files 2 --total-size 1M --flags none",
    ]
    .map(|args| {
        let directory = temp_dir();
        let args = format!("{args} --start-at {start_time} --json -");
        let run = Running::wbench(directory.path(), &args);
        (args, directory, run)
    });
    let start_time: f64 = start_time.parse().unwrap();
    for (args, directory, run) in runs {
        let output = run.finish();
        assert_ended(&output, 0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(now.as_secs_f64() >= start_time, "{args}");
        let result = parsed(&output.stdout);
        assert_eq!(result["status"], "complete");
        assert!(number(&result, "/start/late_s") >= 0.0, "{args}");
        let requested = result["start"]["asked_at"].as_str().unwrap();
        let requested = humantime::parse_rfc3339(requested).unwrap();
        let requested = requested.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((requested - start_time).abs() < 1e-5);
        // To the second: when the run began, not when the process started.
        let started = humantime::parse_rfc3339(result["started_at"].as_str().unwrap()).unwrap();
        assert!(started.duration_since(UNIX_EPOCH).unwrap().as_secs_f64() >= requested.floor());
        assert!(names_in(directory.path()).is_empty());
    }
}

#[test]
fn files_are_created_before_the_start_time() {
    let directory = temp_dir();
    let args = format!(
        "fileio --mode rndrd --files 2 --total-size 1M --events 10 --flags none --start-at {}",
        in_seconds(3000.0)
    );
    let run = Running::wbench(directory.path(), &args);
    crate::common::wait_until("the files", || names_in(directory.path()).len() == 2);
    crate::common::wait_until("the threads at the start", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", run.pid()));
        tasks.is_ok_and(|tasks| tasks.count() == 2)
    });
    run.signal(Signal::SIGTERM);
    assert_ended(&run.finish(), 143);
    assert!(names_in(directory.path()).is_empty());
}

#[test]
fn no_run_starts_before_the_common_start_time() {
    let directory = temp_dir();
    let time = in_seconds(2.0);
    let args = format!("cpu --max-prime 1000 --events 100 --json - --start-at {time}");
    let runs: Vec<Running> = (0..8)
        .map(|_| Running::wbench(directory.path(), &args))
        .collect();
    let mut requested = BTreeSet::new();
    for run in runs {
        let output = run.finish();
        assert_ended(&output, 0);
        let result = parsed(&output.stdout);
        assert!(number(&result, "/start/late_s") >= 0.0);
        requested.insert(result["start"]["asked_at"].as_str().unwrap().to_owned());
    }
    assert_eq!(requested.len(), 1, "{requested:?}");
}

#[test]
fn a_signal_during_the_wait_ends_it() {
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let directory = temp_dir();
        let time = in_seconds(3000.0);
        let args = format!("cpu --start-at {time} --json r.json --threads 2 --report-interval 1");
        let run = Running::wbench(directory.path(), &args);
        crate::common::wait_until("the threads at the start", || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", run.pid()));
            tasks.is_ok_and(|tasks| tasks.count() == 3)
        });
        run.signal(signal);
        assert_ended(&run.finish(), status);
        let result = result_in(&directory.path().join("r.json"));
        assert_eq!(result["status"], "interrupted");
        assert_eq!(result["totals"]["events"], 0);
        assert_eq!(result["start"]["late_s"], Value::Null);
    }
}

#[test]
fn a_run_with_a_past_start_time_starts_at_once_and_reports_how_late() {
    let directory = temp_dir();
    let time = in_seconds(-5.0);
    let args = format!("cpu --max-prime 100 --events 10 --start-at {time}");
    let result = result_of(directory.path(), &args);
    assert_eq!(result["status"], "complete");
    assert!(number(&result, "/start/late_s") >= 5.0);
    assert!(codes(&result).contains(&"late-start"), "{result:#}");
    let report = wbench(directory.path(), &args).assert().success();
    let report = text(&report.get_output().stdout);
    assert!(report.contains("after its --start-at"), "{report}");
}

#[test]
fn a_run_without_a_start_time_records_none() {
    let directory = temp_dir();
    let result = result_of(directory.path(), "cpu --max-prime 100 --events 10");
    assert_eq!(result["start"], Value::Null);
    assert!(!codes(&result).contains(&"late-start"));
}

#[test]
fn a_start_time_that_is_invalid_or_days_ahead_is_refused() {
    let directory = temp_dir();
    let far = in_seconds(200_000.0);
    for (time, reason) in [
        (
            "soon",
            "invalid value 'soon' for '--start-at <TIME>': expected RFC 3339",
        ),
        ("2026-11-22T20:15:00", "expected RFC 3339"),
        (far.as_str(), "2.3 days ahead"),
    ] {
        let done = wbench(directory.path(), &format!("cpu --start-at {time}"))
            .assert()
            .code(2);
        let stderr = text(&done.get_output().stderr);
        assert!(stderr.contains(reason), "{stderr}");
    }
}
