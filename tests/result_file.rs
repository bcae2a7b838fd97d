//! The result file from outside: its schema, its sums, and that it appears whole or not at all.

mod common;

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use serde_json::{Value, json};

use common::{
    Running, assert_ended, assert_valid, folder, names_in, number, parsed, result_in, result_of,
    text, traced, validator, wbench,
};

/// Runs of each kind, with what a result can hold.
const RUNS: [&str; 6] = [
    "cpu --max-prime 300 --events 200 --threads 2 --pin --label env=test --report-interval 0.001",
    "cpu --max-prime 100 --events 10 --clock monotonic --percentile 99 --seed 3",
    "memory --oper read --total-size 1M --threads 2 --scope local --access rnd",
    "memory --oper none --total-size 1M --time 0",
    "fileio --mode rndrw --files 3 --total-size 96K --events 50 --fsync-freq 5 --threads 2",
    "fileio --mode seqwr --files 3 --total-size 96K --flags none --fsync-end off",
];

fn results() -> Vec<(&'static str, Value)> {
    let folder = folder();
    RUNS.into_iter()
        .map(|words| (words, result_of(folder.path(), words)))
        .collect()
}

#[test]
fn every_result_is_valid_by_the_published_schema() {
    let validator = validator();
    for (words, result) in results() {
        assert_valid(&validator, &result, words);
    }
}

#[test]
fn results_of_interrupted_and_failed_runs_are_valid_too() {
    let validator = validator();
    let folder = folder();
    let run = Running::wbench(
        folder.path(),
        "cpu --max-prime 500 --events 0 --report-interval 0.05 --json r.json",
    );
    run.wait_for("events/s");
    run.signal(nix::sys::signal::Signal::SIGINT);
    assert_ended(&run.finish(), 130);
    let interrupted = result_in(&folder.path().join("r.json"));
    assert_eq!(interrupted["status"], "interrupted");
    assert_valid(&validator, &interrupted, "interrupted");

    let words = "fileio --mode seqrd --files 2 --total-size 64K --json r.json";
    let run = traced(folder.path(), words, &["inject=pread64:error=EIO:when=1"]);
    assert_ended(&run.output, 1);
    let failed = result_in(&folder.path().join("r.json"));
    assert_eq!(failed["status"], "failed");
    assert_valid(&validator, &failed, "failed");
}

#[test]
fn the_schema_refuses_what_is_no_result() {
    let validator = validator();
    let good = result_of(Path::new("."), "cpu --max-prime 100 --events 3");
    for (pointer, value) in [
        ("/status", json!("splendid")),
        ("/totals/events", json!(-1)),
        ("/clock/source", json!("sundial")),
        ("/labels/n", json!(1)),
        ("/latency_ns/histogram", json!(null)),
    ] {
        let mut bad = good.clone();
        match bad.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => bad["labels"] = json!({"n": value}),
        }
        assert!(!validator.is_valid(&bad), "{pointer}");
    }
    for required in ["schema", "host", "totals", "threads", "status"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(required);
        assert!(!validator.is_valid(&bad), "{required}");
    }
}

#[test]
fn a_result_says_what_made_it_and_when() {
    let result = result_of(Path::new("."), "cpu --max-prime 100 --events 3");
    assert_eq!(result["schema"], "wbench.result/1");
    assert_eq!(result["tool"]["name"], "wbench");
    assert_eq!(result["tool"]["version"], env!("CARGO_PKG_VERSION"));
    let started = humantime::parse_rfc3339(result["started_at"].as_str().unwrap()).unwrap();
    let age = started.elapsed().unwrap_or_default();
    assert!(age.as_secs() < 600, "{age:?}");
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    for name in ["hostname", "kernel", "cpus", "virtualization", "cgroup"] {
        assert!(names(&result["host"]).contains(&name.to_owned()), "{name}");
    }
}

#[test]
fn sums_over_threads_are_the_totals_and_rates_the_totals_by_the_wall_time() {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0);
    for (words, result) in results() {
        let threads = result["threads"].as_array().unwrap();
        assert_eq!(threads.len() as f64, number(&result, "/workload/threads"));
        let sum = |name: &str| {
            threads
                .iter()
                .map(|t| t[name].as_f64().unwrap())
                .sum::<f64>()
        };
        let total = |name: &str| number(&result, &format!("/totals/{name}"));
        let events = total("events");
        assert!(near(sum("events"), events), "{words}");
        assert!(near(sum("event_time_s"), total("event_time_s")), "{words}");
        assert!(
            total("event_time_s") <= total("wall_s") * threads.len() as f64,
            "{words}: more time in events than there was"
        );
        let wall = total("wall_s");
        assert!(
            near(number(&result, "/rates/events_per_s"), events / wall),
            "{words}"
        );
        let mib = (total("bytes_read") + total("bytes_written")) / f64::from(1 << 20);
        assert!(
            near(number(&result, "/rates/mib_per_s"), mib / wall),
            "{words}"
        );
        let mean = number(&result, "/latency_ns/mean");
        assert!(near(mean * events / 1e9, total("event_time_s")), "{words}");
        if words.starts_with("fileio") {
            assert_eq!(events, total("reads") + total("writes"), "{words}");
        }
    }
}

fn histogram(latency: &Value) -> Histogram<u64> {
    let bytes = BASE64
        .decode(latency["histogram"].as_str().unwrap())
        .expect("base64");
    Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .expect("HdrHistogram V2 with DEFLATE")
}

#[track_caller]
fn assert_histogram_fits(latency: &Value, count: u64, words: &str) {
    let histogram = histogram(latency);
    assert_eq!(histogram.len(), count, "{words}");
    assert_eq!(histogram.sigfig(), 3);
    assert!(
        histogram.high() >= 3600 * 1_000_000_000,
        "1 h can't be told"
    );
    let max = latency["max"].as_u64().unwrap();
    for (name, percentile) in [
        ("p50", 50.0),
        ("p90", 90.0),
        ("p95", 95.0),
        ("p99", 99.0),
        ("p99_9", 99.9),
    ] {
        let of_histogram = histogram.value_at_percentile(percentile).min(max);
        assert_eq!(latency[name], of_histogram, "{words} {name}");
    }
    for (exact, rounded) in [
        (latency["min"].as_u64().unwrap(), histogram.min()),
        (max, histogram.max()),
    ] {
        assert!(
            exact.abs_diff(rounded) <= exact / 1000 + 1,
            "{words}: {exact} {rounded}"
        );
    }
    let mean = latency["mean"].as_f64().unwrap();
    assert!(
        (histogram.mean() - mean).abs() <= mean * 1e-3 + 1.0,
        "{words}"
    );
    let order: Vec<u64> = ["min", "p50", "p90", "p95", "p99", "p99_9", "max"]
        .iter()
        .map(|name| latency[name].as_u64().unwrap())
        .collect();
    assert!(order.is_sorted(), "{words}: {order:?}");
}

#[test]
fn the_histograms_hold_each_event_and_fsync_and_give_the_percentiles_that_stand_beside_them() {
    for (words, result) in results() {
        let count = |name: &str| result["totals"][name].as_u64().unwrap();
        assert_histogram_fits(&result["latency_ns"], count("events"), words);
        match count("fsyncs") {
            0 => assert!(result["fsync_latency_ns"].is_null(), "{words}"),
            fsyncs => assert_histogram_fits(&result["fsync_latency_ns"], fsyncs, words),
        }
    }
}

#[test]
fn clock_harness_and_noise_are_measured_in_every_run() {
    for (words, result) in results() {
        for positive in [
            "/harness/event_overhead_ns",
            "/harness/latency_floor_ns",
            "/clock/hz",
            "/clock/read_ns",
        ] {
            assert!(number(&result, positive) > 0.0, "{words} {positive}");
        }
        // A clock that is off by a part in a thousand is broken, here or there.
        assert!(
            number(&result, "/clock/drift_ppm").abs() < 1000.0,
            "{words}"
        );
        for counted in [
            "user_s",
            "system_s",
            "involuntary_switches",
            "steal_s",
            "runqueue_wait_s",
        ] {
            assert!(
                number(&result, &format!("/noise/{counted}")) >= 0.0,
                "{words}"
            );
        }
    }
}

#[test]
fn a_result_takes_the_place_of_an_older_one_and_leaves_nothing_beside_it() {
    let folder = folder();
    fs::write(folder.path().join("r.json"), "old").unwrap();
    for _ in 0..2 {
        wbench(
            folder.path(),
            "cpu --max-prime 100 --events 3 --json r.json",
        )
        .assert()
        .success();
        assert_eq!(names_in(folder.path()), ["r.json"]);
        let written = fs::read(folder.path().join("r.json")).unwrap();
        assert_eq!(written.last(), Some(&b'\n'));
        assert_eq!(parsed(&written)["status"], "complete");
    }
}

#[test]
fn a_result_that_cannot_be_written_leaves_the_old_one_and_still_tells_the_figures() {
    // The first write is of the result, as the report comes after it; so are sync and rename.
    for inject in [
        "inject=write:error=ENOSPC:when=1",
        "inject=fsync:error=EIO:when=1",
        "inject=/^rename:error=EIO:when=1",
    ] {
        let folder = folder();
        fs::write(folder.path().join("r.json"), "old").unwrap();
        let words = "cpu --max-prime 100 --events 3 --json r.json";
        let run = traced(folder.path(), words, &[inject]);
        assert_ended(&run.output, 1);
        let message = text(&run.output.stderr);
        assert!(message.contains("r.json"), "{inject}: {message}");
        assert_eq!(names_in(folder.path()), ["r.json"], "{inject}");
        assert_eq!(fs::read(folder.path().join("r.json")).unwrap(), b"old");
        let report = text(&run.output.stdout);
        assert!(
            report.contains("events/s"),
            "{inject}: the figures are lost"
        );
    }
}

#[test]
fn a_result_is_synced_before_it_gets_its_name() {
    let folder = folder();
    let words = "cpu --max-prime 100 --events 3 --json r.json";
    let run = traced(folder.path(), words, &[]);
    assert_ended(&run.output, 0);
    let calls = run.calls_of_the_main_thread();
    let place = |what: &str| {
        calls
            .iter()
            .position(|line| line.starts_with(what))
            .unwrap_or_else(|| panic!("no {what}"))
    };
    assert!(place("write(") < place("fsync(") && place("fsync(") < place("rename"));
    assert!(calls[place("rename")].contains("r.json"));
}
