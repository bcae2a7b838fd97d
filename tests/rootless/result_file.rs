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
    Running, WBENCH, assert_ended, assert_valid, names_in, number, parsed, result_in, result_of,
    temp_dir, text, tool, validator, wait_until, wbench,
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
    let directory = temp_dir();
    RUNS.into_iter()
        .map(|args| (args, result_of(directory.path(), args)))
        .collect()
}

#[test]
fn every_result_is_valid_by_the_published_schema() {
    let validator = validator();
    for (args, result) in results() {
        assert_valid(&validator, &result, args);
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
    for (args, result) in results() {
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
        assert!(near(sum("events"), events), "{args}");
        assert!(near(sum("event_time_s"), total("event_time_s")), "{args}");
        assert!(
            total("event_time_s") <= total("wall_s") * threads.len() as f64,
            "{args}: more time in events than there was"
        );
        let wall = total("wall_s");
        assert!(
            near(number(&result, "/rates/events_per_s"), events / wall),
            "{args}"
        );
        let mib = (total("bytes_read") + total("bytes_written")) / f64::from(1 << 20);
        assert!(
            near(number(&result, "/rates/mib_per_s"), mib / wall),
            "{args}"
        );
        let mean = number(&result, "/latency_ns/mean");
        assert!(near(mean * events / 1e9, total("event_time_s")), "{args}");
        if args.starts_with("fileio") {
            assert_eq!(events, total("reads") + total("writes"), "{args}");
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
fn assert_histogram_fits(latency: &Value, count: u64, args: &str) {
    let histogram = histogram(latency);
    assert_eq!(histogram.len(), count, "{args}");
    assert_eq!(histogram.sigfig(), 3);
    assert!(
        histogram.high() >= 3600 * 1_000_000_000,
        "1 h is out of range"
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
        assert_eq!(latency[name], of_histogram, "{args} {name}");
    }
    for (exact, rounded) in [
        (latency["min"].as_u64().unwrap(), histogram.min()),
        (max, histogram.max()),
    ] {
        assert!(
            exact.abs_diff(rounded) <= exact / 1000 + 1,
            "{args}: {exact} {rounded}"
        );
    }
    let mean = latency["mean"].as_f64().unwrap();
    assert!(
        (histogram.mean() - mean).abs() <= mean * 1e-3 + 1.0,
        "{args}"
    );
    let order: Vec<u64> = ["min", "p50", "p90", "p95", "p99", "p99_9", "max"]
        .iter()
        .map(|name| latency[name].as_u64().unwrap())
        .collect();
    assert!(order.is_sorted(), "{args}: {order:?}");
}

#[test]
fn the_histograms_contain_every_event_and_fsync_and_give_the_percentiles_in_the_result() {
    for (args, result) in results() {
        let count = |name: &str| result["totals"][name].as_u64().unwrap();
        assert_histogram_fits(&result["latency_ns"], count("events"), args);
        match count("fsyncs") {
            0 => assert!(result["fsync_latency_ns"].is_null(), "{args}"),
            fsyncs => assert_histogram_fits(&result["fsync_latency_ns"], fsyncs, args),
        }
    }
}

#[test]
fn clock_harness_and_noise_are_measured_in_every_run() {
    for (args, result) in results() {
        for positive in [
            "/harness/event_overhead_ns",
            "/harness/latency_floor_ns",
            "/clock/hz",
            "/clock/read_ns",
        ] {
            assert!(number(&result, positive) > 0.0, "{args} {positive}");
        }
        // A clock that is off by 0.1% is broken, here or there.
        assert!(number(&result, "/clock/drift_ppm").abs() < 1000.0, "{args}");
        for counted in [
            "user_s",
            "system_s",
            "involuntary_switches",
            "steal_s",
            "runqueue_wait_s",
        ] {
            assert!(
                number(&result, &format!("/noise/{counted}")) >= 0.0,
                "{args}"
            );
        }
    }
}

#[test]
fn the_time_budget_adds_up_in_every_run() {
    for (args, result) in results() {
        let budget = result["accounting"].as_object().unwrap();
        let seconds = |name: &str| {
            budget[name]
                .as_f64()
                .unwrap_or_else(|| panic!("{args}: {name}"))
        };
        let thread_s = seconds("thread_s");
        let wall_s = number(&result, "/totals/wall_s") * number(&result, "/workload/threads");
        assert!(
            thread_s > 0.0 && thread_s <= wall_s * 1.001,
            "{args}: {budget:?}"
        );
        let components = [
            "user_s",
            "system_s",
            "contended_s",
            "throttled_s",
            "blocked_s",
            "stolen_s",
        ];
        let mut sum = seconds("unexplained_s");
        for component in components {
            assert!(seconds(component) >= 0.0, "{args}: {budget:?}");
            sum += seconds(component);
        }
        assert!((sum - thread_s).abs() < 1e-6, "{args}: {budget:?}");
        for count in [
            "voluntary_switches",
            "involuntary_switches",
            "migrations",
            "minor_faults",
            "major_faults",
        ] {
            assert!(budget[count].is_u64(), "{args}: {count}");
        }
    }
}

#[test]
fn a_result_replaces_an_older_one_and_leaves_no_other_files() {
    let directory = temp_dir();
    fs::write(directory.path().join("r.json"), "old").unwrap();
    for _ in 0..2 {
        wbench(
            directory.path(),
            "cpu --max-prime 100 --events 3 --json r.json",
        )
        .assert()
        .success();
        assert_eq!(names_in(directory.path()), ["r.json"]);
        let written = fs::read(directory.path().join("r.json")).unwrap();
        assert_eq!(written.last(), Some(&b'\n'));
        assert_eq!(parsed(&written)["status"], "complete");
    }
}

#[test]
fn a_file_size_limit_too_low_for_a_result_is_detected_before_the_run() {
    let directory = temp_dir();
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
        .current_dir(directory.path());
    let output = Running::start(command).finish();
    assert_ended(&output, 1);
    let message = text(&output.stderr);
    assert!(
        message.contains("r.json") && message.contains("ulimit -f"),
        "{message}"
    );
    assert_eq!(names_in(directory.path()), [""; 0]);
}

#[test]
fn an_empty_file_name_is_refused_by_every_command_before_it_does_anything() {
    for args in [
        "cpu --events 0 --time 0 --json",
        "memory --json",
        "fileio --mode seqwr --files 2 --total-size 64K --keep --json",
        "fileio run --mode seqrd --json",
        "suite --json",
        "env --json",
        "compare . --output",
    ] {
        let directory = temp_dir();
        let output = wbench(directory.path(), args).arg("").output().unwrap();
        assert_ended(&output, 2);
        assert!(
            text(&output.stderr).contains("the file name is empty"),
            "{args}"
        );
        assert_eq!(names_in(directory.path()), [""; 0]);
    }
    let directory = temp_dir();
    let sweep = wbench(directory.path(), "sweep --concurrency 1 --count 1 --json")
        .args(["", "--", "cpu"])
        .output()
        .unwrap();
    assert_ended(&sweep, 2);
}

#[test]
fn a_pipe_without_a_reader_keeps_no_files_and_a_signal_ends_the_wait_for_one() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let directory = temp_dir();
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(directory.path().join("data")).unwrap();
        let args = "fileio --mode rndrd --files 2 --total-size 64K --dir data --json pipe";
        let mut run = Running::wbench(directory.path(), args);
        run.wait_for("events/s");
        wait_until("the end of the files", || {
            names_in(&directory.path().join("data")).is_empty()
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
    let directory = temp_dir();
    let pipe = directory.path().join("pipe");
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
        .current_dir(directory.path());
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
    let directory = temp_dir();
    let (_reader, writer) = std::io::pipe().unwrap();
    // More than a pipe holds.
    let mut run = Command::new(WBENCH)
        .args(["cpu", "--max-prime", "100", "--events", "3", "--json", "-"])
        .args(large_labels())
        .current_dir(directory.path())
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
    for (args, reason) in [
        ("fileio run --mode rndrd", "is missing; run 'prepare'"),
        ("fileio --mode rndrd --dir nowhere", "nowhere"),
        ("fileio --mode seqwr --dir file", "file"),
        ("cpu --threads 1000000 --events 1", "1000000"),
    ] {
        let directory = temp_dir();
        fs::write(directory.path().join("r.json"), "old").unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        let output = run(directory.path(), &format!("{args} --json r.json"));
        assert_ended(&output, 1);
        assert!(
            text(&output.stderr).contains(reason),
            "{args}: {}",
            text(&output.stderr)
        );
        assert_eq!(text(&output.stdout), "", "{args}");
        let result = result_in(&directory.path().join("r.json"));
        assert_valid(&validator, &result, args);
        assert_eq!(result["status"], "failed", "{args}");
        assert_eq!(result["ended_by"], "error", "{args}");
        assert!(result["error"].as_str().unwrap().contains(reason), "{args}");
        assert_eq!(names_in(directory.path()), ["file", "r.json"], "{args}");
    }
}

#[test]
fn a_link_to_a_result_is_followed_and_a_dangling_link_is_refused() {
    let directory = temp_dir();
    fs::create_dir(directory.path().join("results")).unwrap();
    fs::write(directory.path().join("results/1.json"), "old").unwrap();
    symlink("results/1.json", directory.path().join("latest.json")).unwrap();
    symlink("results/2.json", directory.path().join("dangling.json")).unwrap();
    assert_ended(
        &run(directory.path(), &format!("{SHORT} --json latest.json")),
        0,
    );
    assert!(directory.path().join("latest.json").is_symlink());
    let result = result_in(&directory.path().join("results/1.json"));
    assert_eq!(result["status"], "complete");
    let output = run(directory.path(), &format!("{ENDLESS} dangling.json"));
    assert_ended(&output, 1);
    assert!(text(&output.stderr).contains("symbolic link to a missing file"));
    assert_eq!(names_in(&directory.path().join("results")), ["1.json"]);
}
