//! The result file from outside: its schema, its sums, and that it appears atomically.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use serde_json::{Value, json};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::result_file::{ENDLESS, SHORT, large_labels, run};
use crate::common::{
    Running, WBENCH, assert_ended, assert_valid, folder, names_in, number, parsed, result_in,
    result_of, text, tool, validator, wait_until, wbench,
};

/// Runs of each kind, covering everything a result can contain.
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
fn the_schema_rejects_invalid_results() {
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
fn a_result_states_its_program_and_time() {
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
fn the_histograms_contain_every_event_and_fsync_and_give_the_percentiles_in_the_result() {
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
        // A clock that is off by 0.1% is broken, here or there.
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
fn a_result_replaces_an_older_one_and_leaves_no_other_files() {
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
fn a_file_size_limit_too_low_for_a_result_is_detected_before_the_run() {
    let folder = folder();
    let mut command = tool("prlimit");
    command
        .args([
            "--fsize=1000",
            WBENCH,
            "cpu",
            "--events",
            "0",
            "--time",
            "0",
            "--json",
            "r.json",
        ])
        .current_dir(folder.path());
    let output = Running::start(command).finish();
    assert_ended(&output, 1);
    let message = text(&output.stderr);
    assert!(
        message.contains("r.json") && message.contains("ulimit -f"),
        "{message}"
    );
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn an_empty_file_name_is_refused_by_every_command_before_it_does_anything() {
    for words in [
        "cpu --events 0 --time 0 --json",
        "memory --json",
        "fileio --mode seqwr --files 2 --total-size 64K --keep --json",
        "fileio run --mode seqrd --json",
        "suite --json",
        "env --json",
        "compare . --output",
    ] {
        let folder = folder();
        let output = wbench(folder.path(), words).arg("").output().unwrap();
        assert_ended(&output, 2);
        assert!(
            text(&output.stderr).contains("the file name is empty"),
            "{words}"
        );
        assert_eq!(names_in(folder.path()), [""; 0]);
    }
    let folder = folder();
    let sweep = wbench(folder.path(), "sweep --concurrency 1 --count 1 --json")
        .args(["", "--", "cpu"])
        .output()
        .unwrap();
    assert_ended(&sweep, 2);
}

#[test]
fn a_pipe_without_a_reader_keeps_no_files_and_a_signal_ends_the_wait_for_one() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let folder = folder();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let words = "fileio --mode rndrd --files 2 --total-size 64K --dir data --json pipe";
        let mut run = Running::wbench(folder.path(), words);
        run.wait_for("events/s");
        wait_until("the end of the files", || {
            names_in(&folder.path().join("data")).is_empty()
        });
        assert!(run.is_running());
        run.signal(signal);
        let output = run.finish();
        assert_ended(&output, 128 + signal as i32);
        let message = text(&output.stderr);
        assert!(
            message.contains("cannot write pipe: interrupted by"),
            "{message}"
        );
    }
}

#[test]
fn a_pipe_gets_the_whole_result_once_it_has_a_reader_even_of_a_run_that_a_signal_ended() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut command = Command::new(WBENCH);
    command
        .args([
            "cpu",
            "--events",
            "0",
            "--report-interval",
            "0.05",
            "--json",
            "pipe",
        ])
        .args(large_labels())
        .current_dir(folder.path());
    let run = Running::start(command);
    run.wait_for("events/s");
    let reader = std::thread::spawn(move || fs::read(pipe).unwrap());
    run.signal(Signal::SIGTERM);
    let result = parsed(&reader.join().unwrap());
    assert_ended(&run.finish(), 143);
    assert_eq!(result["status"], "interrupted");
}

#[test]
fn a_signal_ends_the_wait_for_the_reader_of_standard_output() {
    let folder = folder();
    let (_reader, writer) = std::io::pipe().unwrap();
    // More than a pipe holds.
    let mut run = Command::new(WBENCH)
        .args(["cpu", "--max-prime", "100", "--events", "3", "--json", "-"])
        .args(large_labels())
        .current_dir(folder.path())
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = run.id();
    wait_until("a full pipe", || {
        let call = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        call.contains("poll")
    });
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(143));
}

#[test]
fn a_run_that_fails_before_it_begins_replaces_the_old_result_with_one_that_says_why() {
    let validator = validator();
    for (words, reason) in [
        ("fileio run --mode rndrd", "is missing; run 'prepare'"),
        ("fileio --mode rndrd --dir nowhere", "nowhere"),
        ("fileio --mode seqwr --dir file", "file"),
        ("cpu --threads 1000000 --events 1", "1000000"),
    ] {
        let folder = folder();
        fs::write(folder.path().join("r.json"), "old").unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let output = run(folder.path(), &format!("{words} --json r.json"));
        assert_ended(&output, 1);
        assert!(
            text(&output.stderr).contains(reason),
            "{words}: {}",
            text(&output.stderr)
        );
        assert_eq!(text(&output.stdout), "", "{words}");
        let result = result_in(&folder.path().join("r.json"));
        assert_valid(&validator, &result, words);
        assert_eq!(result["status"], "failed", "{words}");
        assert_eq!(result["ended_by"], "error", "{words}");
        assert!(
            result["error"].as_str().unwrap().contains(reason),
            "{words}"
        );
        assert_eq!(names_in(folder.path()), ["file", "r.json"], "{words}");
    }
}

#[test]
fn a_link_to_a_result_is_followed_and_a_dangling_link_is_refused() {
    let folder = folder();
    fs::create_dir(folder.path().join("results")).unwrap();
    fs::write(folder.path().join("results/1.json"), "old").unwrap();
    symlink("results/1.json", folder.path().join("latest.json")).unwrap();
    symlink("results/2.json", folder.path().join("dangling.json")).unwrap();
    assert_ended(
        &run(folder.path(), &format!("{SHORT} --json latest.json")),
        0,
    );
    assert!(folder.path().join("latest.json").is_symlink());
    let result = result_in(&folder.path().join("results/1.json"));
    assert_eq!(result["status"], "complete");
    let output = run(folder.path(), &format!("{ENDLESS} dangling.json"));
    assert_ended(&output, 1);
    assert!(text(&output.stderr).contains("symbolic link to a missing file"));
    assert_eq!(names_in(&folder.path().join("results")), ["1.json"]);
}
