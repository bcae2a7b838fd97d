//! Storage that fails during a run: message, exit status, result file and test files.
//!
//! strace(1) makes one system call on a test file fail: the first, a middle or the last one. The
//! table gives the expected outcome of each.

use crate::common::assert_campaign_finds_nothing;
use crate::common::storage::{BACKENDS, Bench};

/// Files of the set, blocks of each, and requests of a random run.
const FILES: u32 = 3;
const SET: &str = "--files 3 --total-size 120K --block-size 4K";
const REQUESTS: u64 = 30;

/// The expected outcome of a fault.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// The run completes all of its work.
    GoesOn,
    /// The run fails, with these strings in its message.
    Fails(&'static [&'static str]),
}

use Outcome::{Fails, GoesOn};

/// A system call that fails in this kind of run.
struct Fault {
    run: &'static str,
    call: &'static str,
    fault: &'static str,
    /// The first, a middle and the last call.
    when: [u64; 3],
    outcome: Outcome,
}

const fn fault(
    run: &'static str,
    call: &'static str,
    fault: &'static str,
    when: [u64; 3],
    outcome: Outcome,
) -> Fault {
    Fault {
        run,
        call,
        fault,
        when,
        outcome,
    }
}

const READS: &str = "--mode rndrd";
/// fsyncs of the 3 files after 10 and 20 requests, and at the end.
const WRITES: &str = "--mode rndwr --fsync-freq 10";
const CREATES: &str = "--mode seqwr";
/// One request in flight, so that each has its own system calls.
const AIO: &str = "--mode rndrw --io aio --depth 1 --fsync-freq 0";
const URING: &str = "--mode rndrw --io uring --depth 1 --fsync-freq 0";
const MAPPED: &str = "--mode seqwr --io mmap";

const THIRTY: [u64; 3] = [1, 15, REQUESTS];
const NINE: [u64; 3] = [1, 5, 9];
const THREE: [u64; 3] = [1, 2, 3];

const TABLE: &[Fault] = &[
    fault(
        READS,
        "pread64",
        "error=EIO",
        THIRTY,
        Fails(&["reading 4096 bytes at offset", "test_file.", "EIO"]),
    ),
    fault(
        READS,
        "pread64",
        "error=ENOSPC",
        THIRTY,
        Fails(&["reading", "no space left"]),
    ),
    fault(READS, "pread64", "error=EINTR", THIRTY, GoesOn),
    fault(
        READS,
        "pread64",
        "error=EAGAIN",
        THIRTY,
        Fails(&["reading", "EAGAIN"]),
    ),
    fault(
        READS,
        "pread64",
        "retval=100",
        THIRTY,
        Fails(&["reading 4096 bytes", "only 100 bytes"]),
    ),
    fault(
        READS,
        "pread64",
        "retval=0",
        THIRTY,
        Fails(&["only 0 bytes"]),
    ),
    fault(
        WRITES,
        "pwrite64",
        "error=EIO",
        THIRTY,
        Fails(&["writing 4096 bytes at offset", "test_file.", "EIO"]),
    ),
    fault(
        WRITES,
        "pwrite64",
        "error=ENOSPC",
        THIRTY,
        Fails(&["writing", "no space left"]),
    ),
    fault(WRITES, "pwrite64", "error=EINTR", THIRTY, GoesOn),
    fault(
        WRITES,
        "pwrite64",
        "error=EAGAIN",
        THIRTY,
        Fails(&["writing", "EAGAIN"]),
    ),
    fault(
        WRITES,
        "pwrite64",
        "retval=512",
        THIRTY,
        Fails(&["writing 4096 bytes", "only 512 bytes"]),
    ),
    fault(
        WRITES,
        "fsync",
        "error=EIO",
        NINE,
        Fails(&["fsync of", "test_file.", "EIO"]),
    ),
    fault(
        WRITES,
        "fsync",
        "error=ENOSPC",
        NINE,
        Fails(&["fsync of", "ENOSPC"]),
    ),
    fault(WRITES, "fsync", "error=EINTR", NINE, GoesOn),
    fault(
        CREATES,
        "pwrite64",
        "error=ENOSPC",
        THIRTY,
        Fails(&["writing", "no space left"]),
    ),
    fault(
        CREATES,
        "fsync",
        "error=EIO",
        THREE,
        Fails(&["fsync of", "EIO"]),
    ),
    fault(CREATES, "fsync", "error=EINTR", THREE, GoesOn),
    fault(
        AIO,
        "io_submit",
        "error=EIO",
        THIRTY,
        Fails(&["queue", "EIO"]),
    ),
    fault(AIO, "io_submit", "error=EINTR", THIRTY, GoesOn),
    fault(AIO, "io_submit", "error=EAGAIN", THIRTY, GoesOn),
    fault(AIO, "io_submit", "retval=0", THIRTY, GoesOn),
    fault(
        AIO,
        "io_getevents",
        "error=EIO",
        THIRTY,
        Fails(&["queue", "EIO"]),
    ),
    fault(AIO, "io_getevents", "error=EINTR", THIRTY, GoesOn),
    fault(AIO, "io_getevents", "retval=0", THIRTY, GoesOn),
    fault(
        AIO,
        "io_setup",
        "error=EAGAIN",
        [1, 1, 1],
        Fails(&["fs.aio-max-nr"]),
    ),
    fault(
        AIO,
        "io_setup",
        "error=ENOSYS",
        [1, 1, 1],
        Fails(&["native AIO", "--io sync"]),
    ),
    fault(
        URING,
        "io_uring_enter",
        "error=EIO",
        THIRTY,
        Fails(&["queue", "EIO"]),
    ),
    fault(URING, "io_uring_enter", "error=EINTR", THIRTY, GoesOn),
    fault(URING, "io_uring_enter", "error=EAGAIN", THIRTY, GoesOn),
    fault(URING, "io_uring_enter", "error=EBUSY", THIRTY, GoesOn),
    fault(URING, "io_uring_enter", "retval=0", THIRTY, GoesOn),
    fault(
        URING,
        "io_uring_setup",
        "error=ENOSYS",
        [1, 1, 1],
        Fails(&["io_uring", "seccomp", "--io aio"]),
    ),
    fault(
        URING,
        "io_uring_setup",
        "error=EPERM",
        [1, 1, 1],
        Fails(&["io_uring", "--io aio"]),
    ),
    fault(
        URING,
        "io_uring_register",
        "error=ENOMEM",
        [2, 2, 2],
        Fails(&["ulimit -l"]),
    ),
    // Each of the 3 files is opened once for the check before the run, and once for reading.
    fault(
        READS,
        "openat",
        "error=EIO",
        [4, 5, 6],
        Fails(&["opening the test file", "test_file."]),
    ),
    fault(
        READS,
        "openat",
        "error=EMFILE",
        [4, 5, 6],
        Fails(&["too few file descriptors", "ulimit -n"]),
    ),
    fault(READS, "openat", "error=EINTR", [4, 5, 6], GoesOn),
    fault(
        MAPPED,
        "ftruncate",
        "error=ENOSPC",
        THREE,
        Fails(&["extending the test file", "test_file."]),
    ),
    fault(
        MAPPED,
        "ftruncate",
        "error=EIO",
        THREE,
        Fails(&["extending the test file", "test_file."]),
    ),
    fault(MAPPED, "ftruncate", "error=EINTR", THREE, GoesOn),
];

fn holds(row: &Fault) {
    let bench = Bench::new();
    bench
        .fileio(&format!("prepare {SET} --quiet"))
        .succeeded("prepare");
    let prepared = bench.names();
    for when in row.when {
        let what = format!("{} {} {} at call {when}", row.run, row.call, row.fault);
        let _ = std::fs::remove_file(bench.json());
        let injections = bench.inject(row.call, row.fault, when, FILES);
        let args = format!("{} {SET} --events {REQUESTS}", row.run);
        let end = bench.run_under(&injections, &args);
        let result = bench.result();
        let events = result["totals"]["events"]
            .as_u64()
            .expect("a number of events");
        match row.outcome {
            GoesOn => {
                end.succeeded(&what);
                assert_eq!(result["status"], "complete", "{what}");
                assert_eq!(events, REQUESTS, "{what}");
            }
            Fails(args) => {
                let end = end.failed_with(args, &what);
                assert_eq!(result["status"], "failed", "{what}");
                let message = result["error"].as_str().expect("an error in the result");
                assert!(
                    end.stderr.contains(message),
                    "{what}: {message:?} is not in {end:?}"
                );
                // Completed requests count; the failed one does not.
                assert!(events <= REQUESTS, "{what}: {events}");
            }
        }
        // `run` removes no files, and leaves none besides.
        if !row.run.contains("seqwr") {
            assert_eq!(bench.names(), prepared, "{what}");
        }
    }
}

fn rows_hold(of: impl Fn(&Fault) -> bool) {
    let rows: Vec<&Fault> = TABLE.iter().filter(|row| of(row)).collect();
    assert!(!rows.is_empty());
    rows.into_iter().for_each(holds);
}

#[test]
fn a_failed_read_fails_the_run_and_an_interrupted_one_is_retried() {
    rows_hold(|row| row.call == "pread64");
}

#[test]
fn a_failed_write_fails_the_run_and_an_interrupted_one_is_retried() {
    rows_hold(|row| row.call == "pwrite64");
}

#[test]
fn a_failed_fsync_fails_the_run_and_an_interrupted_one_is_retried() {
    rows_hold(|row| row.call == "fsync");
}

#[test]
fn native_aio_retries_if_the_kernel_is_busy_and_fails_on_errors() {
    rows_hold(|row| row.run == AIO);
}

#[test]
fn io_uring_retries_if_the_kernel_is_busy_and_fails_on_errors() {
    rows_hold(|row| row.run == URING);
}

#[test]
fn a_file_that_cannot_be_opened_or_extended_is_named() {
    rows_hold(|row| matches!(row.call, "openat" | "ftruncate"));
}

#[test]
fn a_created_file_that_cannot_be_identified_is_removed() {
    for when in 1..=18 {
        let bench = Bench::new();
        // The main thread creates these files itself and checks each one after creating it.
        let args = format!("{CREATES} {SET} --quiet --json {}", bench.json().display());
        let fault = bench.inject("newfstatat", "error=EIO", when, FILES);
        bench.fileio_under(&fault, &args).failed_with(&["EIO"], "");
        assert_eq!(bench.names(), [""; 0], "call {when}");
    }
}

#[test]
fn only_the_file_that_cannot_be_removed_is_left() {
    for command in ["cleanup", "--mode rndrd --recreate --events 1"] {
        let bench = Bench::new();
        let prepared = command == "cleanup";
        if prepared {
            bench
                .fileio(&format!("prepare {SET} --quiet"))
                .succeeded("prepare");
        }
        // The second attempt, at the end of a whole job, removes what the first could not.
        let fault = bench.inject("unlinkat", "error=EBUSY", 1, FILES);
        let args = format!("{command} {SET}");
        bench
            .fileio_under(&fault, &args)
            .failed_with(&["removing", "test_file.0", "EBUSY"], command);
        let left: &[&str] = if prepared { &["test_file.0"] } else { &[] };
        assert_eq!(bench.names(), left, "{command}");
    }
}

/// `make fault-campaign` runs all of it.
#[test]
fn a_sample_of_the_fault_campaign_finds_nothing() {
    assert_campaign_finds_nothing("faults.py", &["--sample", "250", "--seed", "1"]);
}

#[test]
fn a_file_that_cannot_be_checked_is_named_before_the_run() {
    let bench = Bench::new();
    bench
        .fileio(&format!("prepare {SET} --quiet"))
        .succeeded("prepare");
    for when in THREE {
        let injections = bench.inject("openat", "error=EIO", when, FILES);
        bench
            .run_under(&injections, &format!("{READS} {SET}"))
            .failed_with(&["opening the test file", "test_file."], READS);
        assert_eq!(bench.result()["status"], "failed");
        assert_eq!(bench.result()["totals"]["events"], 0);
    }
}

#[test]
fn a_fault_in_prepare_leaves_no_file_and_an_interrupted_call_has_no_effect() {
    // strace counts calls per thread: each of three writes 4 pieces of a file.
    let whole = "prepare --files 3 --total-size 12M --quiet";
    for (call, fault, when, args) in [
        (
            "pwrite64",
            "error=EIO",
            [1, 2, 4],
            &["writing", "test_file.", "EIO"][..],
        ),
        (
            "pwrite64",
            "error=ENOSPC",
            [1, 2, 4],
            &["writing", "no space left"],
        ),
        ("pwrite64", "error=EINTR", [1, 2, 4], &[]),
        ("fsync", "error=EIO", [1, 1, 1], &["syncing", "test_file."]),
        ("fsync", "error=EINTR", [1, 1, 1], &[]),
        (
            "openat",
            "error=EACCES",
            [1, 1, 1],
            &["opening the test file"],
        ),
        ("openat", "error=EINTR", [1, 1, 1], &[]),
    ] {
        for when in when {
            let bench = Bench::new();
            let what = format!("prepare {call} {fault} at call {when}");
            let end = bench.fileio_under(&bench.inject(call, fault, when, FILES), whole);
            if args.is_empty() {
                end.succeeded(&what);
                assert_eq!(bench.names().len(), FILES as usize, "{what}");
            } else {
                end.failed_with(args, &what);
                assert_eq!(bench.names(), [""; 0], "{what}");
            }
        }
    }
}

#[test]
fn a_whole_job_that_fails_removes_the_files_it_created() {
    for io in BACKENDS {
        // Calls that preparing does not make.
        let call = match io {
            "sync" => "pread64",
            "aio" => "io_getevents",
            "uring" => "io_uring_enter",
            _ => "msync",
        };
        let bench = Bench::new();
        let injections = bench.inject(call, "error=EIO", 2, 0);
        let args = format!(
            "--mode rndrw --io {io} --depth 4 --fsync-freq 1 {SET} --events 30 --quiet --json {}",
            bench.json().display()
        );
        let args = match io {
            "aio" | "uring" => args,
            _ => args.replace("--depth 4 ", ""),
        };
        bench
            .fileio_under(&injections, &args)
            .failed_with(&["error"], io);
        assert_eq!(bench.names(), [""; 0], "{io}");
        assert_eq!(bench.result()["status"], "failed", "{io}");
    }
}
