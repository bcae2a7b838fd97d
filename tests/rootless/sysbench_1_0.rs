//! The command line and the reports of sysbench 1.0 from outside.

use std::os::unix::fs::symlink;
use std::path::Path;

use predicates::prelude::*;
use predicates::str::{contains, is_empty, is_match, starts_with};

use crate::common::{PATIENCE, WBENCH, names_in, temp_dir, text};

/// wbench under the name sysbench, with these arguments in a directory.
fn sysbench(directory: &Path, arguments: &str) -> assert_cmd::Command {
    let link = directory.join("sysbench");
    if !link.is_symlink() {
        symlink(WBENCH, &link).unwrap();
    }
    let mut command = assert_cmd::Command::new(link);
    command
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .timeout(PATIENCE);
    command
}

#[test]
fn the_report_of_the_cpu_test_is_that_of_1_0() {
    let directory = temp_dir();
    let report = r"(?x)\A
        sysbench\ 1\.0\.20\ \(wbench\ [\d.]+\)\n
        \n
        Running\ the\ test\ with\ following\ options:\n
        Number\ of\ threads:\ 2\n
        Initializing\ random\ number\ generator\ from\ seed\ \(7\)\.\n
        \n
        \n
        Prime\ numbers\ limit:\ 500\n
        \n
        Initializing\ worker\ threads\.\.\.\n
        \n
        Threads\ started!\n
        \n
        CPU\ speed:\n
        \ {4}events\ per\ second:\ [\d.\ ]{5,}\.\d\d\n
        \n
        General\ statistics:\n
        \ {4}total\ time:\ {26}\d+\.\d{4}s\n
        \ {4}total\ number\ of\ events:\ {14}20\n
        \n
        Latency\ \(ms\):\n
        \ {9}min:[\d.\ ]{40}\n
        \ {9}avg:[\d.\ ]{40}\n
        \ {9}max:[\d.\ ]{40}\n
        \ {9}95th\ percentile:[\d.\ ]{28}\n
        \ {9}sum:[\d.\ ]{40}\n
        \n
        Threads\ fairness:\n
        \ {4}events\ \(avg/stddev\):\ {11}10\.0000/\d+\.\d\d\n
        \ {4}execution\ time\ \(avg/stddev\):\ {3}\d+\.\d{4}/\d+\.\d\d\n
        \n\z";
    sysbench(
        directory.path(),
        "cpu --threads=2 --events=20 --cpu-max-prime=500 --rand-seed=7 run",
    )
    .assert()
    .success()
    .stdout(is_match(report).unwrap());
}

#[test]
fn consumers_find_what_their_patterns_look_for() {
    let directory = temp_dir();
    // Phoronix, PerfKitBenchmarker, Microsoft LISA, gVisor, lkp-tests, kubestone, hardinfo2, Salt,
    // Browbeat
    for (arguments, patterns) in [
        (
            "cpu --events=20 --cpu-max-prime=500 run",
            &[
                r"    events per second: *[\d.]+\n",
                r"total time: +[\d.]+s\n",
                r"total number of events: +20\n",
                r"min: +[\d.]+\n +avg: +[\d.]+\n +max: +[\d.]+\n",
                r"95th percentile: +[\d.]+\n",
                r"execution time \(avg/stddev\):   [\d.]+/[\d.]+\n",
            ][..],
        ),
        (
            "memory --memory-total-size=4M run",
            &[
                r"MiB transferred \([\d.]+ MiB/sec\)\n",
                r"Total operations: \d+ \( *[\d.]+ per second\)\n",
            ],
        ),
        (
            // On a busy machine, each yield lasts as long as the time slices of other processes.
            "threads --events=3 --thread-yields=2 --time=0 run",
            &[r"total number of events: +3\n"],
        ),
        ("mutex --mutex-locks=9 run", &[r"total time: +[\d.]+s\n"]),
        (
            "fileio --file-num=2 --file-total-size=1M prepare",
            &[r"(?m)^\d+ bytes written in [\d.]+ seconds \([\d.]+ MiB/sec\)\.$"],
        ),
        (
            "fileio --file-num=2 --file-total-size=1M --file-test-mode=rndrw --events=300 run",
            &[
                r"reads/s: +[\d.]+\n",
                r"writes/s: +[\d.]+\n",
                r"fsyncs/s: +[\d.]+\n",
                r"read, MiB/s: +[\d.]+\n",
                r"written, MiB/s: +[\d.]+\n",
                r"95th percentile: +[\d.]+\n",
            ],
        ),
        (
            "--version",
            &[r"^sysbench 1\.0\.20\b", r"^sysbench (\d+\.\d+\.\d+)"],
        ),
    ] {
        let report = sysbench(directory.path(), arguments).assert().success();
        let report = String::from_utf8_lossy(&report.get_output().stdout).into_owned();
        for pattern in patterns {
            assert!(
                is_match(*pattern).unwrap().eval(&report),
                "{pattern}: {report}"
            );
        }
    }
}

#[test]
fn intervals_and_checkpoints_are_reported_during_the_run() {
    let directory = temp_dir();
    let arguments = "cpu --time=3 --report-interval=1 --report-checkpoints=2,9 --percentile=99 run";
    sysbench(directory.path(), arguments)
        .assert()
        .success()
        .stdout(
            is_match(r"\n\[ 1s \] thds: 1 eps: [\d.]+ lat \(ms,99%\): [\d.]+\n")
                .unwrap()
                .and(is_match(r"\n\[ 2s \] Checkpoint report:\nCPU speed:\n").unwrap())
                .and(contains("General statistics:").count(2))
                .and(contains("Checkpoint report").count(1)),
        );
}

#[test]
fn a_histogram_has_a_line_for_each_bucket_with_events() {
    let directory = temp_dir();
    let arguments = "mutex --mutex-locks=9 --threads=3 --histogram run";
    let lines = r"\nLatency histogram \(values are in milliseconds\)\n       value  ------------- distribution ------------- count\n([\d. ]{12} \|[* ]{40} \d\n)+ \n";
    sysbench(directory.path(), arguments)
        .assert()
        .success()
        .stdout(is_match(lines).unwrap());
}

#[test]
fn a_run_that_hangs_is_shut_down_with_status_2() {
    let directory = temp_dir();
    let arguments = "cpu --time=1 --forced-shutdown=0 --cpu-max-prime=2000000000 run";
    sysbench(directory.path(), arguments)
        .assert()
        .code(2)
        .stdout(
            contains("FATAL: The --max-time limit has expired, forcing shutdown...\n").and(
                contains("\nNumber of unfinished transactions on forced shutdown: 1\n"),
            ),
        );
}

#[test]
fn refusals_are_on_the_streams_of_1_0() {
    let directory = temp_dir();
    sysbench(directory.path(), "cpu --threads=0 run")
        .assert()
        .code(1)
        .stdout("FATAL: Invalid value for --threads: 0.\n\n")
        .stderr(is_empty());
    sysbench(directory.path(), "cpu --events=x run")
        .assert()
        .code(1)
        .stdout(is_empty())
        .stderr("Invalid value for the 'events' option: 'x'\n");
    sysbench(directory.path(), "oltp_read_only run")
        .assert()
        .code(1)
        .stdout(
            starts_with("sysbench 1.0.20 ").and(contains("FATAL: cannot run 'oltp_read_only'")),
        );
}

#[test]
fn fileio_prepares_runs_and_removes_its_files() {
    let directory = temp_dir();
    let run = |arguments: &str| {
        let arguments = format!("fileio --file-num=3 --file-total-size=192K {arguments}");
        sysbench(directory.path(), &arguments).assert()
    };
    run("--file-test-mode=rndrd run").code(1).stdout(contains(
        "FATAL: Cannot open file 'test_file.0' errno = 2 (No such file or directory)\n\
         WARNING: Did you forget to run the prepare step?\n",
    ));
    run("prepare").success().stdout(
        contains("\n3 files, 64Kb each, 0Mb total\nCreating files for the test...\n")
            .and(contains("\nCreating file test_file.2\n"))
            .and(
                is_match(r"\n196608 bytes written in [\d.]+ seconds \([\d.]+ MiB/sec\)\.\n")
                    .unwrap(),
            ),
    );
    run("prepare").success().stdout(contains(
        "\nReusing existing file test_file.2\nNo bytes written.\n",
    ));
    let report = run("--file-test-mode=rndrw --events=40 run").success();
    let report = String::from_utf8_lossy(&report.get_output().stdout).into_owned();
    for pattern in [
        "Extra file open flags: \\(none\\)\n3 files, 64KiB each\n192KiB total file size\n",
        "Block size 16KiB\nNumber of IO requests: 40\n",
        r"reads/s: +[\d.]+",
        r"writes/s: +[\d.]+",
        r"fsyncs/s: +[\d.]+",
        r"read, MiB/s: +[\d.]+",
        r"written, MiB/s: +[\d.]+",
        r"total number of events: +40",
    ] {
        assert!(
            is_match(pattern).unwrap().eval(&report),
            "{pattern}: {report}"
        );
    }
    run("cleanup")
        .success()
        .stdout(contains("Removing test files...\n"));
    assert_eq!(names_in(directory.path()), ["sysbench"]);
}

#[test]
fn sequential_modes_begin_again_and_fsyncs_are_events() {
    let directory = temp_dir();
    let files = "fileio --file-num=2 --file-total-size=64K";
    // Two requests per file: ten events are twice all requests and a round of fsyncs.
    let events = "--file-test-mode=seqwr --file-fsync-freq=8 --events=10 --percentile=0 run";
    sysbench(directory.path(), &format!("{files} {events}"))
        .assert()
        .success()
        .stdout(contains("total number of events:              10\n"));
    let endless = "--file-test-mode=seqrd --time=1 run";
    let report = sysbench(directory.path(), &format!("{files} {endless}"))
        .assert()
        .success();
    let report = String::from_utf8_lossy(&report.get_output().stdout).into_owned();
    let events = report.split("total number of events:").nth(1).unwrap();
    let events: u64 = events.split_whitespace().next().unwrap().parse().unwrap();
    assert!(events > 4, "{report}");
}

#[test]
fn a_rate_is_reported_as_by_1_0_and_queue_and_busy_threads_at_each_interval() {
    let directory = temp_dir();
    let args = "cpu --cpu-max-prime=10 --rate=1000 --time=2 --report-interval=1 --threads=2 run";
    let report = sysbench(directory.path(), args).assert().success();
    let report = text(&report.get_output().stdout);
    let options = "Number of threads: 2\nTarget transaction rate: 1000/sec\nReport intermediate";
    assert!(report.contains(options), "{report}");
    let lines: Vec<&str> = report
        .lines()
        .filter(|line| line.starts_with("[ 1s ]"))
        .collect();
    assert_eq!(lines.len(), 2, "{report}");
    let queue = lines[1]
        .strip_prefix("[ 1s ] queue length: ")
        .expect(&report);
    let (length, busy) = queue.split_once(" concurrency: ").expect(&report);
    assert!(length.parse::<u64>().is_ok(), "{report}");
    assert!(busy.parse::<u64>().unwrap() <= 2, "{report}");
}

#[test]
fn a_run_whose_queue_of_events_is_full_fails_as_in_1_0() {
    let directory = temp_dir();
    for rate in ["1000000000", "-1"] {
        let args = format!("cpu --cpu-max-prime=100000 --rate={rate} --time=100 run");
        sysbench(directory.path(), &args).assert().code(1).stdout(
            contains(format!("Target transaction rate: {rate}/sec\n")).and(contains(
                "Threads started!\n\nFATAL: The event queue is full. This means the worker threads are \
                 unable to keep up with the specified event generation rate\n",
            )),
        );
    }
}
