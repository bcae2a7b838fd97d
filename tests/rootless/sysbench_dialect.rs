//! The command line and the reports of sysbench 0.4.12 from outside.

use std::os::unix::fs::symlink;
use std::path::Path;

use predicates::prelude::*;
use predicates::str::{contains, is_empty, is_match, starts_with};

use crate::common::{WBENCH, errors, names_in, temp_dir, text, wbench};

const BANNER: &str = "sysbench 0.4.12 (wbench #):  multi-threaded system evaluation benchmark\n\n";

const RUNNING: &str = "Running the test with following options:\nNumber of threads: 1\n\n";

/// The end of every report, with measured numbers as # and the others unchanged.
fn ending(events: u64) -> String {
    format!(
        "
Test execution summary:
    total time:                          #s
    total number of events:              {events}
    total time taken by event execution: #
    per-request statistics:
         min:                            __________ms
         avg:                            __________ms
         max:                            __________ms
         approx.  95 percentile:         __________ms

Threads fairness:
    events (avg/stddev):           {events}.0000/0.00
    execution time (avg/stddev):   #/0.00

"
    )
}

/// The text with measured numbers as #, and those in a column of width 10 as ten underscores.
fn masked(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let line = line.replace(env!("CARGO_PKG_VERSION"), "#");
        for (before, after) in [
            ("    total time:                          ", "s\n"),
            ("    total time taken by event execution: ", "\n"),
            ("    execution time (avg/stddev):   ", "/0.00\n"),
        ] {
            if is_number_between(&line, before, after, 4) {
                return format!("{before}#{after}");
            }
        }
        if let Some(latency) = line.strip_suffix("ms\n").filter(|line| line.len() == 51) {
            let (name, column) = latency.split_at(41);
            if is_decimal(column.trim_start(), 2) {
                return format!("{name}__________ms\n");
            }
        }
        if let Some(rate) = line.strip_suffix(" Requests/sec executed\n") {
            assert!(
                rate.len() >= 8 && is_decimal(rate.trim_start(), 2),
                "{line}"
            );
            return "# Requests/sec executed\n".into();
        }
        if let Some((before, after)) = line.split_once(" (")
            && let Some(unit) = ["b/sec)", " ops/sec)", " MB/sec)"]
                .iter()
                .find(|unit| after.trim_end().ends_with(*unit))
        {
            return format!("{before} (#{unit}\n");
        }
        line
    });
    lines.collect()
}

fn is_number_between(line: &str, before: &str, after: &str, decimals: usize) -> bool {
    line.strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .is_some_and(|number| is_decimal(number, decimals))
}

fn is_decimal(number: &str, decimals: usize) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    number
        .split_once('.')
        .is_some_and(|(whole, rest)| is_digits(whole) && is_digits(rest) && rest.len() == decimals)
}

/// Runs the arguments and returns the masked report; standard error must contain no errors.
#[track_caller]
fn report(directory: &Path, args: &str) -> String {
    let done = wbench(directory, args)
        .assert()
        .success()
        .stderr(only_warnings());
    masked(&text(&done.get_output().stdout))
}

/// No errors, possibly warnings.
fn only_warnings() -> impl Predicate<str> {
    predicate::function(|text: &str| errors(text.as_bytes()).is_empty())
}

#[test]
fn warnings_are_printed_on_standard_error_after_the_report_unless_it_is_quieter() {
    let directory = prepared();
    let args = format!(
        "{SMALL} --file-test-mode=rndwr --file-fsync-freq=0 --file-fsync-end=off --max-requests=20 \
         run"
    );
    let unflushed = || predicate::str::contains("WARNING: no fsync followed 100 % of the writes");
    wbench(directory.path(), &args)
        .assert()
        .success()
        .stderr(only_warnings().and(unflushed().count(1)))
        .stdout(unflushed().not().and(contains("WARNING").not()));
    let quieter = args.replace(" run", " --verbosity=1 run");
    wbench(directory.path(), &quieter)
        .assert()
        .success()
        .stderr(is_empty());
}

#[test]
fn the_report_of_the_cpu_test_matches_0_4_12() {
    assert_eq!(
        report(
            Path::new("."),
            "--test=cpu --cpu-max-prime=500 --max-requests=20 run"
        ),
        format!(
            "{BANNER}{RUNNING}\
             Doing CPU performance benchmark\n\n\
             Threads started!\n\
             Done.\n\n\
             Maximum prime number checked in CPU test: 500\n\n{}",
            ending(20)
        )
    );
}

#[test]
fn the_reports_of_the_memory_test_match_0_4_12() {
    for (oper, scope) in [("write", "global"), ("read", "local"), ("none", "global")] {
        let args = format!(
            "--test=memory --memory-block-size=8K --memory-total-size=4M --memory-oper={oper} \
             --memory-scope={scope} run"
        );
        let transferred = match oper {
            "none" => "",
            _ => "4.00 MB transferred (# MB/sec)\n\n",
        };
        assert_eq!(
            report(Path::new("."), &args),
            format!(
                "{BANNER}{RUNNING}\
                 Doing memory operations speed test\n\
                 Memory block size: 8K\n\n\
                 Memory transfer size: 4M\n\n\
                 Memory operations type: {oper}\n\
                 Memory scope type: {scope}\n\
                 Threads started!\n\
                 Done.\n\n\
                 Operations performed: 512 (# ops/sec)\n\n\
                 {transferred}{}",
                ending(512)
            )
        );
    }
}

/// Options for a set of 4 files of 64 KiB, in blocks of 4 KiB.
const SMALL: &str =
    "--test=fileio --file-num=4 --file-total-size=256K --file-block-size=4K --max-requests=30";

fn prepared() -> tempfile::TempDir {
    let directory = temp_dir();
    wbench(directory.path(), &format!("{SMALL} prepare"))
        .assert()
        .success();
    directory
}

#[test]
fn the_reports_of_all_six_file_modes_match_0_4_12() {
    let directory = prepared();
    // 256 KiB are 64 blocks; at 1.5 reads per write, 18 of 30 random requests are reads.
    for (mode, name, reads, writes, fsyncs) in [
        ("seqwr", "sequential write (creation)", 0, 64, 4),
        ("seqrewr", "sequential rewrite", 0, 64, 4),
        ("seqrd", "sequential read", 64, 0, 0),
        ("rndrd", "random read", 30, 0, 0),
        ("rndwr", "random write", 0, 30, 4),
        ("rndrw", "random r/w", 18, 12, 4),
    ] {
        let random = match mode.starts_with("rnd") {
            true => {
                "Number of random requests for random IO: 30\n\
                 Read/Write ratio for combined random IO test: 1.50\n"
            }
            false => "",
        };
        let events = reads + writes;
        let kib = |requests: u64| match requests * 4 {
            0 => "0b".to_owned(),
            kib => format!("{kib}Kb"),
        };
        let got = report(
            directory.path(),
            &format!("{SMALL} --file-test-mode={mode} run"),
        );
        let want = format!(
            "{BANNER}{RUNNING}\
             Extra file open flags: 0\n\
             4 files, 64Kb each\n\
             256Kb total file size\n\
             Block size 4Kb\n\
             {random}\
             Periodic FSYNC enabled, calling fsync() each 100 requests.\n\
             Calling fsync() at the end of test, Enabled.\n\
             Using synchronous I/O mode\n\
             Doing {name} test\n\
             Threads started!\n\
             Done.\n\n\
             Operations performed:  {reads} Read, {writes} Write, {fsyncs} Other = {} Total\n\
             Read {}  Written {}  Total transferred {}  (#b/sec)\n\
             # Requests/sec executed\n{}",
            events + fsyncs,
            kib(reads),
            kib(writes),
            kib(events),
            ending(events)
        );
        assert_eq!(got, want, "{mode}");
    }
}

#[test]
fn prepare_and_cleanup_work_and_report_what_they_do() {
    let directory = temp_dir();
    assert_eq!(
        report(directory.path(), &format!("{SMALL} prepare")),
        format!("{BANNER}4 files, 64Kb each, 0Mb total\nCreating files for the test...\n")
    );
    let files = ["test_file.0", "test_file.1", "test_file.2", "test_file.3"];
    assert_eq!(names_in(directory.path()), files);
    for file in files {
        assert_eq!(
            directory.path().join(file).metadata().unwrap().len(),
            64 << 10
        );
    }
    assert_eq!(
        report(directory.path(), &format!("{SMALL} cleanup")),
        format!("{BANNER}Removing test files...\n")
    );
    assert_eq!(names_in(directory.path()), [""; 0]);
}

#[test]
fn reports_have_a_line_for_each_given_option() {
    let directory = prepared();
    for (options, line) in [
        (
            "--file-extra-flags=direct",
            "Extra file open flags: 16384\n",
        ),
        ("--file-extra-flags=dsync", "Extra file open flags: 4096\n"),
        (
            "--file-extra-flags=sync",
            "Extra file open flags: 1052672\n",
        ),
        (
            "--file-fsync-all",
            "Calling fsync() after each write operation.\n",
        ),
        ("--file-fsync-freq=7", "calling fsync() each 7 requests.\n"),
        (
            "--file-rw-ratio=3",
            "Read/Write ratio for combined random IO test: 3.00\n",
        ),
        ("--num-threads=2", "Number of threads: 2\n"),
        (
            "--init-rng=on",
            "Initializing random number generator from timer.\n\n",
        ),
        (
            "--percentile=7",
            "         approx.   7 percentile:         ",
        ),
        (
            "--percentile=100",
            "         approx. 100 percentile:         ",
        ),
    ] {
        wbench(directory.path(), SMALL)
            .args(["--file-test-mode=rndrw", options, "run"])
            .assert()
            .success()
            .stdout(contains(line));
    }
    wbench(directory.path(), SMALL)
        .args(["--file-test-mode=seqrd", "--file-merged-requests=8", "run"])
        .assert()
        .success()
        .stdout(contains(
            "Merging requests  up to 32Kb for sequential IO.\n",
        ));
    for (option, line) in [
        ("--file-fsync-all", "Periodic FSYNC"),
        ("--file-fsync-all", "at the end of test"),
        ("--file-fsync-freq=0", "Periodic FSYNC"),
        ("--file-fsync-end=off", "at the end of test"),
    ] {
        wbench(directory.path(), SMALL)
            .args(["--file-test-mode=rndrw", option, "run"])
            .assert()
            .success()
            .stdout(contains(line).not());
    }
}

#[test]
fn options_and_the_command_come_in_any_order_and_the_last_value_of_an_option_wins() {
    for args in [
        "--test=cpu --cpu-max-prime=100 --max-requests=7 run",
        "run --max-requests=7 --test=cpu --cpu-max-prime=100",
        "--max-requests=7 run --cpu-max-prime=100 --test=cpu",
        "--test=memory --cpu-max-prime=9 --max-requests=1 --max-requests=7 run --test=cpu --cpu-max-prime=100",
    ] {
        wbench(Path::new("."), args)
            .assert()
            .success()
            .stdout(contains("Maximum prime number checked in CPU test: 100\n"))
            .stdout(contains("total number of events:              7\n"));
    }
}

#[test]
fn a_flag_is_on_without_a_value_or_with_on_and_otherwise_off() {
    for (flag, on) in [
        ("--init-rng", true),
        ("--init-rng=on", true),
        ("--init-rng=off", false),
        ("--init-rng=yes", false),
        ("--init-rng=", false),
    ] {
        wbench(Path::new("."), "--test=cpu --max-requests=1 run")
            .arg(flag)
            .assert()
            .success()
            .stdout(contains("from timer").count(usize::from(on)));
    }
}

#[test]
fn the_program_name_sysbench_selects_the_dialect_and_the_test_option_0_4_12() {
    let directory = temp_dir();
    let sysbench = directory.path().join("sysbench");
    symlink(WBENCH, &sysbench).unwrap();
    assert_cmd::Command::new(&sysbench)
        .args(["--version"])
        .env("WBENCH_SYSBENCH", "0.4.12")
        .assert()
        .success()
        .stdout(starts_with("sysbench 0.4.12"));
    assert_cmd::Command::new(&sysbench)
        .args(["--test=cpu", "--max-requests=3", "run"])
        .assert()
        .success()
        .stdout(contains("total number of events:              3\n"));
    wbench(directory.path(), "--version")
        .assert()
        .stdout(starts_with("wbench"));
}

#[test]
fn help_lists_options_and_version_prints_the_version_at_verbosity_3() {
    for (args, code) in [
        ("--test=fileio --help", 1),
        ("--num-threads=2 --help", 1),
        ("--num-threads=2 help", 0),
    ] {
        let help = wbench(Path::new("."), args).assert().code(code);
        let help = text(&help.get_output().stdout);
        for option in [
            "num-threads",
            "max-requests",
            "max-time",
            "forced-shutdown",
            "thread-stack-size",
            "init-rng",
            "test",
            "debug",
            "validate",
            "verbosity",
            "percentile",
            "help",
            "version",
            "batch",
            "batch-delay",
        ] {
            assert!(help.contains(&format!("--{option}")), "{option}: {help}");
        }
    }
    for (test, options) in [
        (
            "fileio",
            &[
                "file-num",
                "file-block-size",
                "file-total-size",
                "file-test-mode",
                "file-io-mode",
                "file-async-backlog",
                "file-extra-flags",
                "file-fsync-freq",
                "file-fsync-all",
                "file-fsync-end",
                "file-fsync-mode",
                "file-merged-requests",
                "file-rw-ratio",
            ][..],
        ),
        ("cpu", &["cpu-max-prime"]),
        (
            "memory",
            &[
                "memory-block-size",
                "memory-total-size",
                "memory-scope",
                "memory-hugetlb",
                "memory-oper",
                "memory-access-mode",
            ],
        ),
        ("threads", &["thread-yields", "thread-locks"]),
        ("mutex", &["mutex-num", "mutex-locks", "mutex-loops"]),
    ] {
        let help = report(Path::new("."), &format!("--test={test} help"));
        assert!(
            help.starts_with(&format!("{BANNER}{test} options:\n")),
            "{help}"
        );
        let named: Vec<_> = help
            .lines()
            .filter_map(|line| {
                line.strip_prefix("  --")?
                    .split_once('=')
                    .map(|(name, _)| name)
            })
            .collect();
        assert_eq!(named, options);
    }
    assert_eq!(report(Path::new("."), "--verbosity=2 version"), "");
    for args in ["version", "--test=cpu --version", "--num-threads=1 version"] {
        wbench(Path::new("."), args)
            .assert()
            .success()
            .stdout(is_match(r"^sysbench 0\.4\.12 \(wbench [\d.]+\)\n$").unwrap());
    }
}

#[test]
fn each_verbosity_prints_as_much_as_in_0_4_12() {
    let of = |level: &str| {
        let args =
            format!("--test=cpu --cpu-max-prime=100 --max-requests=3 --verbosity={level} run");
        report(Path::new("."), &args)
    };
    for silent in ["0", "1", "2"] {
        assert_eq!(of(silent), "", "{silent}");
    }
    let notice = format!(
        "{BANNER}{RUNNING}Threads started!\n\
         Maximum prime number checked in CPU test: 100\n\n{}",
        ending(3)
    );
    assert_eq!(of("3"), notice);
    let info = of("4");
    assert!(
        info.contains("Doing CPU") && info.contains("Done.\n"),
        "{info}"
    );
    let debug = of("5");
    assert!(
        debug.contains("Threads started!\nDEBUG: Runner thread started (0)!\nDone.\n"),
        "{debug}"
    );
    let thread = r"DEBUG: Verbose per-thread statistics:\n\nDEBUG:     thread #  0: min: [\d.]+s  avg: [\d.]+s  max: [\d.]+s  events: 3\nDEBUG:                  total time taken by even execution: [\d.]+s\n\n$";
    assert!(is_match(thread).unwrap().eval(&debug), "{debug}");
    let with_option = "--test=cpu --cpu-max-prime=100 --max-requests=3 --verbosity=0 --debug run";
    assert!(
        report(Path::new("."), with_option)
            .contains("Number of threads: 1\nDebug mode enabled.\n\n\nDoing CPU")
    );
}

#[test]
fn invalid_arguments_are_refused_with_option_value_and_accepted_values() {
    let directory = prepared();
    for (option, accepted) in [
        ("--num-threads=2K", "whole number, 1 or more"),
        ("--num-threads=0", "whole number, 1 or more"),
        ("--max-requests=2K", "whole number"),
        ("--max-requests=18446744073709551616", "whole number"),
        ("--max-time=1.5", "whole number"),
        ("--max-time=", "whole number"),
        ("--forced-shutdown=soon", "seconds"),
        ("--forced-shutdown=x%", "seconds"),
        ("--thread-stack-size=32k", "K, M, G or T"),
        ("--verbosity=6", "0 to 5"),
        ("--verbosity=high", "0 to 5"),
        ("--percentile=0", "1 to 100"),
        ("--percentile=101", "1 to 100"),
        ("--percentile=2K", "1 to 100"),
        ("--batch-delay=0", "whole number, 1 or more"),
        ("--file-num=10m", "whole number, 1 or more"),
        ("--file-num=0", "whole number, 1 or more"),
        ("--file-block-size=4k", "K, M, G or T"),
        ("--file-block-size=0", "above 0"),
        ("--file-total-size=10m", "K, M, G or T"),
        ("--file-total-size=16777216T", "2^64 bytes"),
        (
            "--file-test-mode=seq",
            "seqwr, seqrewr, seqrd, rndrd, rndwr, rndrw",
        ),
        ("--file-io-mode=magic", "sync"),
        ("--file-async-backlog=all", "whole number, 0 or more"),
        ("--file-extra-flags=append", "sync, dsync, direct"),
        ("--file-extra-flags=none", "sync, dsync, direct"),
        ("--file-fsync-freq=2K", "whole number"),
        ("--file-fsync-mode=sync", "fsync, fdatasync"),
        ("--file-merged-requests=2K", "whole number"),
        ("--file-rw-ratio=many", "number, 0 or more"),
    ] {
        wbench(directory.path(), SMALL)
            .args(["--file-test-mode=rndrd", option, "run"])
            .assert()
            .code(1)
            .stdout(starts_with("sysbench 0.4.12").and(contains(format!("\nFATAL: {option}"))))
            .stderr(starts_with(format!("FATAL: {option}")))
            .stderr(contains(accepted).and(contains("panicked").not()));
    }
    for (options, message) in [
        (
            "--test=cpu --cpu-max-prime=2K run",
            "--cpu-max-prime=2K: expected a whole number",
        ),
        (
            "--test=memory --memory-block-size=1k run",
            "--memory-block-size=1k",
        ),
        ("--test=memory --memory-block-size=10 run", "multiple of 4"),
        ("--test=memory --memory-oper=erase run", "read, write, none"),
        ("--test=memory --memory-scope=near run", "global, local"),
        ("--test=memory --memory-access-mode=zigzag run", "seq, rnd"),
        ("--test=cpu", "prepare, run, cleanup, help, version"),
        ("--test=cpu run run", "second"),
        ("--test cpu run", "invalid command 'cpu'"),
        ("--test=cpu walk", "invalid command 'walk'"),
        ("--test=cpu --no-such run", "unknown option --no-such"),
        ("--test=cpu prepare", "no command 'prepare'"),
        (
            "--test=gpu run",
            "one of fileio, cpu, memory, threads, mutex",
        ),
        (
            "--test=gpu help",
            "one of fileio, cpu, memory, threads, mutex",
        ),
        ("--test=threads prepare", "no command 'prepare'"),
        ("--test=mutex cleanup", "no command 'cleanup'"),
        ("--test=threads --thread-locks=0 run", "--thread-locks=0"),
        ("--test=mutex --mutex-num=0 run", "--mutex-num=0"),
        ("--test=mutex --mutex-locks=0 run", "--mutex-locks=0"),
        (
            "--test=fileio --file-fsync-freq=x prepare",
            "--file-fsync-freq=x",
        ),
        ("--test=oltp run", "not part of this program"),
        ("--num-threads=1 run", "--test=NAME is required"),
        ("--test=fileio run", "--file-test-mode is required"),
        (
            "--test=fileio --file-num=128 --file-total-size=1M --file-test-mode=rndrd run",
            "block of 16K is larger than a file",
        ),
    ] {
        wbench(directory.path(), options)
            .assert()
            .code(1)
            .stdout(starts_with("sysbench 0.4.12").and(contains("\nFATAL: ")))
            .stderr(starts_with("FATAL: ").and(contains(message)))
            .stderr(contains("panicked").not());
    }
}

#[test]
fn unrepresentable_times_are_refused() {
    for (options, named) in [
        ("--max-time=18446744073709551615", "--max-time="),
        (
            "--max-time=1 --forced-shutdown=18446744073709551615",
            "--forced-shutdown=",
        ),
        (
            "--max-time=1 --forced-shutdown=18446744073709551615%",
            "--forced-shutdown=",
        ),
        (
            "--batch --batch-delay=18446744073709551615",
            "--batch-delay=",
        ),
    ] {
        wbench(Path::new("."), "--test=cpu --max-requests=3 run")
            .args(options.split(' '))
            .assert()
            .code(1)
            .stdout(contains(format!("\nFATAL: {named}")))
            .stderr(starts_with(format!("FATAL: {named}")).and(contains("seconds")));
    }
}

#[test]
fn the_longest_accepted_times_work() {
    for options in [
        "--max-time=3155760000 --forced-shutdown=3155760000",
        "--max-time=3155760000 --forced-shutdown=100%",
        "--batch --batch-delay=3155760000",
    ] {
        wbench(
            Path::new("."),
            "--test=cpu --cpu-max-prime=100 --max-requests=3 run",
        )
        .args(options.split(' '))
        .assert()
        .success()
        .stderr(only_warnings())
        .stdout(contains("total number of events:              3\n"));
    }
}

#[test]
fn run_without_prepare_is_refused_before_the_run_with_what_to_do() {
    let directory = temp_dir();
    for mode in ["seqrewr", "seqrd", "rndrd", "rndwr", "rndrw"] {
        wbench(
            directory.path(),
            &format!("{SMALL} --file-test-mode={mode} run"),
        )
        .assert()
        .code(1)
        .stdout(starts_with("FATAL: "))
        .stderr(starts_with("FATAL: ").and(contains("test_file.0").and(contains("prepare"))));
        assert_eq!(names_in(directory.path()), [""; 0]);
    }
}

#[test]
fn files_that_are_not_a_multiple_of_the_block_size_give_a_warning_and_a_complete_run() {
    let directory = temp_dir();
    // 100000 / 3 = 33333 bytes per file: two blocks of 16384, and 565 bytes that are not used.
    let options = "--test=fileio --file-num=3 --file-total-size=100000";
    let warning = is_match(r"(?m)^WARNING: .*33333.*16384.*32768").unwrap();
    wbench(directory.path(), &format!("{options} prepare"))
        .assert()
        .success()
        .stdout(warning.clone());
    wbench(
        directory.path(),
        &format!("{options} --file-test-mode=seqrd run"),
    )
    .assert()
    .success()
    .stderr(contains("33333").not())
    .stdout(warning)
    .stdout(contains("Operations performed:  6 Read, 0 Write"))
    .stdout(contains("3 files, 32Kb each\n96Kb total file size\n"));
    wbench(
        directory.path(),
        &format!("{options} --file-test-mode=seqrd --verbosity=1 run"),
    )
    .assert()
    .success()
    .stdout(is_empty());
}

#[test]
fn max_time_ends_a_run_with_a_single_line_for_all_threads() {
    wbench(
        Path::new("."),
        "--test=cpu --max-requests=1000000 --max-time=1 --num-threads=2 run",
    )
    .assert()
    .success()
    .stdout(contains("Time limit exceeded, exiting...\nDone.\n").count(1))
    .stdout(contains("Number of threads: 2\n"))
    .stdout(is_match(r"(?m)^    total time: +1\.\d{4}s$").unwrap());
}

#[test]
fn several_threads_share_the_requests_and_the_summary_says_how_fairly() {
    let done = wbench(
        Path::new("."),
        "--test=cpu --cpu-max-prime=500 --max-requests=101 --num-threads=4 run",
    )
    .assert()
    .success()
    .stdout(contains("total number of events:              101\n"));
    let report = text(&done.get_output().stdout);
    assert!(
        is_match(r"(?m)^    events \(avg/stddev\):           25\.2500/\d+\.\d\d$")
            .unwrap()
            .eval(&report),
        "{report}"
    );
}

#[test]
fn batch_prints_figures_during_the_run() {
    wbench(
        Path::new("."),
        "--test=cpu --max-requests=1000000 --max-time=2 --batch --batch-delay=1 run",
    )
    .assert()
    .success()
    .stdout(is_match(r"(?s)Threads started!\n\[\d{10}\] .*events/s.*Done\.").unwrap());
}

#[test]
fn prepare_is_silent_at_verbosity_3() {
    let directory = temp_dir();
    assert_eq!(
        report(directory.path(), &format!("{SMALL} --verbosity=3 prepare")),
        ""
    );
    assert_eq!(names_in(directory.path()).len(), 4);
}

#[test]
fn a_run_without_limits_has_a_warning_and_one_without_requests_no_percentile() {
    let endless = "WARNING: Both max-requests and max-time are 0, running endless test\n";
    let memory = report(
        Path::new("."),
        "--test=memory --max-requests=0 --memory-total-size=1M run",
    );
    assert!(
        memory.starts_with(&format!("{endless}{BANNER}")),
        "{memory}"
    );
    assert!(memory.contains("Operations performed: 1024 ("), "{memory}");
    for test in [
        "cpu --max-requests=0",
        "threads --max-requests=0",
        "mutex --max-requests=0",
        "memory --memory-total-size=0",
    ] {
        let empty = report(Path::new("."), &format!("--test={test} --max-time=9 run"));
        assert!(empty.starts_with(BANNER), "{empty}");
        assert!(
            empty.contains("total number of events:              0\n"),
            "{empty}"
        );
        assert!(!empty.contains("percentile"), "{empty}");
    }
}

#[test]
fn the_reports_of_the_threads_and_mutex_tests_match_0_4_12() {
    let none = Path::new(".");
    assert_eq!(
        report(
            none,
            "--test=threads --max-requests=20 --thread-yields=10 run"
        ),
        format!(
            "{BANNER}{RUNNING}Doing thread subsystem performance test\n\
             Thread yields per test: 10 Locks used: 8\n\
             Threads started!\nDone.\n\n{}",
            ending(20)
        )
    );
    // The loop of 0.4.12 was removed by its compiler; with it, this run would take hours.
    assert_eq!(
        report(
            none,
            "--test=mutex --mutex-locks=100 --mutex-loops=1000000000000 run"
        ),
        format!(
            "{BANNER}{RUNNING}Doing mutex performance test\n\
             Threads started!\nDone.\n\n{}",
            ending(1)
        )
    );
}

#[test]
fn forced_shutdown_does_not_affect_runs_that_end_in_time() {
    let by_requests = "--max-requests=10 --max-time=100";
    let by_time = "--max-requests=1000000 --max-time=1";
    for (limits, shutdown) in [
        (by_requests, "--forced-shutdown"),
        (by_requests, "--forced-shutdown=10%"),
        (by_time, "--forced-shutdown=300"),
        (by_time, "--forced-shutdown=off"),
    ] {
        wbench(
            Path::new("."),
            &format!("--test=cpu {limits} {shutdown} run"),
        )
        .assert()
        .success()
        .stdout(contains("FATAL").not())
        .stdout(contains("Done.\n"));
    }
}
