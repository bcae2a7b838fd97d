//! Threads and the clock, as system calls show them.

use std::path::Path;

use crate::common::{allowed_cpus, assert_ended, parsed, result_of, temp_dir, text, traced};

#[test]
fn comparing_the_tsc_across_cpus_does_not_change_the_affinity_of_workers() {
    let cpus =
        result_of(temp_dir().path(), "cpu --max-prime 100 --events 10")["host"]["cpus"].clone();
    for call in 1..=3 {
        let fault = format!("inject=sched_setaffinity:error=EPERM:when={call}");
        let run = traced(
            temp_dir().path(),
            "cpu --max-prime 100 --events 10 --json -",
            &["trace=sched_setaffinity", &fault],
        );
        assert_ended(&run.output, 0);
        assert_eq!(parsed(&run.output.stdout)["host"]["cpus"], cpus, "{call}");
    }
}

#[test]
fn a_thread_that_cannot_be_created_is_an_error_before_any_file_is_created() {
    for args in [
        "cpu --max-prime 100 --events 10 --threads 4",
        "memory --total-size 1M --threads 4",
        "fileio --mode rndrd --files 2 --total-size 1M --events 10 --flags none --threads 4",
    ] {
        let directory = temp_dir();
        // From the third on, so that existing threads have to end.
        let run = traced(
            directory.path(),
            args,
            &["trace=clone3,openat", "inject=clone3:error=EAGAIN:when=3+"],
        );
        assert_ended(&run.output, 1);
        let message = text(&run.output.stderr);
        assert!(
            message.contains("cannot create worker thread") && message.contains("ulimit -u"),
            "{message}"
        );
        assert_eq!(text(&run.output.stdout), "");
        assert!(run.of_test_files("openat").is_empty(), "{args}");
    }
}

#[test]
fn waiting_threads_do_not_search_for_work() {
    let directory = temp_dir();
    let run = traced(
        directory.path(),
        "cpu --max-prime 100 --events 500 --threads 64 --json -",
        &["trace=sched_yield,clone3"],
    );
    assert_ended(&run.output, 0);
    // A contended lock of the standard library may yield.
    let yields = run.calls("sched_yield");
    assert!(yields < 64, "{yields}");
    // The threads of the run, the same number before it to check that they can be created, and one
    // per CPU in each run that measures the harness; one compares the TSC across CPUs, and two measure
    // the clock of a CPU.
    let most = 2 * 64 + 5 * allowed_cpus().len() + 3;
    let created = run.calls("clone3");
    assert!(created <= most, "{created} of at most {most} threads");
    assert_eq!(parsed(&run.output.stdout)["totals"]["events"], 500);
}

#[test]
fn an_event_of_the_threads_test_yields_as_often_as_asked() {
    let yields = |args: &str| {
        let run = traced(Path::new("."), args, &["trace=sched_yield"]);
        assert_ended(&run.output, 0);
        run.calls("sched_yield")
    };
    assert_eq!(yields("threads --yields 5 --events 7 --threads 2"), 35);
    assert_eq!(yields("threads --yields 0 --events 7"), 0);
}
