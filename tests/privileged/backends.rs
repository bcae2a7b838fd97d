//! Native AIO and io_uring: the system calls of the I/O engines.

use crate::common::storage::{Bench, MODES};

const SET: &str = "--files 3 --total-size 1200K";

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
fn calls(bench: &Bench, args: &str) -> Vec<Call> {
    let injections = [
        "-v",
        "-s",
        "0",
        "-e",
        "trace=pread64,pwrite64,io_submit,io_getevents,fsync",
    ]
    .map(str::to_owned);
    bench.run_under(&injections, args).succeeded(args);
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
    let args = line[line.find('(')? + 1..line.rfind(')')?].split(", ");
    let args: Vec<&str> = args.collect();
    let [descriptor, .., len, offset] = args.as_slice() else {
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
    let bench = Bench::prepared(SET);
    for mode in MODES {
        let args = |io: &str| format!("{SET} --mode {mode} --events 200 --io {io}");
        let synchronous = requests(calls(&bench, &args("sync")));
        let queued = requests(calls(&bench, &args("aio --depth 16")));
        assert_eq!(synchronous.len(), 200, "{mode}");
        assert_eq!(queued, synchronous, "{mode}");
        bench
            .fileio(&format!("prepare {SET} --quiet"))
            .succeeded("prepare");
    }
}

#[test]
fn at_most_depth_requests_are_in_flight_and_none_at_an_fsync_or_the_end() {
    let bench = Bench::prepared(SET);
    let args = format!("{SET} --mode rndrw --events 300 --fsync-freq 50 --io aio --depth 8");
    let (mut in_flight, mut most, mut fsyncs) = (0, 0, 0);
    for call in calls(&bench, &args) {
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
