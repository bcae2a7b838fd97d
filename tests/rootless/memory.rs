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
        (
            "--stride 4K",
            "--stride, --window and --walk-cost require --oper chase",
        ),
        (
            "--oper read --window 4K",
            "--stride, --window and --walk-cost require --oper chase",
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

#[test]
fn the_pages_requested_are_confirmed_or_a_warning_says_what_was_used_instead() {
    for pages in ["4K", "thp"] {
        let args = format!("memory --oper chase --block-size 4M --events 3 --pages {pages}");
        let result = result_of(Path::new("."), &args);
        assert_eq!(result["workload"]["params"]["pages"], pages);
        let huge = result["memory"]["huge_bytes"].as_u64();
        let warnings = result["warnings"].as_array().unwrap();
        let warned = warnings.iter().any(|it| it["code"] == "block-pages");
        let as_requested = match (pages, huge) {
            (_, None) => true,
            ("4K", Some(huge)) => huge == 0,
            (_, Some(huge)) => huge as f64 >= 0.9 * f64::from(4 << 20),
        };
        assert_eq!(warned, !as_requested, "{pages}: {huge:?}, {warnings:?}");
    }
}

#[test]
fn huge_pages_that_are_not_in_their_pool_are_an_error_that_says_what_to_do() {
    for (pages, kib) in [("2M", 2048), ("1G", 1048576)] {
        let pool = format!("/sys/kernel/mm/hugepages/hugepages-{kib}kB");
        let free = std::fs::read_to_string(format!("{pool}/free_hugepages"));
        if free.is_ok_and(|free| free.trim() != "0") {
            continue;
        }
        let args = format!("memory --events 3 --block-size 64M --pages {pages}");
        wbench(Path::new("."), &args)
            .assert()
            .code(1)
            .stdout("")
            .stderr(starts_with(format!("wbench: --pages {pages}: ")).and(contains(pool)));
    }
    wbench(Path::new("."), "memory --pages 2M --hugetlb")
        .assert()
        .code(2);
}

#[test]
fn several_block_sizes_give_a_table_and_an_array_of_results() {
    let dir = tempfile::tempdir().unwrap();
    let args = "memory --oper chase --block-size 4K..16K,1M --events 3 --json all.json";
    wbench(dir.path(), args).assert().success().stdout(
        starts_with("memory: dependent loads in blocks of 4K to 1M, ")
            .and(contains("block size  ns/load"))
            .and(contains(" 8K  "))
            .and(contains(" 1M  ")),
    );
    let text = std::fs::read_to_string(dir.path().join("all.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&text).unwrap();
    let sizes: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["workload"]["params"]["block_size_bytes"].as_u64())
        .collect();
    assert_eq!(sizes, [4096, 8192, 16384, 1 << 20].map(Some));
    wbench(dir.path(), "compare all.json --vary block_size_bytes")
        .assert()
        .success();
}

#[test]
fn the_cost_of_page_walks_is_that_of_spread_lines_less_that_of_packed_ones() {
    let dir = tempfile::tempdir().unwrap();
    let args = "memory --oper chase --walk-cost --block-size 1M --events 3 --json walk.json";
    wbench(dir.path(), args)
        .assert()
        .success()
        .stdout(contains("page walk"));
    let text = std::fs::read_to_string(dir.path().join("walk.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&text).unwrap();
    let of = |run: usize, path: &str| number(&results[run], path);
    assert_eq!(results.as_array().unwrap().len(), 2);
    for run in [0, 1] {
        assert_eq!(of(run, "/load_latency/lines"), 256.0);
    }
    assert_eq!(of(0, "/workload/params/block_size_bytes"), 256.0 * 64.0);
    assert!(results[0]["load_latency"]["walk_ns"].is_null());
    let difference = of(1, "/load_latency/median_ns") - of(0, "/load_latency/median_ns");
    assert_eq!(of(1, "/load_latency/walk_ns"), difference);
}

#[test]
fn a_measurement_of_a_sweep_has_one_block_size() {
    for options in [
        "--block-size 4K,8K",
        "--oper chase --walk-cost --block-size 8K",
    ] {
        let args = format!("sweep --concurrency 1 --count 1 --json x -- memory {options}");
        wbench(Path::new("."), &args)
            .assert()
            .failure()
            .stderr(contains("expected one block size"));
    }
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
