//! The native command line from outside: words, messages, exit statuses.

mod common;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use predicates::prelude::*;
use predicates::str::{contains, is_empty, is_match, starts_with};
use serde_json::json;

use common::{
    Running, WBENCH, assert_ended, folder, names_in, parsed, result_in, result_of, text, wbench,
};

/// A run that is over in some milliseconds.
const SHORT: &str = "cpu --max-prime 100 --events 10";

const SUBCOMMANDS: [&str; 4] = ["cpu", "memory", "fileio", "env"];

fn help_of(words: &str) -> String {
    let done = wbench(Path::new("."), &format!("{words} --help"))
        .assert()
        .success();
    text(&done.get_output().stdout)
}

#[test]
fn help_is_printed_to_standard_output_and_names_every_subcommand() {
    let help = help_of("");
    for name in SUBCOMMANDS {
        assert!(is_match(format!("(?m)^ +{name} ")).unwrap().eval(&help));
    }
    assert!(help.contains("sysbench 0.4.12"), "{help}");
}

#[test]
fn help_states_units_and_defaults() {
    assert!(
        is_match(r"(?s)--block-size <SIZE>.*powers of 1024.*\[default: 1K\]")
            .unwrap()
            .eval(&help_of("memory"))
    );
    assert!(
        is_match(r"(?s)--time <SECONDS>.*\[default: 300\]")
            .unwrap()
            .eval(&help_of("fileio"))
    );
    assert!(
        is_match(r"(?s)--max-prime <N>.*\[default: 20000\]")
            .unwrap()
            .eval(&help_of("cpu"))
    );
}

#[test]
fn the_version_is_that_of_the_package() {
    wbench(Path::new("."), "--version")
        .assert()
        .success()
        .stdout(concat!("wbench ", env!("CARGO_PKG_VERSION"), "\n"))
        .stderr(is_empty());
}

/// The command lines among the examples at the end of a help text.
fn examples(help: &str) -> Vec<String> {
    let (_, examples) = help.split_once("\nExample").expect("the help has examples");
    examples
        .lines()
        .filter_map(|line| line.strip_prefix("  wbench "))
        .map(|line| line.split("  ").next().unwrap_or(line).to_owned())
        .collect()
}

/// The example at a size for a test: the same words, in this folder, with little work.
fn scaled(example: &str, folder: &Path) -> Vec<String> {
    let mut words: Vec<String> = example.split(' ').map(str::to_owned).collect();
    for i in 1..words.len() {
        match words[i - 1].as_str() {
            "--time" => words[i] = "0.2".into(),
            "--scale" => words[i] = "0.0001".into(),
            "--dir" => words[i] = folder.to_str().unwrap().into(),
            _ => {}
        }
    }
    let mut add = |option: &str, value: &str| {
        if !words.iter().any(|word| word == option) {
            words.extend([option.to_owned(), value.to_owned()]);
        }
    };
    if example.starts_with("suite") {
        add("--json", "/dev/null");
    }
    if example.starts_with("memory") || example.starts_with("fileio") {
        add("--total-size", "1M");
    }
    if example.starts_with("fileio") {
        add("--files", "4");
        add("--events", "100");
    }
    words
}

#[test]
fn the_examples_in_the_help_texts_work_in_the_order_in_which_they_stand() {
    let mut ran = 0;
    for subcommand in ["", "cpu", "memory", "fileio", "env"] {
        let folder = folder();
        for example in examples(&help_of(subcommand)) {
            let words = scaled(&example, folder.path());
            wbench(folder.path(), "").args(&words).assert().success();
            ran += 1;
        }
        assert_eq!(names_in(folder.path()), [""; 0], "{subcommand}");
    }
    assert!(ran >= 9, "only {ran} examples");
}

#[test]
fn words_that_clap_refuses_are_named_with_exit_status_2_and_nothing_on_standard_output() {
    for (words, named) in [
        ("", "Usage"),
        ("cpus", "cpus"),
        ("--no-such-option", "--no-such-option"),
        ("cpu --no-such-option", "--no-such-option"),
        ("cpu --threads", "--threads"),
        ("cpu --threads 0", "0"),
        ("cpu --threads two", "two"),
        ("cpu --threads -1", "-1"),
        ("cpu --max-prime 0", "--max-prime"),
        ("cpu --time -1", "-1"),
        ("cpu --time NaN", "NaN"),
        ("cpu --time 1e300", "1e300"),
        ("cpu --percentile 0", "1..=100"),
        ("cpu --percentile 101", "1..=100"),
        ("cpu --label novalue", "KEY=VALUE"),
        ("cpu --clock sundial", "sundial"),
        ("cpu --mode seqwr", "--mode"),
        ("cpu --report-interval 0", "more than 0 seconds"),
        ("memory --oper erase", "erase"),
        ("memory --block-size 1k", "1k"),
        ("memory --block-size 16777216T", "2^64 bytes"),
        ("memory --total-size 99999999999999999999", "2^64 bytes"),
        ("fileio", "--mode"),
        ("fileio --mode sequential", "sequential"),
        ("fileio run", "--mode"),
        ("fileio --mode seqrd --files 0", "--files"),
        ("fileio --mode seqrd --flags none,direct", "none,direct"),
        ("fileio --mode rndrd --fsync-end maybe", "maybe"),
        ("env --frobnicate", "--frobnicate"),
    ] {
        wbench(Path::new("."), words)
            .assert()
            .code(2)
            .stdout(is_empty())
            .stderr(contains(named).and(contains("Usage").or(contains("--help"))));
    }
}

#[test]
fn values_that_do_not_go_together_are_refused_with_the_reason_and_exit_status_1() {
    let folder = folder();
    for (words, reason) in [
        ("memory --block-size 10", "multiple of 4"),
        ("memory --block-size 0", "multiple of 4"),
        ("memory --total-size 0", "total memory size"),
        ("memory --block-size 8388608T", "address"),
        (
            "fileio --mode seqwr --total-size 1M --files 128 --block-size 16K",
            "a block of 16K is larger than a file",
        ),
        ("fileio --mode seqwr --block-size 0", "block size"),
        ("fileio --mode seqwr --total-size 0", "total size"),
        ("fileio --mode rndrw --rw-ratio=-1", "ratio"),
        ("fileio --mode rndrw --rw-ratio NaN", "ratio"),
        (
            "fileio --mode seqwr --merged-requests 4294967295",
            "one system call",
        ),
        ("fileio --mode seqwr --dir nowhere", "nowhere"),
        ("env --dir nowhere", "nowhere"),
    ] {
        wbench(folder.path(), words)
            .assert()
            .code(1)
            .stdout(is_empty())
            .stderr(starts_with("wbench: ").and(contains(reason)))
            .stderr(contains("panicked").not());
        assert_eq!(names_in(folder.path()), [""; 0], "{words}");
    }
}

#[test]
fn more_threads_than_can_be_had_are_an_error_and_no_panic() {
    for threads in ["65536", "4294967296", "18446744073709551615"] {
        wbench(Path::new("."), &format!("{SHORT} --threads {threads}"))
            .assert()
            .code(1)
            .stdout(is_empty())
            .stderr(contains("threads").and(contains("panicked").not()));
    }
}

#[test]
fn a_report_says_what_ran_how_fast_by_which_clock_and_where() {
    wbench(Path::new("."), SHORT)
        .assert()
        .success()
        .stdout(starts_with("cpu: primes up to 100, 1 thread\n"))
        .stdout(is_match(r"(?m)^  rate +\d\S* events/s$").unwrap())
        .stdout(is_match(r"(?m)^  done +10 events in \S+ s$").unwrap())
        .stdout(is_match(r"(?m)^  latency +mean .*, min .*, max ").unwrap())
        .stdout(is_match(r"(?m)^ +p50 .*p90 .*p95 .*p99 .*p99.9 ").unwrap())
        .stdout(is_match(r"(?m)^  clock +\S+ at ").unwrap())
        .stdout(is_match(r"(?m)^  host +.*Linux ").unwrap())
        .stderr(is_empty());
}

#[test]
fn the_result_on_standard_output_is_alone_there_even_with_intervals() {
    let words = "cpu --max-prime 1000 --events 0 --time 0.3 --report-interval 0.1 --json -";
    let done = wbench(Path::new("."), words).assert().success();
    let result = parsed(&done.get_output().stdout);
    assert_eq!(result["status"], "complete");
    done.stderr(contains("events/s"));
}

#[test]
fn quiet_says_nothing_at_all_and_still_writes_the_result() {
    let folder = folder();
    for words in [
        "cpu --max-prime 100 --events 10 --report-interval 0.001 --quiet --json r.json",
        "fileio --mode rndrw --files 2 --total-size 64K --events 10 -q --json r.json",
        "fileio prepare --files 2 --total-size 64K --quiet",
    ] {
        wbench(folder.path(), words)
            .assert()
            .success()
            .stdout(is_empty())
            .stderr(is_empty());
    }
    assert_eq!(
        result_in(&folder.path().join("r.json"))["status"],
        "complete"
    );
}

#[test]
fn a_report_and_a_result_file_can_be_had_together() {
    let folder = folder();
    wbench(folder.path(), &format!("{SHORT} --json r.json"))
        .assert()
        .success()
        .stdout(contains("events/s"));
    assert_eq!(
        result_in(&folder.path().join("r.json"))["totals"]["events"],
        10
    );
}

#[test]
fn a_report_in_any_form_is_what_show_prints_of_the_result() {
    let folder = folder();
    for format in ["text", "sysbench", "json", "rally"] {
        let run = format!("memory --total-size 1M --json r.json --format {format}");
        let reported = wbench(folder.path(), &run).assert().success();
        let show = format!("show r.json --format {format}");
        let shown = wbench(folder.path(), &show).assert().success();
        let (reported, shown) = (&reported.get_output().stdout, &shown.get_output().stdout);
        assert_eq!(text(reported), text(shown), "{format}");
        assert!(!reported.is_empty());
    }
}

#[test]
fn labels_stand_in_the_result_and_the_last_of_a_key_counts() {
    let words = format!("{SHORT} --label env=kvm --label n=1 --label n=2=3 --label empty=");
    let result = result_of(Path::new("."), &words);
    assert_eq!(
        result["labels"],
        json!({"env": "kvm", "n": "2=3", "empty": ""})
    );
}

#[test]
fn a_result_that_cannot_be_written_is_refused_before_the_run() {
    let folder = folder();
    for file in ["nowhere/r.json", "folder", "file/r.json"] {
        std::fs::create_dir_all(folder.path().join("folder")).unwrap();
        File::create(folder.path().join("file")).unwrap();
        let words = format!("fileio --mode seqwr --files 2 --total-size 64K --keep --json {file}");
        wbench(folder.path(), &words)
            .assert()
            .code(1)
            .stdout(is_empty())
            .stderr(contains(file));
        assert_eq!(names_in(folder.path()), ["file", "folder"], "{file}");
    }
}

/// The program with a standard output whose reader is gone.
fn to_a_closed_pipe(folder: &Path, words: &str) -> std::process::Output {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    Command::new(WBENCH)
        .args(words.split(' '))
        .current_dir(folder)
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("the program starts")
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let folder = folder();
    for words in [
        "--help",
        "--version",
        "cpu --max-prime 100 --events 10",
        "cpu --max-prime 100 --events 10 --json -",
        "cpu --max-prime 1000 --events 0 --time 0.2 --report-interval 0.05",
        "env",
        "env --json",
        "--test=cpu --cpu-max-prime=100 --max-requests=10 run",
        "--test=fileio --file-num=2 --file-total-size=64K prepare",
        "--test=fileio --file-num=2 --file-total-size=64K cleanup",
    ] {
        let output = to_a_closed_pipe(folder.path(), words);
        assert_ended(&output, 0);
        assert_eq!(text(&output.stderr), "", "{words}");
    }
}

#[test]
fn an_output_that_takes_nothing_is_an_error_that_is_told() {
    let folder = folder();
    for words in [
        "--help",
        "--version",
        "cpu --max-prime 100 --events 10",
        "cpu --max-prime 100 --events 10 --json -",
        "cpu --max-prime 100 --events 10 --json /dev/full",
        "env",
        "env --json",
        "--test=cpu --cpu-max-prime=100 --max-requests=10 run",
        "version",
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(WBENCH)
            .args(words.split(' '))
            .current_dir(folder.path())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .expect("the program starts");
        assert_ended(&output, 1);
        let message = text(&output.stderr);
        assert!(message.contains("No space left"), "{words}: {message}");
    }
}

#[test]
fn a_result_goes_into_a_pipe_or_a_device_as_it_is() {
    let folder = folder();
    wbench(folder.path(), &format!("{SHORT} --json /dev/null"))
        .assert()
        .success();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let run = Running::wbench(folder.path(), &format!("{SHORT} --json fifo"));
    let read = std::fs::read(&fifo).unwrap();
    assert_ended(&run.finish(), 0);
    assert_eq!(parsed(&read)["status"], "complete");
    assert_eq!(names_in(folder.path()), ["fifo"]);
}

#[test]
fn env_tells_of_the_host_the_clock_and_the_storage() {
    let folder = folder();
    wbench(folder.path(), "env")
        .assert()
        .success()
        .stdout(contains("clock").and(contains("O_DIRECT")));
    let done = wbench(folder.path(), "env --json").assert().success();
    let environment = parsed(&done.get_output().stdout);
    assert_eq!(environment["schema"], "wbench.env/1");
    assert_eq!(
        environment["host"]["kernel"].as_str().unwrap(),
        std::fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap()
            .trim()
    );
    assert_eq!(
        environment["storage"]["path"],
        folder.path().canonicalize().unwrap().to_str().unwrap()
    );
    assert_eq!(names_in(folder.path()), [""; 0]);
}
