//! Signals and limits that end a run: partial figures, exit status, and nothing left behind.

use std::path::Path;
use std::process::{Command, Output};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::{
    Running, WBENCH, assert_ended, errors, names_in, number, result_in, temp_dir, text, tool,
    wait_until, wbench,
};

const SIGNALS: [(Signal, i32); 4] = [
    (Signal::SIGHUP, 129),
    (Signal::SIGINT, 130),
    (Signal::SIGQUIT, 131),
    (Signal::SIGTERM, 143),
];

#[track_caller]
fn assert_interrupted_and_whole(result: &Value) {
    assert_eq!(result["status"], "interrupted");
    assert_eq!(result["ended_by"], "signal");
    let threads = result["threads"].as_array().unwrap();
    let events: u64 = threads.iter().map(|t| t["events"].as_u64().unwrap()).sum();
    assert_eq!(result["totals"]["events"], events);
    assert!(number(result, "/totals/wall_s") > 0.0);
}

#[test]
fn a_signal_ends_cpu_and_memory_with_report_and_result() {
    for (signal, status) in SIGNALS {
        for args in [
            "cpu --max-prime 1000 --events 0 --threads 2",
            "memory --total-size 1000000T --time 0 --threads 2",
        ] {
            let directory = temp_dir();
            let args = format!("{args} --report-interval 0.05 --json r.json");
            let run = Running::wbench(directory.path(), &args);
            run.wait_for("events/s");
            run.signal(signal);
            let output = run.finish();
            assert_ended(&output, status);
            let report = text(&output.stdout);
            assert!(report.contains("interrupted: values"), "{report}");
            let result = result_in(&directory.path().join("r.json"));
            assert_interrupted_and_whole(&result);
            assert!(number(&result, "/totals/events") > 0.0);
            assert_eq!(names_in(directory.path()), ["r.json"]);
        }
    }
}

#[test]
fn a_signal_in_a_file_run_removes_the_files_it_created() {
    for (signal, status) in SIGNALS {
        for mode in ["seqwr", "rndrw"] {
            let directory = temp_dir();
            // Small requests on large files: none of these finishes by itself.
            let args = format!(
                "fileio --mode {mode} --files 4 --total-size {} --block-size 512 --flags dsync \
                 --events 0 --time 0 --report-interval 0.05 --threads 2 --json r.json",
                if mode == "seqwr" { "4G" } else { "4M" }
            );
            let run = Running::wbench(directory.path(), &args);
            run.wait_for("events/s");
            run.signal(signal);
            let output = run.finish();
            assert_ended(&output, status);
            assert!(text(&output.stdout).contains("interrupted: values"));
            let result = result_in(&directory.path().join("r.json"));
            assert_interrupted_and_whole(&result);
            assert!(number(&result, "/totals/bytes_written") > 0.0);
            assert_eq!(names_in(directory.path()), ["r.json"], "{mode}");
        }
    }
}

#[test]
fn a_run_ended_by_a_signal_makes_no_final_fsyncs() {
    let directory = temp_dir();
    let args = "fileio --mode rndwr --files 4 --total-size 4M --flags none --events 0 --time 0 \
                 --fsync-freq 0 --report-interval 0.05 --json r.json";
    let run = Running::wbench(directory.path(), args);
    run.wait_for("events/s");
    run.signal(Signal::SIGINT);
    assert_ended(&run.finish(), 130);
    let result = result_in(&directory.path().join("r.json"));
    assert_eq!(result["totals"]["fsyncs"], 0);
    assert!(result["fsync_latency_ns"].is_null());
}

/// A set that takes long enough to prepare for a signal to arrive meanwhile.
const LARGE: &str = "--files 4 --total-size 8G";

#[test]
fn a_signal_in_prepare_removes_the_created_files() {
    for (signal, status) in SIGNALS {
        let directory = temp_dir();
        let run = Running::wbench(directory.path(), &format!("fileio prepare {LARGE}"));
        wait_until("a test file", || !names_in(directory.path()).is_empty());
        run.signal(signal);
        let output = run.finish();
        assert_ended(&output, status);
        let message = text(&output.stderr);
        assert!(
            message.contains(&format!("interrupted by {signal}")),
            "{message}"
        );
        assert_eq!(names_in(directory.path()), [""; 0]);
    }
}

#[test]
fn a_signal_while_a_whole_job_prepares_is_reported_in_message_and_result() {
    let directory = temp_dir();
    let args = format!("fileio --mode rndrd {LARGE} --json ../r.json");
    let files = directory.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let run = Running::wbench(&files, &args);
    wait_until("a test file", || {
        names_in(&files).iter().any(|name| name == "test_file.0")
    });
    run.signal(Signal::SIGTERM);
    let output = run.finish();
    assert_ended(&output, 143);
    assert!(text(&output.stderr).contains("interrupted by SIGTERM"));
    // There are no figures to report.
    assert_eq!(text(&output.stdout), "");
    let result = result_in(&directory.path().join("r.json"));
    assert_eq!(result["status"], "interrupted");
    assert_eq!(result["totals"]["events"], 0);
    assert!(result["latency_ns"].is_null());
    assert_eq!(names_in(&files), [""; 0]);
}

#[test]
fn files_that_were_there_before_a_run_survive_its_interruption() {
    let directory = temp_dir();
    let set = "--files 2 --total-size 64K";
    wbench(directory.path(), &format!("fileio prepare {set}"))
        .assert()
        .success();
    let args = format!("fileio --mode rndrw {set} --events 0 --time 0 --report-interval 0.05");
    let run = Running::wbench(directory.path(), &args);
    run.wait_for("events/s");
    run.signal(Signal::SIGINT);
    assert_ended(&run.finish(), 130);
    assert_eq!(names_in(directory.path()), ["test_file.0", "test_file.1"]);
}

#[test]
fn the_first_of_several_signals_determines_the_exit_status() {
    let run = Running::wbench(
        Path::new("."),
        // Events of many milliseconds, so that the second signal arrives during one.
        "memory --block-size 256M --total-size 1000000T --time 0 --report-interval 0.05",
    );
    run.wait_for("events/s");
    run.signal(Signal::SIGTERM);
    // The kernel delivers the lower-numbered of two pending signals first. It wakes the main thread
    // for a signal, which sleeps again, or ends the process, only after its handler.
    let status = format!("/proc/{}/status", run.pid());
    wait_until("the end of the first signal's handler", || {
        std::fs::read_to_string(&status).is_ok_and(|status| {
            let handled = status.contains("ShdPnd:\t0000000000000000");
            handled && (status.contains("State:\tS") || status.contains("State:\tZ"))
        })
    });
    run.signal(Signal::SIGINT);
    assert_ended(&run.finish(), 143);
}

#[test]
fn a_signal_ends_the_sysbench_dialect_with_its_report() {
    let directory = temp_dir();
    let set = "--test=fileio --file-num=2 --file-total-size=64K --file-block-size=4K";
    wbench(directory.path(), &format!("{set} prepare"))
        .assert()
        .success();
    for (signal, status) in SIGNALS {
        for args in [
            "--test=cpu --cpu-max-prime=1000 --max-requests=1000000000 run".to_owned(),
            "--test=memory --memory-total-size=1000000T run".to_owned(),
            format!("{set} --file-test-mode=rndrw --max-requests=0 run"),
        ] {
            let run = Running::wbench(directory.path(), &args);
            run.wait_for("Threads started!");
            run.signal(signal);
            let output = run.finish();
            assert_ended(&output, status);
            let report = text(&output.stdout);
            assert!(report.contains("Test execution summary:"), "{report}");
            assert!(report.contains("Threads fairness:"), "{report}");
            assert_eq!(errors(&output.stderr), "", "{args}");
        }
    }
    assert_eq!(names_in(directory.path()), ["test_file.0", "test_file.1"]);
}

#[test]
fn a_signal_in_prepare_of_the_sysbench_dialect_removes_the_created_files() {
    for (signal, status) in SIGNALS {
        let directory = temp_dir();
        let run = Running::wbench(
            directory.path(),
            "--test=fileio --file-num=4 --file-total-size=8G prepare",
        );
        wait_until("a test file", || !names_in(directory.path()).is_empty());
        run.signal(signal);
        let output = run.finish();
        assert_ended(&output, status);
        let message = format!("FATAL: interrupted by {signal}");
        assert!(text(&output.stderr).starts_with(&message));
        assert_eq!(names_in(directory.path()), [""; 0]);
    }
}

#[test]
fn a_run_under_nohup_survives_the_end_of_its_terminal() {
    let mut command = tool("nohup");
    command.args([
        WBENCH,
        "memory",
        "--total-size",
        "1000000T",
        "--time",
        "0",
        "--report-interval",
        "0.05",
    ]);
    let run = Running::start(command);
    run.wait_for("events/s");
    run.signal(Signal::SIGHUP);
    let lines = |run: &Running| run.stdout().matches("events/s").count();
    let before = lines(&run);
    wait_until("further intervals", || lines(&run) > before + 2);
    run.signal(Signal::SIGTERM);
    assert_ended(&run.finish(), 143);
}

#[test]
fn a_signal_removes_the_files_even_if_standard_error_is_full() {
    let directory = temp_dir();
    let files = directory.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut run = Command::new(WBENCH)
        .args(["fileio", "--mode", "rndrd", "--json", "../r.json"])
        .args(LARGE.split_whitespace())
        .current_dir(&files)
        .stderr(full)
        .spawn()
        .unwrap();
    wait_until("a test file", || !names_in(&files).is_empty());
    let pid = Pid::from_raw(run.id().try_into().unwrap());
    kill(pid, Signal::SIGHUP).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(129));
    let result = result_in(&directory.path().join("r.json"));
    assert_eq!(result["status"], "interrupted");
    assert_eq!(names_in(&files), [""; 0]);
}

/// Runs the program with a file size limit in bytes.
fn limited(directory: &Path, bytes: u64, args: &str) -> Output {
    let mut command = tool("prlimit");
    command
        .arg(format!("--fsize={bytes}"))
        .arg(WBENCH)
        .args(args.split_whitespace())
        .current_dir(directory);
    Running::start(command).finish()
}

#[test]
fn a_file_size_limit_is_an_error_that_names_it_and_leaves_no_files() {
    let set = "--files 2 --total-size 4M";
    for args in [
        format!("fileio prepare {set}"),
        format!("fileio --mode rndrd {set}"),
        format!("fileio --mode seqwr {set}"),
        format!("fileio --mode seqwr {set} --flags none"),
        format!("fileio --mode seqwr {set} --io aio"),
        format!("fileio --mode seqwr {set} --io uring"),
        format!("fileio --mode seqwr {set} --io mmap --flags none"),
        "--test=fileio --file-num=2 --file-total-size=4M prepare".to_owned(),
    ] {
        let directory = temp_dir();
        let output = limited(directory.path(), 1 << 20, &args);
        assert_ended(&output, 1);
        let message = text(&output.stderr);
        assert!(
            message.contains("test_file.") && message.contains("ulimit -f"),
            "{args}: {message}"
        );
        assert_eq!(names_in(directory.path()), [""; 0], "{args}");
    }
}

#[test]
fn a_file_size_limit_fails_one_measurement_of_a_suite_and_not_the_others() {
    let directory = temp_dir();
    let profile = "name = \"small\"\n[[measurement]]\nname = \"write\"\ntest = \"fileio\"\nmode = \"seqwr\"\n\
                   total-size = \"4M\"\nfiles = 2\n\
                   [[measurement]]\nname = \"cpu\"\ntest = \"cpu\"\nevents = 10\n";
    std::fs::write(directory.path().join("p.toml"), profile).unwrap();
    let output = limited(
        directory.path(),
        1 << 20,
        "suite --profile p.toml --json r.json",
    );
    assert_ended(&output, 1);
    assert!(text(&output.stderr).contains("ulimit -f"));
    let results = result_in(&directory.path().join("r.json"));
    assert_eq!(results[0]["status"], "failed");
    assert_eq!(results[1]["status"], "complete");
    assert_eq!(names_in(directory.path()), ["p.toml", "r.json"]);
}

#[test]
fn a_signal_ends_the_instances_of_a_sweep_and_leaves_no_files() {
    for (signal, status) in SIGNALS {
        let directory = temp_dir();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let args = "sweep --concurrency 2 --count 2 --dir data --json all.json --overcommit \
                     --launch native= -- fileio --mode rndrw --files 2 --total-size 64K \
                     --events 0 --time 0 --flags none";
        let run = Running::wbench(directory.path(), args);
        let test_files = || -> usize {
            let instances = std::fs::read_dir(&data).unwrap();
            instances.flatten().flat_map(|it| walk(&it.path())).count()
        };
        wait_until("the files of both", || test_files() == 4);
        run.signal(signal);
        assert_ended(&run.finish(), status);
        assert_eq!(names_in(&data), [""; 0], "{signal}");
    }
}

/// All files below a directory that still exist.
fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => walk(&path),
            path => vec![path],
        })
        .collect()
}
