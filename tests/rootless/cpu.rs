//! The cpu test from outside, and what all tests share: counts, limits, clock, pinning.

use std::collections::BTreeSet;
#[cfg(target_arch = "x86_64")]
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use predicates::prelude::*;
use predicates::str::contains;

use crate::common::process::{cpus_of_workers, worker_ticks};
use crate::common::{
    Running, WBENCH, allowed_cpus, assert_ended, number, parsed, result_in, result_of, temp_dir,
    text, tool, wbench,
};

#[test]
fn every_event_runs_exactly_once_with_any_number_of_threads() {
    for threads in [1, 2, 4] {
        for events in [1, 7, 1001] {
            let args = format!("cpu --max-prime 100 --events {events} --threads {threads}");
            let result = result_of(Path::new("."), &args);
            assert_eq!(result["totals"]["events"], events, "{threads} threads");
            assert_eq!(result["threads"].as_array().unwrap().len(), threads);
            assert_eq!(result["ended_by"], "work");
        }
    }
}

#[test]
fn a_cpu_event_transfers_no_data() {
    let totals = &result_of(Path::new("."), "cpu --max-prime 100 --events 5")["totals"];
    for name in ["bytes_read", "bytes_written", "reads", "writes", "fsyncs"] {
        assert_eq!(totals[name], 0, "{name}");
    }
}

#[test]
fn a_signal_ends_a_run_in_an_event_of_hours_and_the_result_states_what_is_missing() {
    for bound in [u64::from(u32::MAX), u64::MAX] {
        let directory = temp_dir();
        let args = format!("cpu --max-prime {bound} --events 0 --threads 2 --json r.json");
        let run = Running::wbench(directory.path(), &args);
        // More than measuring the harness uses; that has ended when the events begin.
        crate::common::wait_until("an event", || worker_ticks(run.pid()) >= 50);
        run.signal(Signal::SIGTERM);
        let ended = run.finish();
        assert_ended(&ended, 143);
        let result = result_in(&directory.path().join("r.json"));
        assert_eq!(result["status"], "interrupted");
        assert_eq!(result["ended_by"], "signal");
        // Events use this bound: with a bound of 100, thousands would have completed.
        assert_eq!(result["totals"]["events"], 0);
        let error = result["error"].as_str().unwrap();
        assert!(
            error.contains("2 of 2 threads were still in an event"),
            "{error}"
        );
        assert!(
            text(&ended.stderr).contains(error),
            "{}",
            text(&ended.stderr)
        );
    }
}

#[test]
fn the_time_limit_ends_a_run_that_has_no_other() {
    let result = result_of(
        Path::new("."),
        "cpu --max-prime 1000 --events 0 --time 0.25 --threads 2",
    );
    assert_eq!(result["status"], "complete");
    assert_eq!(result["ended_by"], "time");
    assert!(number(&result, "/totals/wall_s") >= 0.25);
    assert!(number(&result, "/totals/events") >= 2.0);
}

#[test]
fn whichever_limit_comes_first_ends_the_run() {
    let by_events = result_of(Path::new("."), "cpu --max-prime 100 --events 10 --time 50");
    assert_eq!(by_events["ended_by"], "work");
    let by_time = result_of(
        Path::new("."),
        "cpu --max-prime 1000 --events 1000000000 --time 0.1",
    );
    assert_eq!(by_time["ended_by"], "time");
}

#[test]
fn the_result_contains_the_effective_parameters_including_defaults() {
    let result = result_of(Path::new("."), "cpu --events 1 --percentile 99 --seed 7");
    let workload = &result["workload"];
    assert_eq!(workload["test"], "cpu");
    assert_eq!(workload["threads"], 1);
    let params = &workload["params"];
    assert_eq!(params["max_prime"], 20000);
    assert_eq!(params["max_requests"], 1);
    assert!(params["max_time_s"].is_null());
    assert_eq!(params["percentile"], 99);
    assert_eq!(params["seed"], 7);
    assert_eq!(params["clock"], "auto");
    assert!(result["storage"].is_null());
}

#[test]
fn the_monotonic_clock_can_be_chosen_and_the_result_says_why_it_was() {
    let result = result_of(
        Path::new("."),
        "cpu --max-prime 1000 --events 100 --clock monotonic",
    );
    assert_eq!(result["clock"]["source"], "monotonic");
    assert!(
        result["clock"]["reason"]
            .as_str()
            .unwrap()
            .contains("--clock monotonic")
    );
    assert_eq!(number(&result, "/clock/hz"), 1e9);
    assert_eq!(result["totals"]["events"], 100);
    assert!(number(&result, "/latency_ns/min") > 0.0);
}

#[test]
fn the_clock_is_the_tsc_or_the_result_says_why_not() {
    let clock = &result_of(Path::new("."), "cpu --max-prime 100 --events 10")["clock"];
    match clock["source"].as_str().unwrap() {
        "tsc" => assert!(clock["reason"].is_null()),
        "monotonic" => assert!(!clock["reason"].as_str().unwrap().is_empty()),
        other => panic!("{other}"),
    }
    // Requesting the TSC is an error if it was not chosen.
    let tsc = wbench(
        Path::new("."),
        "cpu --max-prime 100 --events 10 --clock tsc",
    )
    .assert();
    match clock["source"] == "tsc" {
        true => tsc.success(),
        false => tsc
            .code(1)
            .stderr(contains(clock["reason"].as_str().unwrap())),
    };
}

/// The CPUs that the workers of this command may use once the run has started.
fn seen(command: Command) -> Vec<String> {
    let run = Running::start(command);
    run.wait_for("events/s");
    let cpus = cpus_of_workers(run.pid());
    run.signal(Signal::SIGTERM);
    assert_ended(&run.finish(), 143);
    cpus
}

const ENDLESS: [&str; 8] = [
    "cpu",
    "--max-prime",
    "1000",
    "--events",
    "0",
    "--report-interval",
    "0.05",
    "--threads",
];

#[test]
fn pinned_workers_get_one_allowed_cpu_each_in_order() {
    let mut command = Command::new(WBENCH);
    command.args(ENDLESS).args(["2", "--pin"]);
    let cpus = allowed_cpus();
    let expected: BTreeSet<String> = (0..2).map(|i| cpus[i % cpus.len()].to_string()).collect();
    let seen = seen(command);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn pinning_respects_the_affinity_of_the_process() {
    let last = allowed_cpus().last().unwrap().to_string();
    let mut command = tool("taskset");
    command
        .args(["-c", &last, WBENCH])
        .args(ENDLESS)
        .args(["2", "--pin"]);
    assert_eq!(seen(command), [last.clone(), last]);
}

#[test]
fn a_run_that_shares_its_cpu_with_busy_processes_warns_of_run_queue_waits() {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let cpu = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap());
    let on_this_cpu = |command: &[&str]| {
        let mut pinned = tool("taskset");
        pinned.args(["-c", &cpu.unwrap().to_string()]).args(command);
        Running::start(pinned)
    };
    let busy = [(); 2].map(|()| on_this_cpu(&["sh", "-c", "echo busy; while :; do :; done"]));
    busy.iter().for_each(|process| process.wait_for("busy"));
    let args = "cpu --max-prime 1000 --events 0 --time 1 --json -";
    let mut command = vec![WBENCH];
    command.extend(args.split(' '));
    let run = on_this_cpu(&command).finish();
    assert_ended(&run, 0);
    let result = parsed(&run.stdout);
    let warnings = result["warnings"].as_array().unwrap();
    let warned = warnings.iter().any(|it| it["code"] == "runqueue-wait");
    assert!(warned, "{result:#}");
    assert!(number(&result, "/noise/runqueue_wait_s") > 0.0);
}

#[test]
fn unpinned_workers_have_the_affinity_of_the_process() {
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut command = Command::new(WBENCH);
    command.args(ENDLESS).arg("2");
    for cpus in seen(command) {
        assert!(
            own.contains(&format!("Cpus_allowed_list:\t{cpus}\n")),
            "{cpus}"
        );
    }
}

#[test]
fn intervals_are_printed_during_the_run_and_add_up_to_the_totals() {
    let directory = temp_dir();
    let args = "cpu --max-prime 500 --events 0 --time 0.55 --report-interval 0.1 --threads 2 \
                 --json r.json";
    let done = wbench(directory.path(), args).assert().success();
    let lines = text(&done.get_output().stdout)
        .lines()
        .filter(|line| line.contains(" s  ") && line.contains("events/s  p95"))
        .count();
    let result = parsed(&std::fs::read(directory.path().join("r.json")).unwrap());
    let intervals = result["intervals"].as_array().unwrap();
    assert_eq!(lines, intervals.len());
    assert!(intervals.len() >= 6, "{} intervals", intervals.len());
    let mut begin = 0.0;
    let mut events = 0.0;
    for (i, interval) in intervals.iter().enumerate() {
        let end = number(interval, "/at_s");
        events += number(interval, "/events_per_s") * (end - begin);
        if i + 1 < intervals.len() {
            assert!((end - 0.1 * (i as f64 + 1.0)).abs() < 1e-9, "{end}");
        }
        begin = end;
    }
    assert!((begin - number(&result, "/totals/wall_s")).abs() < 1e-6);
    assert!((events - number(&result, "/totals/events")).abs() < 1e-3);
    assert_eq!(number(&result, "/workload/params/report_interval_s"), 0.1);
}

#[test]
fn more_threads_than_memory_mappings_allow_are_refused_before_one_is_created() {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let limit: u64 = limit.trim().parse().unwrap();
    for threads in [limit / 6 + 1, u64::from(u32::MAX), u64::MAX] {
        let directory = temp_dir();
        let args = format!("cpu --max-prime 100 --events 10 --threads {threads} --json r.json");
        wbench(directory.path(), &args)
            .assert()
            .code(1)
            .stdout("")
            .stderr(contains("memory mappings").and(contains("use fewer --threads")));
    }
}

#[test]
fn more_threads_than_the_limit_of_address_space_allows_are_refused() {
    let directory = temp_dir();
    let mut command = tool("prlimit");
    command
        .args(["--as=400000000", WBENCH])
        .args("cpu --max-prime 100 --events 10 --threads 300".split(' '))
        .current_dir(directory.path());
    let ended = Running::start(command).finish();
    assert_ended(&ended, 1);
    let message = text(&ended.stderr);
    assert!(
        message.contains("address space") && message.contains("ulimit -v"),
        "{message}"
    );
}

#[test]
fn a_thousand_threads_run_and_end_on_a_signal() {
    let directory = temp_dir();
    let mut command = Command::new(WBENCH);
    command
        .args(ENDLESS)
        .args(["1024", "--json", "r.json"])
        .current_dir(directory.path());
    let run = Running::start(command);
    // A new thread has its creator's name until it sets its own.
    crate::common::wait_until("all threads", || cpus_of_workers(run.pid()).len() == 1024);
    run.signal(Signal::SIGTERM);
    assert_ended(&run.finish(), 143);
    let result = result_in(&directory.path().join("r.json"));
    assert_eq!(result["threads"].as_array().unwrap().len(), 1024);
}

/// Runs the program where prctl(PR_SET_TSC) forbids RDTSC. The setting survives exec.
#[cfg(target_arch = "x86_64")]
fn without_rdtsc(args: &str) -> std::process::Output {
    let mut command = Command::new(WBENCH);
    command.args(args.split_whitespace());
    // SAFETY: prctl(2) is async-signal-safe and changes only the calling process.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_TSC, libc::PR_TSC_SIGSEGV) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        );
    }
    Running::start(command).finish()
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_process_without_permission_for_rdtsc_uses_the_monotonic_clock_and_says_why() {
    let args = "cpu --max-prime 100 --events 10 --json -";
    for (choice, reason) in [("auto", "PR_SET_TSC"), ("monotonic", "--clock monotonic")] {
        let ended = without_rdtsc(&format!("{args} --clock {choice}"));
        assert_ended(&ended, 0);
        let clock = &parsed(&ended.stdout)["clock"];
        assert_eq!(clock["source"], "monotonic", "{choice}");
        assert!(
            clock["reason"].as_str().unwrap().contains(reason),
            "{clock}"
        );
    }
    let ended = without_rdtsc(&format!("{args} --clock tsc"));
    assert_ended(&ended, 1);
    assert!(
        text(&ended.stderr).contains("PR_SET_TSC"),
        "{}",
        text(&ended.stderr)
    );
    assert_ended(
        &without_rdtsc("--test=cpu --cpu-max-prime=100 --max-requests=9 run"),
        0,
    );
}

#[test]
fn more_threads_than_cpus_are_a_warning() {
    let threads = allowed_cpus().len() + 1;
    let args = format!("cpu --max-prime 100 --events 100 --threads {threads}");
    wbench(Path::new("."), &args)
        .assert()
        .success()
        .stdout(contains("WARNING").and(contains(format!("{threads} threads share"))));
}

#[test]
fn the_effective_clock_is_measured_before_and_after_every_run() {
    for options in ["", "--pin", "--threads 3", "--clock monotonic"] {
        let args = format!("cpu --max-prime 100 --events 100 {options}");
        let result = result_of(Path::new("."), &args);
        for clock in ["before", "after"] {
            assert!(
                number(&result, &format!("/accounting/cpu_ghz_{clock}")) > 0.0,
                "{args}"
            );
        }
        assert!(number(&result, "/accounting/cpu_ghz_error") > 0.0, "{args}");
    }
}
