//! The memory test from outside.

use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use predicates::prelude::*;
use predicates::str::{contains, starts_with};

use crate::common::{Running, assert_ended, number, result_of, wbench};

#[test]
fn the_total_is_rounded_up_to_whole_blocks_with_any_number_of_threads() {
    for threads in [1, 2, 4] {
        for (total, block, events) in [("64K", "1K", 64), ("100", "64", 2), ("5M", "4", 1310720)] {
            let args =
                format!("memory --total-size {total} --block-size {block} --threads {threads}");
            let result = result_of(Path::new("."), &args);
            assert_eq!(result["totals"]["events"], events, "{args}");
        }
    }
}

#[test]
fn reads_and_writes_are_counted_with_their_bytes_and_none_has_neither() {
    let totals = |oper: &str| {
        let args = format!("memory --oper {oper} --total-size 1M --block-size 4K");
        result_of(Path::new("."), &args)["totals"].clone()
    };
    let of = |totals: &serde_json::Value| {
        ["reads", "writes", "bytes_read", "bytes_written"]
            .map(|name| totals[name].as_u64().unwrap())
    };
    assert_eq!(of(&totals("read")), [256, 0, 1 << 20, 0]);
    assert_eq!(of(&totals("write")), [0, 256, 0, 1 << 20]);
    let none = totals("none");
    assert_eq!(of(&none), [0; 4]);
    assert_eq!(none["events"], 256);
}

#[test]
fn every_scope_access_and_operation_runs_the_same_number_of_events() {
    for oper in ["read", "write", "none"] {
        for scope in ["global", "local"] {
            for access in ["seq", "rnd"] {
                let args = format!(
                    "memory --oper {oper} --scope {scope} --access {access} --total-size 256K \
                     --block-size 1K --threads 3"
                );
                let result = result_of(Path::new("."), &args);
                assert_eq!(result["totals"]["events"], 256, "{args}");
                let params = &result["workload"]["params"];
                assert_eq!(
                    [&params["oper"], &params["scope"], &params["access"]],
                    [oper, scope, access]
                );
            }
        }
    }
}

/// The KiB of a process's anonymous mappings of at least this size: the total, and those referenced
/// since the referenced bits were last cleared.
fn large_mappings(pid: Pid, at_least_kib: u64) -> (u64, u64) {
    let Ok(maps) = std::fs::read_to_string(format!("/proc/{pid}/smaps")) else {
        return (0, 0);
    };
    let kib = |line: &str, name: &str| -> Option<u64> {
        let rest = line.strip_prefix(name)?.trim();
        rest.strip_suffix(" kB")?.parse().ok()
    };
    let (mut size, mut all, mut referenced) = (0, 0, 0);
    for line in maps.lines() {
        if let Some(this) = kib(line, "Size:") {
            size = this;
            all += if size >= at_least_kib { size } else { 0 };
        }
        if let Some(this) = kib(line, "Referenced:").filter(|_| size >= at_least_kib) {
            referenced += this;
        }
    }
    (all, referenced)
}

#[test]
fn every_page_of_the_block_is_touched_by_the_events_and_not_only_before_them() {
    const BLOCK_KIB: u64 = 16 << 10;
    for oper in [
        "read --access seq",
        "write --access seq",
        "read --access rnd",
        "write --access rnd",
        "chase",
        "chase --window 4K",
        "chase --stride 4K",
    ] {
        let args = format!(
            "memory --oper {oper} --block-size {BLOCK_KIB}K --total-size 1000T \
             --time 0 --report-interval 0.05"
        );
        let run = Running::wbench(Path::new("."), &args);
        // The block has been touched once before the first interval report.
        run.wait_for("events/s");
        std::fs::write(format!("/proc/{}/clear_refs", run.pid()), "1").unwrap();
        crate::common::wait_until("references to each page", || {
            let (size, referenced) = large_mappings(run.pid(), BLOCK_KIB);
            size >= BLOCK_KIB && referenced >= BLOCK_KIB
        });
        run.signal(Signal::SIGTERM);
        assert_ended(&run.finish(), 143);
    }
}

#[test]
fn a_chase_reports_the_latency_of_a_load_and_counts_no_bytes() {
    for (args, lines, threads) in [
        ("--block-size 64", 1, 1),
        ("--block-size 64K --threads 3", 1024, 3),
        (
            "--block-size 1M --scope local --threads 2 --window 8K",
            16384,
            2,
        ),
        ("--block-size 1M --stride 4K --seed 7", 256, 1),
    ] {
        let args = format!("memory --oper chase --events 20 {args}");
        let result = result_of(Path::new("."), &args);
        assert_eq!(result["totals"]["events"], 20, "{args}");
        assert_eq!(result["workload"]["threads"], threads);
        for name in ["reads", "writes", "bytes_read", "bytes_written"] {
            assert_eq!(result["totals"][name], 0, "{args}: {name}");
        }
        assert_eq!(result["load_latency"]["lines"], lines, "{args}");
        let ns = |field: &str| number(&result, &format!("/load_latency/{field}_ns"));
        let loads = number(&result, "/load_latency/loads_per_event");
        assert_eq!(ns("mean") * loads, number(&result, "/latency_ns/mean"));
        assert_eq!(ns("min") * loads, number(&result, "/latency_ns/min"));
        // Percentiles have 3 significant digits.
        assert!(ns("median") >= ns("min") * 0.998, "{args}");
    }
}

#[test]
fn each_load_of_a_chase_counts_as_a_line_of_the_total() {
    for (total, events) in [("1M", 1), ("1025K", 2), ("5M", 5)] {
        let args = format!("memory --oper chase --block-size 4K --total-size {total}");
        let result = result_of(Path::new("."), &args);
        assert_eq!(result["totals"]["events"], events, "{args}");
    }
}

#[test]
fn the_report_of_a_chase_states_the_time_per_load() {
    wbench(
        Path::new("."),
        "memory --oper chase --block-size 8K --events 3",
    )
    .assert()
    .success()
    .stdout(
        starts_with("memory: dependent loads in 8K blocks, one block for all threads, 1 thread")
            .and(contains("\n  per load    median "))
            .and(contains("; 128 lines\n"))
            .and(contains("MiB/s").not()),
    );
}

#[test]
fn options_that_do_not_suit_the_operation_are_refused() {
    for (args, error) in [
        ("--stride 4K", "--stride and --window require --oper chase"),
        (
            "--oper read --window 4K",
            "--stride and --window require --oper chase",
        ),
        (
            "--oper chase --access seq",
            "--access does not apply to --oper chase",
        ),
        (
            "--oper chase --block-size 100",
            "invalid memory block size 100: ",
        ),
        (
            "--oper chase --block-size 4K --stride 96",
            "invalid stride 96: ",
        ),
        (
            "--oper chase --block-size 4K --window 8K",
            "invalid window 8K: ",
        ),
    ] {
        wbench(Path::new("."), &format!("memory --events 1 {args}"))
            .assert()
            .failure()
            .stdout("")
            .stderr(starts_with("wbench: ").and(contains(error)));
    }
}

#[test]
fn an_empty_event_allocates_no_block() {
    // More than any machine can map.
    let args = "memory --oper none --block-size 1048576T --total-size 4194304T";
    let result = result_of(Path::new("."), args);
    assert_eq!(result["totals"]["events"], 4);
}

#[test]
fn the_time_limit_and_the_limit_of_events_each_end_a_run() {
    let by_time = result_of(
        Path::new("."),
        "memory --total-size 1T --time 0.2 --threads 2",
    );
    assert_eq!(by_time["ended_by"], "time");
    assert!(number(&by_time, "/totals/wall_s") >= 0.2);
    let by_events = result_of(Path::new("."), "memory --total-size 1T --events 1234");
    assert_eq!(by_events["ended_by"], "work");
    assert_eq!(by_events["totals"]["events"], 1234);
}

#[test]
fn intervals_of_all_threads_add_up_to_all_bytes() {
    let result = result_of(
        Path::new("."),
        "memory --total-size 1T --block-size 64K --time 0.35 --threads 2 --report-interval 0.1",
    );
    let mut begin = 0.0;
    let mut mib = 0.0;
    for interval in result["intervals"].as_array().unwrap() {
        let end = number(interval, "/at_s");
        mib += number(interval, "/mib_per_s") * (end - begin);
        begin = end;
    }
    let written = number(&result, "/totals/bytes_written") / f64::from(1 << 20);
    assert!((mib - written).abs() < 1e-3, "{mib} of {written} MiB");
}

fn free_huge_pages() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("HugePages_Free:"));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

#[test]
fn huge_pages_come_from_the_pool_of_the_machine_or_are_refused() {
    let args = "memory --hugetlb --block-size 1M --total-size 16M";
    let free = free_huge_pages();
    let run = wbench(Path::new("."), args).assert();
    match free {
        0 => run
            .code(1)
            .stdout("")
            .stderr(starts_with("wbench: --hugetlb: ")),
        _ => run.success(),
    };
}
