//! The file I/O test from outside: its system calls, and what it leaves behind.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use predicates::prelude::*;
use predicates::str::{contains, is_empty, starts_with};
use serde_json::json;

use crate::common::requests::{MODEL, Model, prepared};
use crate::common::{
    Running, WBENCH, assert_ended, names_in, result_of, temp_dir, text, tool, wbench,
};

#[test]
fn the_figures_match_the_calls_made() {
    let model = Model {
        mode: "rndrw",
        fsync_freq: 9,
        fsync_end: true,
        ..MODEL
    };
    let directory = prepared(&model);
    let result = result_of(
        directory.path(),
        &format!("fileio run --mode rndrw {}", model.args()),
    );
    let calls = model.calls();
    let count = |verb: &str| calls.iter().filter(|call| call.starts_with(verb)).count() as u64;
    let totals = &result["totals"];
    assert_eq!(totals["reads"], count("read"));
    assert_eq!(totals["writes"], count("write"));
    assert_eq!(totals["fsyncs"], count("fsync"));
    assert_eq!(totals["events"], count("read") + count("write"));
    assert_eq!(totals["bytes_read"], count("read") * model.block);
    assert_eq!(totals["bytes_written"], count("write") * model.block);
}

#[test]
fn the_whole_job_creates_its_files_and_leaves_the_directory_unchanged() {
    for mode in ["seqwr", "seqrewr", "seqrd", "rndrd", "rndwr", "rndrw"] {
        for flags in ["direct", "none"] {
            let directory = temp_dir();
            fs::write(directory.path().join("mine"), "precious").unwrap();
            fs::write(directory.path().join("test_file.3"), "not of this set").unwrap();
            let args = format!(
                "fileio --mode {mode} --flags {flags} --files 3 --total-size 96K --events 20"
            );
            let result = result_of(directory.path(), &args);
            assert_eq!(result["status"], "complete", "{args}");
            assert_eq!(result["totals"]["events"], 20, "{args}");
            assert_eq!(
                names_in(directory.path()),
                ["mine", "test_file.3"],
                "{args}"
            );
        }
    }
}

#[test]
fn the_directory_can_be_chosen() {
    let (here, there) = (temp_dir(), temp_dir());
    wbench(
        here.path(),
        "fileio --mode rndrd --files 2 --total-size 64K --events 5 --keep --dir",
    )
    .arg(there.path())
    .assert()
    .success();
    assert_eq!(names_in(here.path()), [""; 0]);
    assert_eq!(names_in(there.path()), ["test_file.0", "test_file.1"]);
}

#[test]
fn keep_leaves_files_for_a_later_run_and_cleanup() {
    let directory = temp_dir();
    let set = "--files 2 --total-size 64K --events 5";
    wbench(
        directory.path(),
        &format!("fileio --mode seqwr --keep {set}").replace(" --events 5", ""),
    )
    .assert()
    .success();
    assert_eq!(names_in(directory.path()), ["test_file.0", "test_file.1"]);
    wbench(directory.path(), &format!("fileio run --mode rndrw {set}"))
        .assert()
        .success();
    // The job does not remove files that existed before.
    wbench(directory.path(), &format!("fileio --mode rndrw {set}"))
        .assert()
        .success();
    assert_eq!(names_in(directory.path()), ["test_file.0", "test_file.1"]);
    wbench(directory.path(), "fileio cleanup --files 2")
        .assert()
        .success();
    assert_eq!(names_in(directory.path()), [""; 0]);
}

#[test]
fn the_whole_job_completes_a_set_with_a_missing_file_and_keeps_existing_files() {
    let directory = prepared(&MODEL);
    let missing = directory.path().join("test_file.1");
    fs::remove_file(&missing).unwrap();
    let inode = |file: &str| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(directory.path().join(file)).unwrap().ino()
    };
    let before = inode("test_file.0");
    let whole = format!("fileio --mode rndrd {}", MODEL.args());
    wbench(directory.path(), &whole).assert().success();
    assert_eq!(names_in(directory.path()), ["test_file.0", "test_file.2"]);
    assert_eq!(inode("test_file.0"), before);
    wbench(directory.path(), &format!("{whole} --keep"))
        .assert()
        .success();
    assert!(missing.exists());
    let run = format!("fileio run --mode rndrd {}", MODEL.args());
    wbench(directory.path(), &run).assert().success();
}

/// Steps on a small set in the current directory, in both dialects: those that only read it, and
/// those that write or remove it.
const READERS: [&str; 3] = [
    "fileio run --mode rndrd --events 10 --files 2 --total-size 64K",
    "fileio --mode seqrd --files 2 --total-size 64K",
    "--test=fileio --file-num=2 --file-total-size=64K --file-test-mode=rndrd --max-requests=9 run",
];
const WRITERS: [&str; 9] = [
    "fileio prepare --files 2 --total-size 64K",
    "fileio cleanup --files 2 --total-size 64K",
    "fileio run --mode rndwr --files 2 --total-size 64K",
    "fileio --mode rndrw --files 2 --total-size 64K",
    "fileio --mode seqwr --files 1 --total-size 4K",
    "suite --scale 0.0001",
    "--test=fileio --file-num=2 --file-total-size=64K prepare",
    "--test=fileio --file-num=2 --file-total-size=64K cleanup",
    "--test=fileio --file-num=2 --file-total-size=64K --file-test-mode=rndwr run",
];

/// Starts a run without end and waits until it has begun.
fn endless(directory: &Path, mode: &str) -> Running {
    let args = format!(
        "fileio {mode} --files 2 --total-size 64K --events 0 --time 0 --report-interval 0.05"
    );
    let run = Running::wbench(directory, &args);
    run.wait_for("events/s");
    run
}

#[track_caller]
fn assert_refused(directory: &Path, args: &str, holder: &Running) {
    let refused = wbench(directory, args).output().unwrap();
    assert_ended(&refused, 1);
    let message = text(&refused.stderr);
    let holder = format!("are in use by process {}", holder.pid());
    assert!(message.contains(&holder), "{args}: {message}");
}

#[test]
fn a_set_being_written_is_refused_to_every_other_process() {
    let directory = temp_dir();
    let whole = endless(directory.path(), "--mode rndrw");
    for args in READERS.iter().chain(&WRITERS) {
        assert_refused(directory.path(), args, &whole);
    }
    whole.signal(nix::sys::signal::Signal::SIGINT);
    assert_ended(&whole.finish(), 130);
    // Neither the lock nor a refused process leaves files behind.
    assert_eq!(names_in(directory.path()), [""; 0]);
}

#[test]
fn a_set_being_read_can_be_read_but_not_written_by_others() {
    let directory = temp_dir();
    let prepare = "fileio prepare --files 2 --total-size 64K";
    wbench(directory.path(), prepare).assert().success();
    let mut reader = endless(directory.path(), "run --mode rndrd");
    for args in READERS {
        wbench(directory.path(), args).assert().success();
    }
    for args in WRITERS {
        assert_refused(directory.path(), args, &reader);
    }
    // The kernel releases the lock of a killed process.
    reader.kill();
    let cleanup = "fileio cleanup --files 2 --total-size 64K";
    wbench(directory.path(), cleanup).assert().success();
    assert_eq!(names_in(directory.path()), [""; 0]);
}

#[test]
fn cleanup_of_an_empty_directory_is_not_an_error() {
    wbench(temp_dir().path(), "fileio cleanup")
        .assert()
        .success();
}

#[test]
fn missing_and_short_files_are_named_before_the_run() {
    let directory = prepared(&MODEL);
    let run = format!("fileio run --mode rndrd {}", MODEL.args());
    fs::File::options()
        .write(true)
        .open(directory.path().join("test_file.1"))
        .unwrap()
        .set_len(100)
        .unwrap();
    wbench(directory.path(), &run)
        .assert()
        .code(1)
        .stdout(is_empty())
        .stderr(contains(
            "test_file.1 is too small: 100 bytes instead of 32768",
        ));
    fs::remove_file(directory.path().join("test_file.1")).unwrap();
    wbench(directory.path(), &run)
        .assert()
        .code(1)
        .stdout(is_empty())
        .stderr(contains("test_file.1 is missing").and(contains("prepare")));
}

#[test]
fn unrelated_files_are_neither_read_nor_written_nor_removed() {
    let directory = temp_dir();
    let foreign = vec![7; 32 << 10];
    fs::write(directory.path().join("test_file.0"), &foreign).unwrap();
    for step in [
        "--mode seqwr",
        "--mode rndrw",
        "prepare",
        "run --mode rndrd",
        "cleanup",
    ] {
        let args = format!("fileio {step} --files 2 --total-size 64K");
        wbench(directory.path(), &args)
            .assert()
            .code(1)
            .stderr(contains("test_file.0"));
        assert_eq!(
            fs::read(directory.path().join("test_file.0")).unwrap(),
            foreign,
            "{step}"
        );
        assert_eq!(names_in(directory.path()), ["test_file.0"], "{step}");
    }
}

#[test]
fn a_symbolic_link_is_neither_followed_nor_removed_in_either_dialect() {
    let directory = temp_dir();
    let target = directory.path().join("precious");
    fs::write(&target, vec![7; 32 << 10]).unwrap();
    symlink("precious", directory.path().join("test_file.1")).unwrap();
    for args in [
        "fileio --mode seqwr --files 2 --total-size 64K",
        "fileio prepare --files 2 --total-size 64K",
        "fileio run --mode rndwr --files 2 --total-size 64K",
        "fileio cleanup --files 2",
        "--test=fileio --file-num=2 --file-total-size=64K prepare",
        "--test=fileio --file-num=2 --file-total-size=64K --file-test-mode=seqwr run",
        "--test=fileio --file-num=2 --file-total-size=64K --file-test-mode=rndrd run",
        "--test=fileio --file-num=2 cleanup",
    ] {
        wbench(directory.path(), args)
            .assert()
            .code(1)
            .stderr(contains("test_file.1").or(contains("test_file.0 is missing")));
        assert_eq!(fs::read(&target).unwrap(), vec![7; 32 << 10], "{args}");
        assert!(directory.path().join("test_file.1").is_symlink(), "{args}");
    }
}

#[test]
fn a_low_soft_limit_of_descriptors_is_raised_and_a_low_hard_limit_refused() {
    let directory = temp_dir();
    let run = |limit: &str| {
        let mut command = tool("prlimit");
        command
            .arg(format!("--nofile={limit}"))
            .arg(WBENCH)
            .args("fileio --mode rndrw --files 100 --total-size 400K --events 10".split(' '))
            .current_dir(directory.path());
        Running::start(command).finish()
    };
    assert_ended(&run("20:1000"), 0);
    let refused = run("20:50");
    assert_ended(&refused, 1);
    let message = text(&refused.stderr);
    assert!(
        message.contains("100 test files") && message.contains("50") && message.contains("ulimit"),
        "{message}"
    );
    assert_eq!(names_in(directory.path()), [""; 0]);
}

#[test]
fn written_data_is_incompressible_and_every_block_is_unique() {
    let model = Model {
        mode: "seqwr",
        ..MODEL
    };
    let directory = temp_dir();
    wbench(
        directory.path(),
        &format!("fileio --mode seqwr --keep {}", model.args()),
    )
    .assert()
    .success();
    let mut blocks = std::collections::BTreeSet::new();
    for file in 0..model.files {
        let data = fs::read(directory.path().join(format!("test_file.{file}"))).unwrap();
        assert_eq!(data.len() as u64, model.file_size);
        for block in data.chunks(512) {
            let kinds: std::collections::BTreeSet<u8> = block.iter().copied().collect();
            // 512 random bytes contain about 221 distinct values.
            assert!(kinds.len() > 150, "a block of {} values", kinds.len());
            assert!(blocks.insert(block.to_vec()), "a block twice");
        }
    }
}

#[test]
fn an_unwritable_directory_is_reported() {
    if nix::unistd::geteuid().is_root() {
        // Root may write anywhere except where the kernel itself allows no files.
        wbench(
            Path::new("."),
            "fileio prepare --files 1 --total-size 64K --dir /proc",
        )
        .assert()
        .code(1)
        .stderr(starts_with("wbench: ").and(contains("/proc/test_file.0")));
    } else {
        wbench(
            Path::new("."),
            "fileio prepare --files 1 --total-size 64K --dir /",
        )
        .assert()
        .code(1)
        .stderr(starts_with("wbench: ").and(contains("/test_file.0")));
    }
}

#[test]
fn the_result_describes_the_storage_and_every_parameter() {
    let directory = temp_dir();
    let result = result_of(
        directory.path(),
        "fileio --mode rndrw --files 2 --total-size 64K --events 5 --rw-ratio 2 --fsync-mode fdatasync",
    );
    assert_eq!(
        result["storage"]["path"],
        directory.path().canonicalize().unwrap().to_str().unwrap()
    );
    let params = &result["workload"]["params"];
    for (name, value) in [
        ("mode", json!("rndrw")),
        ("io_mode", json!("sync")),
        ("block_size_bytes", json!(4096)),
        ("total_size_bytes", json!(65536)),
        ("files", json!(2)),
        ("flags", json!("direct")),
        ("fsync_freq", json!(100)),
        ("fsync_all", json!(false)),
        ("fsync_end", json!(true)),
        ("fsync_mode", json!("fdatasync")),
        ("merged_requests", json!(0)),
        ("rw_ratio", json!(2.0)),
        ("max_time_s", json!(300.0)),
        ("max_requests", json!(5)),
    ] {
        assert_eq!(params[name], value, "{name}");
    }
}

#[test]
fn buffered_writes_without_a_following_fsync_are_a_warning() {
    let directory = temp_dir();
    let warns = |args: &str| {
        let args = format!("fileio {args} --files 2 --total-size 64K --block-size 4K");
        let result = result_of(directory.path(), &args);
        let warnings = result["warnings"].as_array().unwrap().iter();
        let codes: Vec<_> = warnings.map(|it| it["code"].as_str().unwrap()).collect();
        codes.contains(&"unflushed-writes")
    };
    let never = "--events 20 --fsync-freq 0 --fsync-end off";
    for (args, expected) in [
        (format!("--mode rndwr --flags none {never}"), true),
        (
            format!("--mode rndrw --flags none {never} --io uring"),
            true,
        ),
        (format!("--mode seqwr --flags none {never}"), true),
        (
            format!("--mode seqrewr --flags none {never} --io aio"),
            true,
        ),
        (format!("--mode rndwr --io mmap {never}"), true),
        (
            format!("--mode rndwr --io mmap --flags dsync {never}"),
            true,
        ),
        (format!("--mode rndwr --flags sync {never}"), false),
        (format!("--mode rndwr --flags dsync {never}"), false),
        (format!("--mode rndwr --flags direct {never}"), false),
        (format!("--mode rndrd --flags none {never}"), false),
        (
            format!("--mode rndwr --flags none {never} --fsync-all"),
            false,
        ),
        (format!("--mode rndwr --io mmap {never} --fsync-all"), false),
        // The final fsyncs, and runs that end before them.
        (
            "--mode rndwr --flags none --events 20 --fsync-freq 0".into(),
            false,
        ),
        ("--mode seqwr --flags none".into(), false),
        (
            "--mode rndwr --flags none --events 0 --time 0.2 --fsync-freq 0".into(),
            true,
        ),
        // Periodic fsyncs: after all but the last 10 of 200 and of 100 writes.
        (
            "--mode rndwr --flags none --events 200 --fsync-freq 10 --fsync-end off".into(),
            false,
        ),
        (
            "--mode rndwr --flags none --events 100 --fsync-freq 10 --fsync-end off".into(),
            true,
        ),
    ] {
        assert_eq!(warns(&args), expected, "{args}");
    }
}
