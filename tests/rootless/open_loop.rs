//! `--rate`, `--arrival` and `--warmup`: open loops and warm-ups of every test.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use crate::common::storage::BACKENDS;
use crate::common::{
    Running, assert_ended, assert_valid, names_in, number, result_in, result_of, temp_dir, text,
    validator, wbench,
};

fn codes(result: &Value) -> Vec<&str> {
    let warnings = result["warnings"].as_array().unwrap();
    let codes = warnings.iter().map(|warning| warning["code"].as_str());
    codes.map(Option::unwrap).collect()
}

#[track_caller]
fn assert_open_loop(result: &Value, rate: f64, args: &str) {
    assert_valid(&validator(), result, args);
    assert_eq!(
        number(result, "/workload/params/rate_per_s"),
        rate,
        "{args}"
    );
    let started = number(result, "/totals/events");
    let backlog = number(result, "/open_loop/backlog_events");
    let arrived = number(result, "/open_loop/arrived_events");
    assert_eq!(started + backlog, arrived, "{args}");
    if started > 0.0 {
        for statistic in ["min", "mean", "p50", "p99", "max"] {
            let latency = number(result, &format!("/latency_ns/{statistic}"));
            let service = number(result, &format!("/service_latency_ns/{statistic}"));
            assert!(
                latency >= service,
                "{args}: {statistic} {latency} < {service}"
            );
        }
    }
}

#[test]
fn threads_that_wait_for_their_next_event_are_blocked_without_a_warning() {
    let args = "cpu --max-prime 100 --rate 50 --arrival uniform --events 20";
    let result = result_of(Path::new("."), args);
    let share = number(&result, "/accounting/blocked_s") / number(&result, "/accounting/thread_s");
    assert!(share > 0.0, "{result:#}");
    assert!(!codes(&result).contains(&"blocked"), "{result:#}");
}

#[test]
fn every_test_and_engine_starts_its_events_when_they_arrive() {
    let fileio = "fileio --files 3 --total-size 1200K --flags none --events 100";
    let mut commands: Vec<String> = [
        "cpu --max-prime 100 --events 100",
        "memory --total-size 100K",
        "memory --total-size 100K --oper none",
        "threads --yields 1 --events 100",
        "mutex --locks 10 --loops 1 --threads 100",
    ]
    .map(String::from)
    .to_vec();
    for io in BACKENDS {
        commands.push(format!("{fileio} --mode rndrd --io {io}"));
        commands.push(format!("{fileio} --mode rndrw --fsync-freq 10 --io {io}"));
        commands.push(format!("{fileio} --mode rndwr --fsync-all --io {io}"));
        commands.push(format!("{fileio} --mode seqwr --io {io}"));
        commands.push(format!(
            "{fileio} --mode rndrw --validate --io {io} --threads 2"
        ));
    }
    for (number, command) in commands.iter().enumerate() {
        let arrival = ["poisson", "uniform"][number % 2];
        let args = format!("{command} --rate 5000 --arrival {arrival}");
        let directory = temp_dir();
        let result = result_of(directory.path(), &args);
        assert_eq!(result["ended_by"], "work", "{args}");
        assert_eq!(result["totals"]["events"], 100, "{args}");
        assert_eq!(result["workload"]["params"]["arrival"], arrival, "{args}");
        assert_open_loop(&result, 5000.0, &args);
    }
}

#[test]
fn an_open_loop_makes_the_requests_of_a_closed_one() {
    let directory = temp_dir();
    let args = "fileio --files 3 --total-size 1200K --flags none --events 300 --fsync-freq 20";
    for mode in ["seqrd", "rndrd", "seqwr", "rndwr", "rndrw"] {
        let totals = |more: &str| {
            let args = format!("{args} --mode {mode} {more}");
            let mut totals = result_of(directory.path(), &args)["totals"].clone();
            let times = totals.as_object_mut().unwrap();
            times.remove("wall_s");
            times.remove("event_time_s");
            totals
        };
        assert_eq!(totals("--rate 1e6"), totals(""), "{mode}");
    }
}

#[test]
fn uniform_arrivals_are_as_many_as_rate_and_time_say() {
    for (rate, arrived) in [("10", 5), ("332", 166), ("20000", 10000)] {
        let args = format!(
            "memory --total-size 1T --rate {rate} --arrival uniform --time 0.5 --threads 2"
        );
        let result = result_of(Path::new("."), &args);
        assert_eq!(result["ended_by"], "time", "{args}");
        assert_eq!(result["open_loop"]["arrived_events"], arrived, "{args}");
        assert!(number(&result, "/totals/wall_s") >= 0.5, "{args}");
    }
}

#[test]
fn a_rate_that_cannot_be_held_ends_at_the_time_limit_with_a_warning() {
    for io in BACKENDS {
        let directory = temp_dir();
        let args = format!(
            "fileio --mode rndrd --files 2 --total-size 1M --flags none --io {io} --events 0 \
             --time 0.3 --rate 1e12 --report-interval 0.1"
        );
        let result = result_of(directory.path(), &args);
        assert_eq!(result["status"], "complete");
        assert_eq!(result["ended_by"], "time");
        assert_open_loop(&result, 1e12, &args);
        let arrived = number(&result, "/open_loop/arrived_events");
        assert!((arrived / 3e11 - 1.0).abs() < 1e-3, "{arrived}");
        assert!(codes(&result).contains(&"rate-not-held"));
        let intervals = result["intervals"].as_array().unwrap();
        let backlogs = intervals.iter().map(|it| number(it, "/backlog_events"));
        let backlogs: Vec<f64> = backlogs.collect();
        // Those in intervals are expected numbers of arrivals.
        let grows = |pair: &[f64]| pair[1] >= pair[0] * (1.0 - 1e-6);
        assert!(backlogs.windows(2).all(grows), "{backlogs:?}");
    }
}

#[test]
fn a_rate_that_is_held_gives_no_warning_about_it() {
    let args = "cpu --max-prime 3 --events 20 --rate 20 --arrival uniform";
    let result = result_of(Path::new("."), args);
    assert!(!codes(&result).contains(&"rate-not-held"));
}

#[test]
fn more_threads_than_spare_cpus_give_a_warning_and_yield_while_they_wait() {
    let args = "cpu --max-prime 3 --events 1000 --rate 10000 --threads 1000";
    let result = result_of(Path::new("."), args);
    assert_eq!(result["open_loop"]["spins"], false);
    assert!(codes(&result).contains(&"no-spare-cpu"));
    let closed = result_of(
        Path::new("."),
        "cpu --max-prime 3 --events 1 --threads 1000",
    );
    assert!(!codes(&closed).contains(&"no-spare-cpu"));
}

#[test]
fn a_rate_of_zero_is_a_closed_loop() {
    let result = result_of(Path::new("."), "cpu --max-prime 3 --events 9 --rate 0");
    assert!(result["open_loop"].is_null());
    assert!(result["service_latency_ns"].is_null());
    let params = &result["workload"]["params"];
    assert!(params["rate_per_s"].is_null() && params["arrival"].is_null());
}

#[test]
fn invalid_rates_and_warm_ups_are_refused() {
    let wrong = [
        ("--rate", "-1"),
        ("--rate", "NaN"),
        ("--rate", "inf"),
        ("--rate", "1.1e12"),
        ("--rate", "1e-7"),
        ("--rate", "fast"),
        ("--rate", ""),
    ];
    for (option, value) in wrong {
        let expected = match value.parse::<f64>() {
            Ok(_) => "expected 0, or 1e-6 to 1e12 events per second",
            Err(_) => "expected a number",
        };
        wbench(Path::new("."), "cpu")
            .arg(format!("{option}={value}"))
            .assert()
            .code(2)
            .stderr(contains(expected).and(contains(option)));
    }
    for (option, value, expected) in [
        ("--warmup", "-1", "seconds"),
        ("--warmup", "x", "expected a number of seconds"),
        ("--arrival", "bursts", "uniform"),
    ] {
        wbench(Path::new("."), "cpu")
            .arg(format!("{option}={value}"))
            .assert()
            .code(2)
            .stderr(contains(expected));
    }
}

#[test]
fn arrivals_begin_at_the_start_time() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let start = format!("{:.6}", now.as_secs_f64() + 1.0);
    let args = format!(
        "cpu --max-prime 3 --events 0 --time 0.2 --rate 100 --arrival uniform --start-at {start}"
    );
    let result = result_of(Path::new("."), &args);
    assert!(number(&result, "/start/late_s") >= 0.0);
    // Arrivals during the wait would be a hundred more.
    assert_eq!(result["open_loop"]["arrived_events"], 20);
}

#[test]
fn a_signal_ends_a_run_with_a_backlog_and_one_that_waits_for_an_arrival() {
    for (args, has_backlog) in [
        ("threads --events 0 --threads 2 --rate 1e9", true),
        (
            "cpu --events 0 --threads 2 --rate 1e-6 --arrival uniform",
            false,
        ),
    ] {
        let directory = temp_dir();
        let args = format!("{args} --report-interval 0.05 --json r.json");
        let run = Running::wbench(directory.path(), &args);
        run.wait_for("events/s");
        run.signal(Signal::SIGINT);
        let output = run.finish();
        assert_ended(&output, 130);
        let result = result_in(&directory.path().join("r.json"));
        assert_eq!(result["status"], "interrupted");
        assert!(result["error"].is_null(), "{result}");
        let backlog = number(&result, "/open_loop/backlog_events");
        assert_eq!(backlog > 0.0, has_backlog, "{args}");
        assert!(text(&output.stdout).contains("open loop"));
    }
}

#[test]
fn a_run_after_a_warm_up_has_all_its_events() {
    let set = "--files 3 --total-size 1200K --flags none";
    let mut commands: Vec<(String, u64)> = [
        ("cpu --max-prime 1000 --events 50 --threads 2", 50),
        ("memory --total-size 50K --threads 2", 50),
        ("threads --yields 1 --events 50 --threads 2", 50),
        ("mutex --locks 10 --loops 1 --threads 3", 3),
        ("cpu --max-prime 1000 --events 50 --rate 1e4", 50),
    ]
    .map(|(args, events)| (args.to_owned(), events))
    .to_vec();
    for io in BACKENDS {
        for (mode, events) in [
            ("seqrd", 300),
            ("seqwr", 300),
            ("seqrewr", 300),
            ("rndrd --events 77 --threads 2", 77),
            ("rndwr --events 77 --fsync-freq 10 --threads 2", 77),
            ("rndrw --events 77 --validate", 77),
            ("rndrw --events 77 --rate 1e4", 77),
        ] {
            commands.push((format!("fileio {set} --io {io} --mode {mode}"), events));
        }
    }
    for (command, events) in commands {
        let directory = temp_dir();
        let args = format!("{command} --warmup 0.1 --report-interval 0.1");
        let result = result_of(directory.path(), &args);
        assert_valid(&validator(), &result, &args);
        assert_eq!(result["status"], "complete", "{args}");
        assert_eq!(result["ended_by"], "work", "{args}");
        assert_eq!(result["totals"]["events"], events, "{args}");
        assert_eq!(number(&result, "/workload/params/warmup_s"), 0.1);
        let reads_and_writes = number(&result, "/totals/reads") + number(&result, "/totals/writes");
        if command.starts_with("fileio") {
            assert_eq!(reads_and_writes, events as f64, "{args}");
        }
        if command.contains("seqwr") || command.contains("seqrewr") {
            assert_eq!(result["totals"]["bytes_written"], 1200 << 10, "{args}");
            assert_eq!(result["totals"]["fsyncs"], 3, "{args}");
        }
        assert!(names_in(directory.path()).is_empty(), "{args}");
    }
}

#[test]
fn a_sequential_write_after_a_warm_up_leaves_complete_files() {
    let set = "--files 3 --total-size 1200K --flags none";
    for io in BACKENDS {
        let directory = temp_dir();
        let args = format!("fileio --mode seqwr {set} --io {io} --keep --warmup 0.1");
        result_of(directory.path(), &args);
        for name in names_in(directory.path()) {
            let file = std::fs::metadata(directory.path().join(name)).unwrap();
            assert_eq!(file.len(), 400 << 10, "{io}");
        }
        // Fails if a part of a file was not written.
        let args = format!("fileio run --mode seqrd {set}");
        let result = result_of(directory.path(), &args);
        assert_eq!(result["totals"]["bytes_read"], 1200 << 10, "{io}");
    }
}

#[test]
fn a_signal_in_a_warm_up_ends_the_run_without_events() {
    let directory = temp_dir();
    let args = "fileio --mode seqwr --files 2 --total-size 1M --flags none --warmup 3600 \
                --json r.json";
    let run = Running::wbench(directory.path(), args);
    crate::common::wait_until("the test files", || names_in(directory.path()).len() > 1);
    run.signal(Signal::SIGTERM);
    assert_ended(&run.finish(), 143);
    let result = result_in(&directory.path().join("r.json"));
    assert_eq!(result["status"], "interrupted");
    assert_eq!(result["totals"]["events"], 0);
    assert_eq!(names_in(directory.path()), ["r.json"]);
}

#[test]
fn compare_never_matches_an_open_loop_with_a_closed_one_or_another_rate() {
    let directory = temp_dir();
    for (name, more) in [
        ("closed", ""),
        ("slow", "--rate 1000"),
        ("fast", "--rate 2000"),
        ("uniform", "--rate 2000 --arrival uniform"),
        ("warm", "--warmup 0.01"),
    ] {
        let args = format!("cpu --max-prime 3 --events 10 --json {name}.json {more}");
        wbench(directory.path(), &args).assert().success();
    }
    let files = "closed.json slow.json fast.json uniform.json warm.json";
    let compared = wbench(directory.path(), &format!("compare {files} --format csv"))
        .assert()
        .success();
    let rows = text(&compared.get_output().stdout);
    assert_eq!(rows.lines().count(), 1 + 5, "{rows}");
    assert!(
        !rows.contains("faster") && !rows.contains("slower"),
        "{rows}"
    );
    // A result of a version without open loops is that of a closed one.
    let path = directory.path().join("closed.json");
    let mut old = result_in(&path);
    let params = old["workload"]["params"].as_object_mut().unwrap();
    for name in ["rate_per_s", "arrival", "warmup_s"] {
        params.remove(name).unwrap();
    }
    std::fs::write(&path, old.to_string()).unwrap();
    let compared = wbench(
        directory.path(),
        "compare closed.json slow.json --format csv",
    )
    .assert()
    .success();
    let rows = text(&compared.get_output().stdout);
    assert_eq!(rows.lines().count(), 1 + 2, "{rows}");
    wbench(
        directory.path(),
        "compare slow.json slow.json --metric service-p99,service-mean",
    )
    .assert()
    .success()
    .stdout(contains("service-p99").and(contains("service-mean")));
}

#[test]
fn a_profile_and_a_sweep_take_rate_arrival_and_warm_up() {
    let directory = temp_dir();
    let profile = "name = \"paced\"\n\
                   [defaults]\nrate = 1000\nwarmup = 0.01\n\
                   [[measurement]]\nname = \"a\"\ntest = \"cpu\"\nmax-prime = 3\nevents = 5\n\
                   arrival = \"uniform\"\n";
    std::fs::write(directory.path().join("p.toml"), profile).unwrap();
    wbench(directory.path(), "suite --profile p.toml --json s.json")
        .assert()
        .success();
    let results = result_in(&directory.path().join("s.json"));
    assert_open_loop(&results[0], 1000.0, "suite");
    assert_eq!(results[0]["workload"]["params"]["warmup_s"], 0.01);
    let args = "sweep --concurrency 2 --count 2 --json w.json -- cpu --max-prime 3 --events 5 \
                --rate 1000";
    wbench(directory.path(), args).assert().success();
    let results = result_in(&directory.path().join("w.json"));
    for result in results.as_array().unwrap() {
        assert_open_loop(result, 1000.0, "sweep");
    }
}

#[test]
fn reports_show_arrivals_backlog_and_service() {
    let args = "cpu --max-prime 3 --events 40 --rate 200 --report-interval 0.1";
    wbench(Path::new("."), args).assert().success().stdout(
        contains("open loop   200.0 events/s (Poisson): ")
            .and(contains("waiting at the end; longest wait"))
            .and(contains("  service     mean "))
            .and(contains(" waiting\n")),
    );
    let args = "cpu --max-prime 3 --events 40 --rate 200 --format rally";
    wbench(Path::new("."), args)
        .assert()
        .success()
        .stdout(contains("service p99"));
}
