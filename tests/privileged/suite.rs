//! `wbench suite` with failed system calls and on full disks.

use serde_json::Value;

use crate::common::storage::Mounted;
use crate::common::suite::{Place, SMALL, SMALL_NAMES, lines_in, names};
use crate::common::{
    Running, WBENCH, assert_ended, names_in, result_in, text, tool, traced, wait_until, wbench,
};

#[test]
fn a_failed_measurement_is_reported_and_does_not_stop_the_others() {
    // Only this measurement calls fdatasync.
    let profile = SMALL.replace(
        "mode = \"rndrd\"",
        "mode = \"rndrw\"\nfsync-mode = \"fdatasync\"",
    );
    let place = Place::with(&profile);
    let mut command = tool("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"])
        .args(["-e", "inject=fdatasync:error=EIO", WBENCH])
        .args(Place::args("").split_whitespace())
        .current_dir(place.path());
    let output = Running::start(command).finish();
    assert_ended(&output, 1);
    let results = place.results();
    assert_eq!(names(&results), SMALL_NAMES);
    let status = |results: &[Value]| {
        let all = results
            .iter()
            .map(|result| result["status"].as_str().unwrap().to_owned());
        all.collect::<Vec<_>>()
    };
    let failed = [
        "complete", "complete", "complete", "failed", "complete", "complete",
    ];
    assert_eq!(status(&results), failed);
    let message = text(&output.stderr);
    assert!(
        message.contains("rndrd: fdatasync of") && message.contains("EIO"),
        "{message}"
    );
    assert!(text(&output.stdout).contains("FAILED"));
    assert_eq!(place.test_files(), [""; 0]);

    assert_ended(&place.suite("--resume"), 0);
    let results = place.results();
    assert_eq!(status(&results), ["complete"; 6]);
    assert_eq!(names(&results)[5], "rndrd", "measured last");
}

#[test]
fn a_full_disk_under_the_result_file_loses_no_saved_result() {
    // Full while results arrive, and full when they are merged into one file.
    for (size, measured) in [(16 << 10, 1..5), (48 << 10, 6..7)] {
        let disk = Mounted::tmpfs(size);
        let place = Place::with(SMALL);
        let json = format!("--json {}", disk.path().join("r.json").display());
        let output = place.suite(&json);
        assert_ended(&output, 1);
        let message = text(&output.stderr);
        assert!(
            message.contains("r.json") && message.contains("no space left"),
            "{message}"
        );
        assert!(
            message.contains("make room") && message.contains("--resume"),
            "{message}"
        );
        assert!(
            text(&output.stdout).contains("memory-read"),
            "the report contains the figures"
        );
        assert_eq!(place.test_files(), [""; 0]);
        let kept = lines_in(&disk.path().join("r.json.partial"));
        assert!(measured.contains(&kept), "{kept}");

        disk.remount("size=1M");
        let output = place.suite(&format!("{json} --resume"));
        assert_ended(&output, 0);
        let complete = format!("wbench: resuming: {kept} of 6 measurements complete");
        assert!(
            text(&output.stderr).starts_with(&complete),
            "{}",
            text(&output.stderr)
        );
        let results = result_in(&disk.path().join("r.json"));
        assert_eq!(names(results.as_array().unwrap()), SMALL_NAMES);
        assert_eq!(names_in(&disk.path()), ["r.json"]);
    }
}

#[test]
fn a_directory_that_cannot_hold_the_files_is_refused_before_any_measurement() {
    let disk = Mounted::tmpfs(1 << 20);
    let place = Place::with(&SMALL.replace("files = 4\n", "files = 4\nflags = \"none\"\n"));
    let big = place.path().join("big.toml");
    let profile = std::fs::read_to_string(place.path().join("p.toml")).unwrap();
    std::fs::write(big, profile.replace("\"1M\"\nevents", "\"8M\"\nevents")).unwrap();
    let args = format!("suite --profile big.toml --dir {}", disk.path().display());
    let output = wbench(place.path(), &args).output().unwrap();
    assert_ended(&output, 1);
    let message = text(&output.stderr);
    assert!(
        message.contains("8.0 MiB") && message.contains("1.0 MiB"),
        "{message}"
    );
    assert!(!message.contains("cpu"), "{message}");
    let foreign = place.path().join("data/test_file.2");
    std::fs::write(&foreign, "mine").unwrap();
    let output = place.suite("");
    assert_ended(&output, 1);
    let message = text(&output.stderr);
    assert!(message.contains("test_file.2"), "{message}");
    assert_eq!(std::fs::read_to_string(foreign).unwrap(), "mine");
    assert_eq!(names_in(place.path()), ["big.toml", "data", "p.toml"]);
}

#[test]
fn measurements_of_the_same_files_share_them_regardless_of_their_requests() {
    let profile = SMALL.split("[[measurement]]").next().unwrap().to_owned()
        + "[[measurement]]\nname = \"small\"\ntest = \"fileio\"\nmode = \"seqrd\"\nevents = 0\n"
        + "[[measurement]]\nname = \"large\"\ntest = \"fileio\"\nmode = \"seqrd\"\nblock-size = \"64K\"\nevents = 0\n"
        + "[[measurement]]\nname = \"other\"\ntest = \"fileio\"\nmode = \"rndrw\"\nfiles = 2\n"
        + "[[measurement]]\nname = \"again\"\ntest = \"fileio\"\nmode = \"rndwr\"\nfiles = 2\n";
    let place = Place::with(&profile);
    let run = traced(place.path(), &Place::args("--repeat 1"), &[]);
    assert_ended(&run.output, 0);
    // A file is linked under its name when it is created.
    let named = run.of_test_files("linkat");
    assert_eq!(named.len(), 4 + 2, "{named:#?}");
    let reads = place.results();
    let reads = reads
        .iter()
        .map(|result| result["totals"]["reads"].as_u64().unwrap());
    assert_eq!(reads.take(2).collect::<Vec<_>>(), [256, 16]);
    assert_eq!(place.test_files(), [""; 0]);
}

#[test]
fn a_file_system_without_locks_is_used_with_a_warning() {
    let place = Place::with(SMALL);
    let mut command = tool("strace");
    command
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "inject=flock:error=ENOSYS",
            WBENCH,
        ])
        .args(Place::args("").split_whitespace())
        .current_dir(place.path());
    let output = Running::start(command).finish();
    assert_ended(&output, 0);
    let message = text(&output.stderr);
    assert!(
        message.contains("cannot lock") && message.contains("no other job"),
        "{message}"
    );
    assert_eq!(place.results().len(), 6);
}

#[test]
fn a_journal_that_cannot_be_identified_or_unlocked_is_not_left_in_silence() {
    let one =
        "name = 'one'\n[[measurement]]\nname = 'cpu'\ntest = 'cpu'\nmax-prime = 3\nevents = 1\n";
    for (fault, only) in [
        ("statx:error=EIO", &["-P", "wbench-suite.json.partial"][..]),
        ("flock:error=ENOLCK", &[]),
    ] {
        for call in 1..=8 {
            let place = Place::with(one);
            let inject = format!("inject={fault}:when={call}");
            let mut command = tool("strace");
            command
                .args(["-f", "-qq", "-o", "/dev/null", "-e", &inject])
                .args(only)
                .arg(WBENCH)
                .args(Place::args("").split_whitespace())
                .current_dir(place.path());
            let output = Running::start(command).finish();
            let status = output.status.code().expect("no signal ends it");
            assert_ended(&output, status);
            assert!([0, 1].contains(&status), "{inject}: {status}");
            if status == 0 {
                assert_eq!(place.results().len(), 1, "{inject}");
                assert!(!place.partial().exists(), "{inject}");
            }
            if place.partial().exists() {
                let message = text(&output.stderr);
                assert!(
                    message.contains("wbench-suite.json.partial"),
                    "{inject}: {message}"
                );
            }
        }
    }
}

#[test]
fn the_results_of_a_suite_have_reserved_space_on_a_disk_that_others_fill() {
    let disk = Mounted::tmpfs(8 << 20);
    let place = Place::with(SMALL);
    let json = disk.path().join("r.json");
    let suite = place.start(&format!("--json {}", json.display()));
    let partial = disk.path().join("r.json.partial");
    wait_until("the reservation", || partial.exists());
    wait_until("a result", || lines_in(&partial) >= 1);
    // Another process uses all remaining space.
    let _ = std::fs::write(disk.path().join("hog"), vec![0; 16 << 20]);
    let output = suite.finish();
    // The array is a second copy, for which there is no space; the results so far have theirs.
    let all = match output.status.code() {
        Some(0) => result_in(&json).as_array().unwrap().len(),
        _ => lines_in(&partial),
    };
    assert_eq!(all, 6, "{}", text(&output.stderr));
}
