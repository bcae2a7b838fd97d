//! Compares native AIO, io_uring and mmap with synchronous calls: same requests, none lost.

use std::fs::File;

use nix::sys::signal::Signal;

use crate::common::Running;
use crate::common::storage::{BACKENDS, Bench, End};

const SET: &str = "--files 3 --total-size 1200K";

#[test]
fn every_engine_counts_an_fsync_for_each_write_under_fsync_all() {
    let bench = Bench::prepared(SET);
    for io in BACKENDS {
        bench
            .run(&format!(
                "{SET} --mode rndwr --events 200 --fsync-all --io {io} --threads 2"
            ))
            .succeeded(io);
        let totals = &bench.result()["totals"];
        assert_eq!(
            (&totals["writes"], &totals["fsyncs"]),
            (&200.into(), &200.into()),
            "{io}"
        );
    }
}

#[test]
fn a_write_under_fsync_all_includes_its_fsync_in_every_report_interval() {
    let bench = Bench::prepared(SET);
    for io in BACKENDS {
        bench
            .run(&format!(
                "{SET} --mode rndwr --events 400 --fsync-all --io {io} --report-interval 0.001"
            ))
            .succeeded(io);
        let result = bench.result();
        let shortest = |latency: &str| result[latency]["min"].as_u64().expect("a latency");
        assert!(
            shortest("latency_ns") >= shortest("fsync_latency_ns"),
            "{io}: {} of {}",
            result["latency_ns"],
            result["fsync_latency_ns"]
        );
    }
}

#[test]
fn a_file_truncated_during_a_run_ends_it_with_a_message() {
    for io in BACKENDS {
        let bench = Bench::prepared(SET);
        let run = started(&bench, io);
        let file = File::options().write(true).open(bench.file(1));
        file.expect("a test file").set_len(4096).expect("truncated");
        let end = End::from(run.finish());
        end.failed_with(&["test_file.1", "offset"], io);
        assert_eq!(bench.result()["status"], "failed", "{io}");
    }
}

/// A run of random reads that only an error or a signal ends, in its first events.
fn started(bench: &Bench, io: &str) -> Running {
    let args = format!(
        "run {SET} --mode rndrd --events 0 --time 0 --io {io} --report-interval 0.05 --json {}",
        bench.json().display()
    );
    let run = bench.start(&args);
    run.wait_for("events/s");
    run
}

#[test]
fn a_bus_error_outside_the_test_files_still_kills_the_process() {
    let bench = Bench::prepared(SET);
    let run = started(&bench, "mmap");
    run.signal(Signal::SIGBUS);
    let end = End::from(run.finish());
    assert_eq!(end.signal, Some(libc::SIGBUS), "{end:?}");
}

#[test]
fn a_depth_is_refused_for_an_engine_without_a_queue() {
    let bench = Bench::prepared(SET);
    for io in ["sync", "mmap"] {
        bench
            .run(&format!("{SET} --mode rndrd --io {io} --depth 4"))
            .failed_with(&["--depth", "aio", "uring"], io);
    }
}

#[test]
fn the_page_cache_is_reported_and_dropped() {
    let bench = Bench::prepared(SET);
    let run = |more: &str| {
        bench
            .run(&format!("{SET} --mode rndrd --events 10 {more}"))
            .succeeded(more);
        bench.result()
    };
    let resident =
        |result: &serde_json::Value| result["storage"]["page_cache"]["resident_bytes"].as_u64();
    for file in 0..3 {
        std::fs::read(bench.file(file)).expect("a test file");
    }
    let cached = run("--flags none");
    // The kernel may reclaim a few pages at any time.
    let expected = 1100 << 10..=1200 << 10;
    assert!(resident(&cached).is_some_and(|bytes| expected.contains(&bytes)));
    let warned = |result: &serde_json::Value| {
        let warnings = result["warnings"].as_array().expect("warnings");
        warnings
            .iter()
            .any(|warning| warning["code"] == "page-cache")
    };
    assert!(warned(&cached));
    assert_eq!(resident(&run("--flags none --drop-cache")), Some(0));
    let direct = run("--flags direct");
    assert_eq!(resident(&direct), None);
    assert!(!warned(&direct));
}
