//! The native command line as a whole: arguments, messages, exit statuses.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::{CommandFactory, Parser};
use predicates::prelude::*;
use predicates::str::{contains, is_empty, is_match, starts_with};
use serde_json::{Value, json};
use tempfile::TempDir;
use wbench::cli::native::Cli;

use crate::common::{
    Running, WBENCH, assert_ended, errors, names_in, parsed, result_in, result_of, temp_dir, text,
    wbench,
};

/// A run that ends within milliseconds.
const SHORT: &str = "cpu --max-prime 100 --events 10";

fn help_of(args: &str) -> String {
    let done = wbench(Path::new("."), &format!("{args} --help"))
        .assert()
        .success();
    text(&done.get_output().stdout)
}

/// Every subcommand in the definition of the command line.
fn subcommands() -> Vec<String> {
    let cli = Cli::command();
    let names = cli
        .get_subcommands()
        .map(|command| command.get_name().to_owned());
    names.filter(|name| name != "help").collect()
}

#[test]
fn help_is_printed_to_standard_output_and_names_every_subcommand() {
    let help = help_of("");
    for name in subcommands() {
        assert!(is_match(format!("(?m)^ +{name} ")).unwrap().eval(&help));
    }
    assert!(help.contains("sysbench 0.4.12"), "{help}");
}

#[test]
fn help_states_units_and_defaults() {
    assert!(
        is_match(r"(?s)--block-size <SIZES>.*powers of 1024.*\[default: 1K\]")
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
fn the_version_matches_the_package() {
    wbench(Path::new("."), "--version")
        .assert()
        .success()
        .stdout(concat!("wbench ", env!("CARGO_PKG_VERSION"), "\n"))
        .stderr(is_empty());
}

/// The command lines among the examples at the end of a help text, without redirections.
fn examples(help: &str) -> Vec<Vec<String>> {
    let (_, examples) = help.split_once("\nExample").expect("the help has examples");
    let examples = examples.replace("\\\n", " ");
    examples
        .lines()
        .filter_map(|line| line.strip_prefix("  wbench "))
        .map(|line| line.split(" > ").next().unwrap_or(line))
        // Two spaces or more separate a command from its explanation; a continuation has one.
        .map(|line| match line.contains("--launch") {
            true => line,
            false => line.split("   ").next().unwrap_or(line),
        })
        .map(|line| shlex::split(line).expect("the quotes of an example match"))
        .collect()
}

/// An example scaled down to test size: the same options, in this directory, with little work.
fn scaled(example: &[String], dir: &Path) -> Vec<String> {
    let mut args = example.to_vec();
    for i in 1..args.len() {
        match args[i - 1].as_str() {
            "--time" => args[i] = "0.2".into(),
            "--scale" => args[i] = "0.0001".into(),
            "--dir" => args[i] = dir.to_str().unwrap().into(),
            _ => {}
        }
    }
    let is_fileio = args.iter().any(|arg| arg == "fileio");
    let mut added = match args[0].as_str() {
        "suite" => vec![("--scale", "0.0001"), ("--json", "suite.json")],
        "memory" => vec![("--total-size", "1M")],
        "threads" => vec![("--events", "10")],
        "mutex" => vec![("--locks", "10")],
        _ => Vec::new(),
    };
    if is_fileio {
        added.extend([
            ("--total-size", "1M"),
            ("--files", "4"),
            ("--events", "100"),
        ]);
    }
    for (option, value) in added {
        if !args.iter().any(|arg| arg == option) {
            args.extend([option.to_owned(), value.to_owned()]);
        }
    }
    args
}

/// A directory with the results that the examples of `compare` and `show` read.
fn directory_with_results() -> TempDir {
    let dir = temp_dir();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    for (name, results) in [
        ("native", "quiet"),
        ("docker", "busy"),
        ("kvm", "busy"),
        ("main", "quiet"),
        ("branch", "quiet"),
        ("runs", "quiet"),
    ] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        for file in 1..=6 {
            let mut result = result_in(&examples.join(format!("{results}/{file}.json")));
            let env = ["native", "kvm"][file % 2];
            result["labels"] = json!({"env": env, "concurrency": "1"});
            let path = dir.path().join(format!("{name}/{file}.json"));
            std::fs::write(path, result.to_string()).unwrap();
        }
    }
    for name in ["new.json", "result.json", "all.json"] {
        std::fs::copy(dir.path().join("native/1.json"), dir.path().join(name)).unwrap();
    }
    let log = wbench(dir.path(), "show result.json --format sysbench")
        .assert()
        .success();
    std::fs::write(dir.path().join("old.log"), &log.get_output().stdout).unwrap();
    dir
}

/// Parses an example that needs what a test machine may not have.
fn assert_parses(example: &[String]) {
    let args = ["wbench".to_owned()]
        .into_iter()
        .chain(example.iter().cloned());
    let parsed = Cli::try_parse_from(args).and_then(|cli| {
        cli.into_action()
            .map_err(|error| clap::Error::raw(clap::error::ErrorKind::ValueValidation, error))
    });
    if let Err(error) = parsed {
        panic!("{example:?}: {error}");
    }
}

#[test]
fn the_examples_in_help_texts_work_in_order() {
    let measuring = [
        "", "cpu", "memory", "fileio", "threads", "mutex", "suite", "sweep", "env",
    ];
    let names = subcommands();
    for subcommand in names.iter().map(String::as_str).chain([""]) {
        let dir = match measuring.contains(&subcommand) {
            true => temp_dir(),
            false => directory_with_results(),
        };
        let examples = examples(&help_of(subcommand));
        assert!(!examples.is_empty(), "{subcommand} --help has no example");
        for example in examples {
            if example.iter().any(|arg| arg.contains("docker run")) {
                assert_parses(&example);
                continue;
            }
            let args = scaled(&example, dir.path());
            if args[0] == "suite" && !args.contains(&"--resume".to_owned()) {
                let _ = std::fs::remove_file(dir.path().join("suite.json"));
            }
            wbench(dir.path(), "").args(&args).assert().success();
        }
        if measuring.contains(&subcommand) {
            let left = names_in(dir.path());
            let results = ["all.json", "suite.json"];
            let is_result = |name: &String| results.contains(&name.as_str());
            assert!(left.iter().all(is_result), "{subcommand}: {left:?}");
        }
    }
}

#[test]
fn invalid_arguments_are_named_with_exit_status_2_and_nothing_on_standard_output() {
    for (args, named) in [
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
        ("cpu --percentile 0", "from 1 to 100"),
        ("cpu --percentile 101", "from 1 to 100"),
        ("cpu --label novalue", "KEY=VALUE"),
        ("cpu --clock sundial", "sundial"),
        ("cpu --mode seqwr", "--mode"),
        ("cpu --report-interval 0", "more than 0 seconds"),
        ("memory --oper erase", "erase"),
        ("threads --locks 0", "--locks"),
        ("mutex --mutexes 0", "--mutexes"),
        ("mutex --locks 0", "--locks"),
        ("mutex --time 1", "--time"),
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
        wbench(Path::new("."), args)
            .assert()
            .code(2)
            .stdout(is_empty())
            .stderr(contains(named).and(contains("Usage").or(contains("--help"))));
    }
}

#[test]
fn contradictory_values_are_refused_with_the_reason_and_exit_status_1() {
    let directory = temp_dir();
    for (args, reason) in [
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
        wbench(directory.path(), args)
            .assert()
            .code(1)
            .stdout(is_empty())
            .stderr(starts_with("wbench: ").and(contains(reason)))
            .stderr(contains("panicked").not());
        assert_eq!(names_in(directory.path()), [""; 0], "{args}");
    }
}

#[test]
fn too_many_threads_are_an_error() {
    for threads in ["65536", "4294967296", "18446744073709551615"] {
        wbench(Path::new("."), &format!("{SHORT} --threads {threads}"))
            .assert()
            .code(1)
            .stdout(is_empty())
            .stderr(contains("threads").and(contains("panicked").not()));
    }
}

#[test]
fn a_report_states_test_rate_clock_and_host() {
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
fn a_result_on_standard_output_is_the_only_output_there_even_with_intervals() {
    let args = "cpu --max-prime 1000 --events 0 --time 0.3 --report-interval 0.1 --json -";
    let done = wbench(Path::new("."), args).assert().success();
    let result = parsed(&done.get_output().stdout);
    assert_eq!(result["status"], "complete");
    done.stderr(contains("events/s"));
}

#[test]
fn quiet_prints_nothing_and_still_writes_the_result() {
    let directory = temp_dir();
    for args in [
        "cpu --max-prime 100 --events 10 --report-interval 0.001 --quiet --json r.json",
        "fileio --mode rndrw --files 2 --total-size 64K --events 10 -q --json r.json",
        "fileio prepare --files 2 --total-size 64K --quiet",
    ] {
        wbench(directory.path(), args)
            .assert()
            .success()
            .stdout(is_empty())
            .stderr(is_empty());
    }
    assert_eq!(
        result_in(&directory.path().join("r.json"))["status"],
        "complete"
    );
}

#[test]
fn a_run_can_print_a_report_and_write_a_result_file() {
    let directory = temp_dir();
    wbench(directory.path(), &format!("{SHORT} --json r.json"))
        .assert()
        .success()
        .stdout(contains("events/s"));
    assert_eq!(
        result_in(&directory.path().join("r.json"))["totals"]["events"],
        10
    );
}

#[test]
fn show_prints_the_same_report_from_the_result_in_every_format() {
    let directory = temp_dir();
    for format in ["text", "sysbench", "json", "rally"] {
        let run = format!("memory --total-size 1M --json r.json --format {format}");
        let reported = wbench(directory.path(), &run).assert().success();
        let show = format!("show r.json --format {format}");
        let shown = wbench(directory.path(), &show).assert().success();
        let (reported, shown) = (&reported.get_output().stdout, &shown.get_output().stdout);
        assert_eq!(text(reported), text(shown), "{format}");
        assert!(!reported.is_empty());
    }
}

#[test]
fn the_result_contains_the_labels_and_the_last_value_of_a_key_wins() {
    let args = format!("{SHORT} --label env=kvm --label n=1 --label n=2=3 --label empty=");
    let result = result_of(Path::new("."), &args);
    assert_eq!(
        result["labels"],
        json!({"env": "kvm", "n": "2=3", "empty": ""})
    );
}

#[test]
fn a_result_that_cannot_be_written_is_refused_before_the_run() {
    let directory = temp_dir();
    for file in ["nowhere/r.json", "directory", "file/r.json"] {
        std::fs::create_dir_all(directory.path().join("directory")).unwrap();
        File::create(directory.path().join("file")).unwrap();
        let args = format!("fileio --mode seqwr --files 2 --total-size 64K --keep --json {file}");
        wbench(directory.path(), &args)
            .assert()
            .code(1)
            .stdout(is_empty())
            .stderr(contains(file));
        assert_eq!(names_in(directory.path()), ["directory", "file"], "{file}");
    }
}

/// Runs the program with its standard output connected to a pipe without a reader.
fn to_a_closed_pipe(directory: &Path, args: &str) -> std::process::Output {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    Command::new(WBENCH)
        .args(args.split(' '))
        .current_dir(directory)
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("the program starts")
}

#[test]
fn a_closed_pipe_on_standard_output_is_not_an_error() {
    let directory = temp_dir();
    for args in [
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
        let output = to_a_closed_pipe(directory.path(), args);
        assert_ended(&output, 0);
        assert_eq!(errors(&output.stderr), "", "{args}");
    }
}

#[test]
fn a_full_device_as_standard_output_is_a_reported_error() {
    let directory = temp_dir();
    for args in [
        "--help",
        "--version",
        "cpu --max-prime 100 --events 10",
        "cpu --max-prime 100 --events 10 --json -",
        "cpu --max-prime 100 --events 10 --json /dev/full",
        "env",
        "env --json",
        "--test=cpu --cpu-max-prime=100 --max-requests=10 run",
        "version",
        "sysbench cpu --cpu-max-prime=100 --events=10 run",
        "sysbench cpu --cpu-max-prime=x run",
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (name, args) = match args.strip_prefix("sysbench ") {
            Some(args) => ("sysbench", args),
            None => ("wbench", args),
        };
        let output = Command::new(WBENCH)
            .arg0(name)
            .args(args.split(' '))
            .current_dir(directory.path())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .expect("the program starts");
        assert_ended(&output, 1);
        let message = text(&output.stderr);
        assert!(message.contains("no space left"), "{args}: {message}");
    }
}

#[test]
fn a_result_is_written_to_a_pipe_or_a_device_directly() {
    let directory = temp_dir();
    wbench(directory.path(), &format!("{SHORT} --json /dev/null"))
        .assert()
        .success();
    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let run = Running::wbench(directory.path(), &format!("{SHORT} --json fifo"));
    let read = std::fs::read(&fifo).unwrap();
    assert_ended(&run.finish(), 0);
    assert_eq!(parsed(&read)["status"], "complete");
    assert_eq!(names_in(directory.path()), ["fifo"]);
}

#[test]
fn env_describes_the_host_the_clock_and_the_storage() {
    let directory = temp_dir();
    wbench(directory.path(), "env")
        .assert()
        .success()
        .stdout(contains("clock").and(contains("O_DIRECT")));
    let done = wbench(directory.path(), "env --json").assert().success();
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
        directory.path().canonicalize().unwrap().to_str().unwrap()
    );
    assert_eq!(names_in(directory.path()), [""; 0]);
}

/// The names of the fields that are null.
fn null_fields(value: &Value, name: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                null_fields(value, &format!("{name}.{member}"), found);
            }
        }
        Value::Null => found.push(name.to_owned()),
        _ => {}
    }
}

#[test]
fn env_gives_a_reason_for_every_value_of_the_host_that_is_unknown() {
    let directory = temp_dir();
    let done = wbench(directory.path(), "env --json").assert().success();
    let environment = parsed(&done.get_output().stdout);
    let mut unknown = Vec::new();
    null_fields(&environment["host"], "host", &mut unknown);
    // Null means that there is no limit.
    unknown.retain(|field| !field.ends_with("cpu_quota_cpus") && !field.ends_with("limit_bytes"));
    let mut explained = Vec::new();
    for entry in environment["not_visible"].as_array().unwrap() {
        assert!(!entry["reason"].as_str().unwrap().is_empty());
        let fields = entry["fields"].as_array().unwrap();
        explained.extend(
            fields
                .iter()
                .map(|field| field.as_str().unwrap().to_owned()),
        );
    }
    for field in &unknown {
        let is_explained = explained.iter().any(|it| field.starts_with(it));
        assert!(
            is_explained,
            "{field} is null without a reason: {explained:?}"
        );
    }
    for field in explained.iter().filter(|field| field.starts_with("host.")) {
        assert!(unknown.contains(field), "{field} is known");
    }
    let text = wbench(directory.path(), "env").output().unwrap();
    let text = crate::common::text(&text.stdout);
    for field in &explained {
        let named = |line: &str| line.contains("not visible") && line.contains(field.as_str());
        assert!(text.lines().any(named), "{field}: {text}");
    }
}
