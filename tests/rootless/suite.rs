//! `wbench suite` from outside: runs everything in a profile exactly once, despite interruptions.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::process::workers;
use crate::common::suite::{Place, SMALL, SMALL_NAMES, lines_in, names};
use crate::common::{
    Running, assert_ended, assert_valid, names_in, parsed, result_in, result_of, text, validator,
    wait_until, wbench,
};

fn codes(result: &Value) -> Vec<&str> {
    let warnings = result["warnings"].as_array().unwrap().iter();
    warnings.map(|w| w["code"].as_str().unwrap()).collect()
}

/// The first column of a table's rows.
fn rows(stdout: &str) -> Vec<&str> {
    let table = stdout
        .split("\n\n")
        .nth(1)
        .unwrap_or_else(|| panic!("no table: {stdout}"));
    let rows = table.lines().skip(1);
    rows.filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[test]
fn a_suite_produces_one_array_and_one_table() {
    let place = Place::with(SMALL);
    let output = place.suite("--label env=here");
    assert_ended(&output, 0);
    let results = place.results();
    assert_eq!(names(&results), SMALL_NAMES);
    let validator = validator();
    for result in &results {
        assert_valid(&validator, result, "of a suite");
        let name = &result["suite"]["measurement"];
        let suite = json!({"profile": "small", "measurement": name, "round": 1, "scale": 1.0});
        assert_eq!(result["suite"], suite);
        assert_eq!(result["status"], "complete");
        assert_eq!(result["labels"], json!({"env": "here"}));
        assert!(!codes(result).contains(&"scaled"));
    }
    let table = text(&output.stdout);
    assert_eq!(rows(&table), SMALL_NAMES);
    // Host and warning lines may be of any length.
    let lines = table.split("\n\n").nth(1).unwrap().lines();
    let widest = lines.map(|line| line.chars().count()).max();
    assert!(widest.unwrap() <= 80, "{table}");
    assert_eq!(place.test_files(), [""; 0]);
    assert_eq!(
        names_in(place.path()),
        ["data", "p.toml", "wbench-suite.json"]
    );
}

#[test]
fn a_measurement_of_a_suite_does_what_its_command_does() {
    let place = Place::with(SMALL);
    assert_ended(&place.suite("--quiet"), 0);
    let set = "--files 4 --total-size 1M --dir data";
    let commands = [
        "cpu --max-prime 100 --events 20".to_owned(),
        "memory --total-size 1M --oper read".to_owned(),
        format!("fileio --mode seqrd {set}"),
        format!("fileio --mode rndrd {set} --events 50"),
        format!("fileio --mode seqwr {set}"),
        format!("fileio --mode rndwr {set} --events 50"),
    ];
    let results = place.results();
    for (result, command) in results.iter().zip(&commands) {
        let alone = result_of(place.path(), command);
        assert_eq!(result["workload"], alone["workload"], "{command}");
        for sum in [
            "events",
            "reads",
            "writes",
            "fsyncs",
            "bytes_read",
            "bytes_written",
        ] {
            assert_eq!(
                result["totals"][sum], alone["totals"][sum],
                "{command}: {sum}"
            );
        }
        assert_eq!(result["ended_by"], alone["ended_by"], "{command}");
        assert_eq!(
            result["storage"]["path"], alone["storage"]["path"],
            "{command}"
        );
    }
}

#[test]
fn the_study_has_seven_measurements_and_a_scaled_run_is_marked_as_such() {
    let place = Place::with("");
    let output = wbench(place.path(), "suite --scale 0.001 --dir data")
        .output()
        .unwrap();
    assert_ended(&output, 0);
    let results = place.results();
    let expected = [
        "cpu",
        "memory-read",
        "memory-write",
        "seqrd",
        "rndrd",
        "seqwr",
        "rndwr",
    ];
    assert_eq!(names(&results), expected);
    for result in &results {
        assert_eq!(result["suite"]["profile"], "kek-2015");
        assert_eq!(result["suite"]["scale"], 0.001);
        assert!(codes(result).contains(&"scaled"), "{:?}", codes(result));
    }
    assert_eq!(results[0]["workload"]["params"]["max_requests"], 10);
    assert_eq!(
        results[3]["workload"]["params"]["total_size_bytes"],
        128 * 16 * 4096
    );
    assert_eq!(results[3]["workload"]["params"]["max_time_s"], 0.3);
    let table = text(&output.stdout);
    assert!(
        table.starts_with("suite kek-2015 at scale 0.001"),
        "{table}"
    );
    assert_eq!(
        table.matches("first look, not comparable").count(),
        1,
        "{table}"
    );
}

#[test]
fn a_profile_printed_by_show_reads_back_unchanged() {
    let place = Place::with("");
    let shown = wbench(place.path(), "suite --show").output().unwrap();
    assert_ended(&shown, 0);
    std::fs::write(place.path().join("mine.toml"), &shown.stdout).unwrap();
    let again = wbench(place.path(), "suite --show --profile mine.toml")
        .output()
        .unwrap();
    assert_eq!(text(&again.stdout), text(&shown.stdout));
    let workloads = |args: &str| {
        let args = format!("suite --scale 0.0001 --dir data --quiet --json {args}");
        wbench(place.path(), &args).assert().success();
        let of = args.split(' ').nth(7).unwrap();
        let results = result_in(&place.path().join(of));
        let results = results.as_array().unwrap().iter();
        results
            .map(|result| result["workload"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(workloads("a.json"), workloads("b.json --profile mine.toml"));
}

#[test]
fn an_invalid_profile_is_reported_with_line_key_and_accepted_values() {
    let place =
        Place::with("name = \"p\"\n[[measurement]]\nname = \"a\"\ntest = \"cpu\"\nprimes = 3\n");
    for args in ["", "--show"] {
        let output = place.suite(args);
        assert_ended(&output, 1);
        let message = text(&output.stderr);
        assert!(
            message.starts_with("wbench: p.toml:5: unknown option 'primes'"),
            "{message}"
        );
        assert!(message.contains("max-prime"), "{message}");
        assert_eq!(output.stdout, b"");
    }
    assert_eq!(names_in(place.path()), ["data", "p.toml"]);
}

#[test]
fn rounds_run_in_sequence_and_are_samples_of_one_measurement() {
    let place = Place::with(SMALL);
    let output = place.suite("--repeat 2");
    assert_ended(&output, 0);
    let results = place.results();
    assert_eq!(names(&results), [SMALL_NAMES, SMALL_NAMES].concat());
    let rounds = results
        .iter()
        .map(|result| result["suite"]["round"].as_u64().unwrap());
    assert_eq!(rounds.collect::<Vec<_>>(), [[1; 6], [2; 6]].concat());
    assert_eq!(rows(&text(&output.stdout)), SMALL_NAMES);

    let args = "compare wbench-suite.json --metric rate --format json";
    let compared = wbench(place.path(), args).assert().success();
    let compared = text(&compared.get_output().stdout);
    assert_eq!(compared.matches("\"n\": 2").count(), 6, "{compared}");
}

#[test]
fn results_on_standard_output_are_alone_there_and_progress_without_a_terminal_is_plain_lines() {
    let place = Place::with(SMALL);
    let output = place.suite("--json -");
    assert_ended(&output, 0);
    let results = parsed(&output.stdout);
    assert_eq!(names(results.as_array().unwrap()), SMALL_NAMES);
    assert_eq!(names_in(place.path()), ["data", "p.toml"]);
    let lines = text(&output.stderr);
    assert_eq!(lines.lines().count(), SMALL_NAMES.len(), "{lines}");
    assert!(lines.contains("wbench: 3/6 seqrd: "), "{lines}");
    assert!(!lines.contains(['\r', '\u{1b}']), "{lines:?}");

    let quiet = place.suite("--quiet");
    assert_ended(&quiet, 0);
    assert_eq!(
        (text(&quiet.stdout), text(&quiet.stderr)),
        (String::new(), String::new())
    );
}

#[test]
fn results_are_not_overwritten_and_existing_ones_are_not_measured_again() {
    let place = Place::with(SMALL);
    assert_ended(&place.suite("--quiet"), 0);
    let before = std::fs::read(place.file()).unwrap();
    let refused = place.suite("");
    assert_ended(&refused, 1);
    assert!(text(&refused.stderr).contains("--resume"));
    let again = place.suite("--resume");
    assert_ended(&again, 0);
    assert_eq!(rows(&text(&again.stdout)), SMALL_NAMES);
    assert_eq!(std::fs::read(place.file()).unwrap(), before);
    let more = place.suite("--resume --repeat 2");
    assert_ended(&more, 0);
    assert_eq!(names(&place.results()), [SMALL_NAMES, SMALL_NAMES].concat());
}

#[test]
fn another_suite_is_not_resumed() {
    let place = Place::with(SMALL);
    assert_ended(&place.suite("--quiet --label env=a"), 0);
    let before = std::fs::read(place.file()).unwrap();
    let other = SMALL.replace("max-prime = 100", "max-prime = 200");
    std::fs::write(place.path().join("other.toml"), other).unwrap();
    std::fs::create_dir(place.path().join("elsewhere")).unwrap();
    let (same, data, here) = ("--profile p.toml", "--dir data", "--label env=a");
    let max_prime = "parameter max_prime 100, not 200";
    for (args, message) in [
        (format!("{same} {data} --label env=b"), "labels 'env=a'"),
        (format!("{same} {data} {here} --scale 0.5"), "at scale 1"),
        (
            format!("{same} {data} {here} --threads 2"),
            "threads 1, not 2",
        ),
        (format!("--profile other.toml {data} {here}"), max_prime),
        (format!("--profile kek-2015 {data} {here}"), "cpu of small"),
        (format!("{same} --dir elsewhere {here}"), "directory "),
    ] {
        let args = format!("suite --resume {args}");
        let output = wbench(place.path(), &args).output().unwrap();
        assert_ended(&output, 1);
        let error = text(&output.stderr);
        assert!(
            error.contains("wbench-suite.json") && error.contains(message),
            "{args}: {error}"
        );
        assert_eq!(std::fs::read(place.file()).unwrap(), before, "{args}");
    }
    assert!(!place.partial().exists());
}

#[test]
fn resume_refuses_results_from_different_conditions() {
    let place = Place::with(SMALL);
    assert_ended(&place.suite("--quiet"), 0);
    let whole = place.results();
    for (pointer, value, part) in [
        ("/host/os", Value::from("x"), "OS x, not"),
        ("/host/kernel", "1.0".into(), "kernel 1.0, not"),
        ("/host/arch", "x".into(), "architecture x, not"),
        (
            "/host/memory_bytes",
            4096.into(),
            "memory size in bytes 4096, not",
        ),
        (
            "/host/cgroup/cpu_quota_cpus",
            0.25.into(),
            "CPU quota 0.25, not",
        ),
        ("/host/cpu_governor", "x".into(), "governor x, not"),
        ("/host/clocksource", "x".into(), "clock source x, not"),
        (
            "/schema",
            "wbench.result/9".into(),
            "schema wbench.result/9",
        ),
        ("/suite/round", 0.into(), "round 0"),
        ("/totals/events", 0.into(), "0 events"),
    ] {
        let mut other = whole.clone();
        *other[0].pointer_mut(pointer).expect(pointer) = value;
        let before = serde_json::to_string(&other).unwrap();
        std::fs::write(place.file(), &before).unwrap();
        let refused = place.suite("--resume");
        assert_ended(&refused, 1);
        let error = text(&refused.stderr);
        assert!(error.contains(part), "{pointer}: {error}");
        assert_eq!(std::fs::read_to_string(place.file()).unwrap(), before);
    }
}

#[test]
fn too_many_rounds_for_memory_are_refused_at_once() {
    let place = Place::with(SMALL);
    let refused = place.suite("--repeat 4294967295");
    assert_ended(&refused, 1);
    let error = text(&refused.stderr);
    assert!(error.contains("at most 100000; lower --repeat"), "{error}");
    assert!(!place.file().exists());
}

/// A profile whose second measurement takes one or two seconds, and whose third needs files.
const LONG: &str = r#"
name = "long"
defaults.fileio = { files = 4, total-size = "1M" }

[[measurement]]
name = "first"
test = "cpu"
max-prime = 100
events = 20

[[measurement]]
name = "files"
test = "fileio"
mode = "rndrd"
events = 50

[[measurement]]
name = "long"
test = "cpu"
max-prime = 10
events = 0
time = 4

[[measurement]]
name = "last"
test = "fileio"
mode = "rndwr"
events = 50
"#;

#[test]
fn a_signal_ends_a_suite_with_its_results_so_far_and_resume_completes_it() {
    let signals = [
        (Signal::SIGHUP, 129),
        (Signal::SIGINT, 130),
        (Signal::SIGQUIT, 131),
        (Signal::SIGTERM, 143),
    ];
    // At the same time, because they mostly wait.
    std::thread::scope(|scope| {
        for (signal, status) in signals {
            scope.spawn(move || assert_that_a_signal_ends_a_suite(signal, status));
        }
    });
}

fn assert_that_a_signal_ends_a_suite(signal: Signal, status: i32) {
    let place = Place::with(LONG);
    let suite = place.start("");
    wait_until("two results", || lines_in(&place.partial()) == 2);
    // Those of the earlier measurements have ended before their results are written.
    wait_until("the threads of the third", || {
        !workers(suite.pid()).is_empty()
    });
    suite.signal(signal);
    let output = suite.finish();
    assert_ended(&output, status);
    let results = place.results();
    assert_eq!(names(&results), ["first", "files", "long"]);
    assert_eq!(results[2]["status"], "interrupted");
    assert_valid(&validator(), &results[2], "interrupted");
    assert_eq!(place.test_files(), [""; 0]);
    assert!(!place.partial().exists());
    let table = text(&output.stdout);
    assert!(
        table.contains("interrupted") && table.contains("missing"),
        "{table}"
    );
    assert!(text(&output.stderr).contains("--resume"));

    let before = results;
    assert_ended(&place.suite("--resume"), 0);
    let results = place.results();
    assert_eq!(names(&results), ["first", "files", "long", "last"]);
    assert!(results.iter().all(|result| result["status"] == "complete"));
    assert_eq!(results[..2], before[..2]);
}

#[test]
fn a_signal_while_files_are_created_removes_them() {
    let big = SMALL.replace("total-size = \"1M\"\nevents", "total-size = \"3G\"\nevents");
    let place = Place::with(&big);
    let suite = place.start("");
    wait_until("a test file", || !place.test_files().is_empty());
    suite.signal(Signal::SIGINT);
    assert_ended(&suite.finish(), 130);
    assert_eq!(place.test_files(), [""; 0]);
    assert_eq!(names(&place.results()), ["cpu", "memory-read"]);
}

#[test]
fn a_suite_killed_repeatedly_ends_with_each_measurement_exactly_once() {
    let place = Place::with(&SMALL.replace("events = 20", "events = 200000\ntime = 0.2"));
    for kill in 0..8 {
        let mut suite = Running::wbench(place.path(), &Place::args("--resume --repeat 2"));
        std::thread::sleep(Duration::from_millis(40 + 90 * kill));
        suite.kill();
    }
    let output = place.suite("--resume --repeat 2");
    assert_ended(&output, 0);
    let results = place.results();
    assert_eq!(names(&results), [SMALL_NAMES, SMALL_NAMES].concat());
    assert!(results.iter().all(|result| result["status"] == "complete"));
    let mut places: Vec<_> = results.iter().map(|r| r["suite"].to_string()).collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), 12);
    assert!(!place.partial().exists());
}

#[test]
fn existing_files_and_files_to_keep_are_not_removed() {
    let place = Place::with(SMALL);
    let four = ["test_file.0", "test_file.1", "test_file.2", "test_file.3"];
    assert_ended(&place.suite("--quiet --keep"), 0);
    assert_eq!(place.test_files(), four);
    std::fs::remove_file(place.file()).unwrap();
    assert_ended(&place.suite("--quiet"), 0);
    assert_eq!(place.test_files(), four);
}

#[test]
fn a_write_measurement_that_ends_early_leaves_no_partial_files_to_later_ones() {
    let cut = SMALL.replace(
        "mode = \"seqwr\"\nevents = 0",
        "mode = \"seqwr\"\nevents = 100",
    );
    let after =
        "[[measurement]]\nname = \"again\"\ntest = \"fileio\"\nmode = \"seqrd\"\nevents = 0\n";
    let place = Place::with(&format!("{cut}{after}"));
    assert_ended(&place.suite("--quiet"), 0);
    let results = place.results();
    assert_eq!(results[4]["totals"]["writes"], 100);
    assert_eq!(results[6]["totals"]["reads"], 256);
    assert_eq!(results[6]["totals"]["bytes_read"], 1 << 20);
    assert_eq!(results[6]["status"], "complete");
}

#[test]
fn options_for_all_measurements_are_in_each_result() {
    let place = Place::with(SMALL);
    let args = "--quiet --threads 2 --pin --clock monotonic --report-interval 0.05";
    assert_ended(&place.suite(args), 0);
    for result in place.results() {
        assert_eq!(result["workload"]["threads"], 2);
        let params = &result["workload"]["params"];
        assert_eq!(
            (&params["pin"], &params["clock"]),
            (&json!(true), &json!("monotonic"))
        );
        assert_eq!(params["report_interval_s"], 0.05);
        assert!(!result["intervals"].as_array().unwrap().is_empty());
    }
}

#[test]
fn the_profile_in_the_manual_is_valid() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manual.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let block = manual
        .split("```toml\n")
        .nth(1)
        .expect("a profile in the manual");
    let place = Place::with(block.split("```").next().unwrap());
    assert_ended(&place.suite("--show"), 0);
    assert_ended(&place.suite("--scale 0.001 --quiet"), 0);
    let results = place.results();
    assert_eq!(names(&results), ["random-aio"]);
    assert_eq!(results[0]["workload"]["params"]["io_mode"], "aio");
}

#[test]
fn a_suite_begins_at_its_start_time_and_prints_the_requested_report() {
    let place = Place::with(SMALL);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let at = now.as_secs_f64() + 1.0;
    let output = place.suite(&format!("--start-at {at:.3} --format json"));
    assert_ended(&output, 0);
    let results = place.results();
    assert!(
        results[0]["start"]["late_s"].is_number(),
        "{}",
        results[0]["start"]
    );
    assert!(results[1..].iter().all(|result| result["start"].is_null()));
    let printed = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    assert_eq!(printed.map(|it| it.unwrap()).collect::<Vec<_>>(), results);
    assert_ended(&place.suite("--json - --format rally"), 1);
}

#[test]
fn a_second_job_on_results_in_use_names_the_other_process_and_changes_nothing() {
    let place = Place::with(LONG);
    let suite = place.start("--repeat 3");
    wait_until("two results", || lines_in(&place.partial()) == 2);
    for args in ["--repeat 3 --resume", "--repeat 3"] {
        let output = place.suite(args);
        assert_ended(&output, 1);
        let message = text(&output.stderr);
        let holder = format!("in use by process {}, which started at 2", suite.pid());
        assert!(
            message.contains("wbench-suite.json.partial") && message.contains(&holder),
            "{message}"
        );
    }
    assert_ended(&suite.finish(), 0);
    let results = place.results();
    assert_eq!(results.len(), 12);
    assert!(!place.partial().exists());

    // Locks do not outlive a killed job.
    let mut suite = place.start("--json other.json");
    let partial = place.path().join("other.json.partial");
    wait_until("a result", || lines_in(&partial) == 1);
    suite.kill();
    let output = place.suite("--json other.json --resume");
    assert_ended(&output, 0);
    assert_eq!(
        result_in(&place.path().join("other.json"))
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

#[test]
fn only_one_of_several_concurrent_jobs_with_the_same_result_file_runs() {
    for args in ["", "--resume"] {
        let place = Place::with(LONG);
        let jobs: Vec<_> = (0..4).map(|_| place.start(args)).collect();
        let mut done = 0;
        for job in jobs {
            let output = job.finish();
            match output.status.code() {
                // A job that begins after another has ended has nothing left to do.
                Some(0) => done += 1,
                _ => {
                    assert_ended(&output, 1);
                    let message = text(&output.stderr);
                    let known = ["in use by process", "holds results already"];
                    assert!(known.iter().any(|it| message.contains(it)), "{message}");
                }
            }
        }
        assert!(done >= 1);
        assert!(done == 1 || args == "--resume");
        assert_eq!(names(&place.results()), ["first", "files", "long", "last"]);
        assert!(!place.partial().exists());
    }
}
