//! Compares native AIO, io_uring and mmap with synchronous calls: same requests, none lost.

use std::fs::File;
use std::time::{Duration, Instant};

use crate::common::storage::{BACKENDS, Bench, End, MODES};

const SET: &str = "--files 3 --total-size 1200K";

fn prepared() -> Bench {
    let bench = Bench::new();
    bench
        .fileio(&format!("prepare {SET} --quiet"))
        .succeeded("prepare");
    bench
}

/// A system call of a run, reduced to what these tests check.
#[derive(Debug, PartialEq)]
enum Call {
    /// Requests, each with its descriptor, length, offset and whether it writes; and how many the
    /// kernel accepted.
    Submit(Vec<(String, String, String, bool)>, usize),
    GetEvents(usize),
    Fsync,
}

/// The calls of a single-threaded run, in order.
fn calls(bench: &Bench, words: &str) -> Vec<Call> {
    let injections = [
        "-v",
        "-s",
        "0",
        "-e",
        "trace=pread64,pwrite64,io_submit,io_getevents,fsync",
    ]
    .map(str::to_owned);
    bench.run_under(&injections, words).succeeded(words);
    let trace = std::fs::read_to_string(bench.dir.with_file_name("trace")).expect("a trace");
    trace.lines().filter_map(call).collect()
}

fn call(line: &str) -> Option<Call> {
    let (_, line) = line.split_once(' ')?;
    let line = line.trim_start();
    let result = || line.rsplit_once("= ")?.1.trim().parse::<usize>().ok();
    if line.starts_with("io_submit(") {
        let requests = line.split("{aio_data=").skip(1).map(|request| {
            let field = |name: &str| {
                let at = request.find(name).expect(name) + name.len();
                let rest = &request[at..];
                rest[..rest.find([',', '}']).expect("an end")].to_owned()
            };
            (
                field("aio_fildes="),
                field("aio_nbytes="),
                field("aio_offset="),
                request.contains("PWRITE"),
            )
        });
        return Some(Call::Submit(requests.collect(), result()?));
    }
    if line.starts_with("io_getevents(") {
        return Some(Call::GetEvents(result()?));
    }
    if line.starts_with("fsync(") {
        return Some(Call::Fsync);
    }
    let writes = line.starts_with("pwrite64(");
    if !writes && !line.starts_with("pread64(") {
        return None;
    }
    let words = line[line.find('(')? + 1..line.rfind(')')?].split(", ");
    let words: Vec<&str> = words.collect();
    let [descriptor, .., len, offset] = words.as_slice() else {
        return None;
    };
    let request = (
        descriptor.to_string(),
        len.to_string(),
        offset.to_string(),
        writes,
    );
    Some(Call::Submit(vec![request], 1))
}

fn requests(calls: Vec<Call>) -> Vec<(String, String, String, bool)> {
    calls
        .into_iter()
        .flat_map(|call| match call {
            Call::Submit(requests, _) => requests,
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn one_thread_submits_requests_in_the_order_of_the_synchronous_stream() {
    let bench = prepared();
    for mode in MODES {
        let words = |io: &str| format!("{SET} --mode {mode} --events 200 --io {io}");
        let synchronous = requests(calls(&bench, &words("sync")));
        let queued = requests(calls(&bench, &words("aio --depth 16")));
        assert_eq!(synchronous.len(), 200, "{mode}");
        assert_eq!(queued, synchronous, "{mode}");
        bench
            .fileio(&format!("prepare {SET} --quiet"))
            .succeeded("prepare");
    }
}

#[test]
fn at_most_depth_requests_are_in_flight_and_none_at_an_fsync_or_the_end() {
    let bench = prepared();
    let words = format!("{SET} --mode rndrw --events 300 --fsync-freq 50 --io aio --depth 8");
    let (mut in_flight, mut most, mut fsyncs) = (0, 0, 0);
    for call in calls(&bench, &words) {
        match call {
            Call::Submit(_, taken) => in_flight += taken,
            Call::GetEvents(got) => in_flight -= got,
            Call::Fsync => {
                assert_eq!(in_flight, 0);
                fsyncs += 1;
            }
        }
        most = most.max(in_flight);
    }
    assert_eq!((in_flight, most), (0, 8));
    // 3 files after 50, 100, 150, 200, 250 requests and at the end; plus the result file and its
    // directory.
    assert_eq!(fsyncs, 6 * 3 + 2);
}

#[test]
fn every_engine_counts_an_fsync_for_each_write_under_fsync_all() {
    let bench = prepared();
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
fn a_file_truncated_during_a_run_ends_it_with_a_message() {
    for io in BACKENDS {
        let bench = prepared();
        let words = bench.run_words(&format!(
            "{SET} --mode rndrd --events 0 --time 20 --io {io}"
        ));
        let child = bench.start(&words);
        wait_until_open(&bench, child.id());
        let file = File::options().write(true).open(bench.file(1));
        file.expect("a test file").set_len(4096).expect("truncated");
        let end = End::from(child.wait_with_output().expect("an end"));
        end.failed_with(&["test_file.1", "offset"], io);
        assert_eq!(bench.result()["status"], "failed", "{io}");
    }
}

/// Waits until a run has opened its last file and its checks are done.
fn wait_until_open(bench: &Bench, process: u32) {
    let last = std::fs::canonicalize(bench.file(2)).expect("a test file");
    let patience = Instant::now() + Duration::from_secs(10);
    let open = || {
        let links = std::fs::read_dir(format!("/proc/{process}/fd")).expect("descriptors");
        links
            .flatten()
            .filter(|link| std::fs::read_link(link.path()).is_ok_and(|path| path == last))
            .count()
    };
    while open() == 0 {
        assert!(Instant::now() < patience, "the files are never opened");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The check of a file takes microseconds; the run's own descriptor stays open.
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn a_bus_error_outside_the_test_files_still_kills_the_process() {
    let bench = prepared();
    let words = bench.run_words(&format!(
        "{SET} --mode rndrd --events 0 --time 20 --io mmap"
    ));
    let child = bench.start(&words);
    wait_until_open(&bench, child.id());
    let process = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGBUS).expect("a signal sent");
    let end = End::from(child.wait_with_output().expect("an end"));
    assert_eq!(end.signal, Some(libc::SIGBUS), "{end:?}");
}

#[test]
fn a_depth_is_refused_for_an_engine_without_a_queue() {
    let bench = prepared();
    for io in ["sync", "mmap"] {
        bench
            .run(&format!("{SET} --mode rndrd --io {io} --depth 4"))
            .failed_with(&["--depth", "aio", "uring"], io);
    }
}

#[test]
fn the_page_cache_is_reported_and_dropped() {
    let bench = prepared();
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
    assert_eq!(resident(&cached), Some(1200 << 10));
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
