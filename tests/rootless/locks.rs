//! The threads and mutex tests from outside.

use std::path::Path;

use nix::sys::signal::Signal;
use predicates::prelude::*;
use predicates::str::contains;

use crate::common::process::worker_ticks;
use crate::common::{
    Running, WBENCH, assert_ended, assert_valid, number, result_in, result_of, temp_dir, validator,
    wait_until, wbench,
};

#[test]
fn every_event_of_the_threads_test_runs_once_with_any_number_of_threads() {
    for threads in [1, 2, 4] {
        let args = format!("threads --yields 3 --events 101 --threads {threads}");
        let result = result_of(Path::new("."), &args);
        assert_eq!(result["totals"]["events"], 101, "{threads} threads");
        assert_eq!(result["threads"].as_array().unwrap().len(), threads);
        assert_eq!(result["ended_by"], "work");
    }
}

#[test]
fn a_time_limit_ends_the_threads_test() {
    let result = result_of(
        Path::new("."),
        "threads --events 0 --time 0.2 --threads 2 --locks 1",
    );
    assert_eq!(result["ended_by"], "time");
    assert!(number(&result, "/totals/events") >= 1.0);
}

#[test]
fn each_thread_of_the_mutex_test_has_one_event() {
    for threads in [1, 2, 5] {
        let args = format!("mutex --mutexes 3 --locks 100 --loops 10 --threads {threads}");
        let result = result_of(Path::new("."), &args);
        assert_eq!(result["totals"]["events"], threads);
        for thread in result["threads"].as_array().unwrap() {
            assert_eq!(thread["events"], 1, "{threads} threads");
        }
        assert_eq!(result["ended_by"], "work");
    }
}

#[test]
fn results_contain_the_parameters_and_agree_with_the_schema() {
    let validator = validator();
    for (args, params) in [
        (
            "threads --yields 2 --events 3",
            &[("yields", 2), ("locks", 8), ("max_requests", 3)],
        ),
        (
            "mutex --locks 10 --loops 0",
            &[("mutexes", 4096), ("locks", 10), ("loops", 0)],
        ),
    ] {
        let result = result_of(Path::new("."), args);
        assert_valid(&validator, &result, args);
        assert_eq!(result["status"], "complete");
        for (name, value) in params {
            assert_eq!(result["workload"]["params"][name], *value, "{args}: {name}");
        }
    }
}

#[test]
fn a_signal_ends_the_mutex_test_in_an_event_of_hours() {
    let directory = temp_dir();
    let args = "mutex --locks 10 --loops 1000000000000000 --threads 2 --json r.json";
    let run = Running::wbench(directory.path(), args);
    // More than measuring the harness uses; that has ended when the events begin.
    wait_until("an event", || worker_ticks(run.pid()) >= 50);
    run.signal(Signal::SIGINT);
    assert_ended(&run.finish(), 130);
    let result = result_in(&directory.path().join("r.json"));
    assert_eq!(result["ended_by"], "signal");
    assert_eq!(result["totals"]["events"], 0);
}

#[test]
fn the_text_report_describes_the_work() {
    for (args, title) in [
        (
            "threads --yields 2 --events 3 --threads 2",
            "threads: 2 yields per event with a lock held, 8 locks, 2 threads\n",
        ),
        (
            "mutex --locks 10 --loops 1",
            "mutex: 10 locks of 4,096 random mutexes per thread, 1 loop before each, 1 thread\n",
        ),
    ] {
        wbench(Path::new("."), args)
            .assert()
            .success()
            .stdout(contains(title).and(contains("events/s").and(contains("MiB/s").not())));
    }
}

#[test]
fn more_mutexes_than_fit_into_memory_are_refused() {
    for args in ["threads --locks 4294967295", "mutex --mutexes 4294967295"] {
        // Fewer bytes of address space than the mutexes need.
        let limited = format!("ulimit -v 67108864 && exec \"$0\" {args}");
        assert_cmd::Command::new("sh")
            .args(["-c", &limited, WBENCH])
            .assert()
            .code(1)
            .stderr(contains("cannot allocate 4294967295 mutexes"));
    }
}

#[test]
fn compare_distinguishes_runs_with_other_parameters() {
    let directory = temp_dir();
    let run = |args: &str, name: &str| {
        let args = format!("{args} --json {name}");
        wbench(directory.path(), &args).assert().success();
    };
    run("mutex --locks 10 --loops 0", "a.json");
    run("mutex --locks 10 --loops 9", "b.json");
    run("threads --yields 1 --events 9", "c.json");
    run("threads --yields 1 --events 9 --locks 1", "d.json");
    let compared = |args: &str| {
        let done = wbench(directory.path(), &format!("compare {args}")).assert();
        String::from_utf8(done.get_output().stdout.clone()).unwrap()
    };
    let mutex = compared("a.json b.json");
    assert!(mutex.contains("loops"), "{mutex}");
    let threads = compared("c.json d.json");
    assert!(threads.contains("locks"), "{threads}");
}

#[test]
fn a_profile_and_a_sweep_can_contain_both_tests() {
    let directory = temp_dir();
    let profile = "name = \"locks\"\n\
         [[measurement]]\nname = \"yield\"\ntest = \"threads\"\nyields = 2\nevents = 100\n\
         [[measurement]]\nname = \"lock\"\ntest = \"mutex\"\nlocks = 1000\nloops = 1\n";
    std::fs::write(directory.path().join("p.toml"), profile).unwrap();
    wbench(
        directory.path(),
        "suite --profile p.toml --scale 0.1 --json suite.json",
    )
    .assert()
    .success();
    let suite = result_in(&directory.path().join("suite.json"));
    assert_eq!(suite[0]["totals"]["events"], 10);
    assert_eq!(suite[1]["workload"]["params"]["locks"], 100);
    wbench(
        directory.path(),
        "sweep --concurrency 2 --count 2 --json sweep.json -- mutex --locks 10",
    )
    .assert()
    .success();
    let sweep = result_in(&directory.path().join("sweep.json"));
    assert_eq!(sweep.as_array().unwrap().len(), 2);
}
