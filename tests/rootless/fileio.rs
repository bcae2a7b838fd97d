//! The file I/O test from outside: its system calls, and what it leaves behind.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use predicates::prelude::*;
use predicates::str::{contains, is_empty, starts_with};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{
    Running, WBENCH, assert_ended, folder, names_in, parsed, result_in, result_of, text, tool,
    traced, wbench,
};

/// Options of a run, and the sequence of data calls they must produce.
///
/// This specifies the behaviour a second time, in another way than the program: as a list of all
/// calls, generated at once.
#[derive(Clone, Copy)]
struct Model {
    mode: &'static str,
    files: u64,
    file_size: u64,
    block: u64,
    requests: u64,
    fsync_freq: u64,
    fsync_all: bool,
    fsync_end: bool,
    fsync_mode: &'static str,
    merged: u64,
    ratio: f64,
    seed: Option<u64>,
}

const MODEL: Model = Model {
    mode: "rndrd",
    files: 3,
    file_size: 32 << 10,
    block: 4096,
    requests: 60,
    fsync_freq: 0,
    fsync_all: false,
    fsync_end: false,
    fsync_mode: "fsync",
    merged: 0,
    ratio: 1.5,
    seed: None,
};

impl Model {
    fn words(&self) -> String {
        let Self {
            files,
            block,
            fsync_freq,
            fsync_mode,
            merged,
            ratio,
            ..
        } = self;
        let total = self.files * self.file_size;
        let mut words = format!(
            "--files {files} --total-size {total} --block-size {block} --flags none --fsync-freq \
             {fsync_freq} --fsync-mode {fsync_mode} --merged-requests {merged} --rw-ratio {ratio} \
             --fsync-end {}",
            if self.fsync_end { "on" } else { "off" }
        );
        if self.fsync_all {
            words.push_str(" --fsync-all");
        }
        if let Some(seed) = self.seed {
            words.push_str(&format!(" --seed {seed}"));
        }
        if self.mode.starts_with("rnd") {
            words.push_str(&format!(" --events {}", self.requests));
        }
        words
    }

    fn calls(&self) -> Vec<String> {
        let mut calls = match self.mode.starts_with("seq") {
            true => self.sequential(),
            false => self.random(),
        };
        if self.fsync_end && !self.fsync_all && self.writes() {
            calls.extend((0..self.files).map(|file| self.flush(file)));
        }
        calls
    }

    fn writes(&self) -> bool {
        !self.mode.ends_with("rd")
    }

    fn flush(&self, file: u64) -> String {
        format!("{} {file}", self.fsync_mode)
    }

    fn data(&self, calls: &mut Vec<String>, is_read: bool, file: u64, offset: u64, length: u64) {
        let verb = if is_read { "read" } else { "write" };
        calls.push(format!("{verb} {file} {offset} {length}"));
        if self.fsync_all && !is_read {
            calls.push(self.flush(file));
        }
    }

    fn sequential(&self) -> Vec<String> {
        let mut calls = Vec::new();
        let step = self.block * self.merged.max(1);
        for file in 0..self.files {
            let mut offset = 0;
            while offset < self.file_size {
                let length = step.min(self.file_size - offset);
                self.data(&mut calls, !self.writes(), file, offset, length);
                offset += step;
            }
        }
        calls
    }

    fn random(&self) -> Vec<String> {
        let mut calls = Vec::new();
        let mut x: u128 = self
            .seed
            .map_or(0, |seed| u128::from(seed) * 65536 + 0x330E);
        let (mut reads, mut writes) = (0, 0);
        let mut written_since_round = false;
        for n in 0..self.requests {
            if self.fsync_freq > 0
                && !self.fsync_all
                && n % self.fsync_freq == 0
                && written_since_round
            {
                calls.extend((0..self.files).map(|file| self.flush(file)));
                written_since_round = false;
            }
            let is_read = match self.mode {
                "rndrd" => true,
                "rndwr" => false,
                _ => f64::from(reads + 1) / f64::from(writes + 1) < self.ratio,
            };
            if is_read {
                reads += 1;
            } else {
                writes += 1;
                written_since_round = true;
            }
            x = (x * 0x5DEECE66D + 11) % (1 << 48);
            let draw = ((x >> 17) % 0x3fffffff) as f64;
            let position =
                (draw / f64::from(0x3fffffff) * (self.files * self.file_size) as f64) as u64;
            let position = position / self.block * self.block;
            let (file, offset) = (position / self.file_size, position % self.file_size);
            self.data(&mut calls, is_read, file, offset, self.block);
        }
        calls
    }
}

/// A directory with the files of a model.
fn prepared(model: &Model) -> TempDir {
    let folder = folder();
    wbench(folder.path(), &format!("fileio prepare {}", model.words()))
        .assert()
        .success()
        .stdout(is_empty());
    folder
}

#[track_caller]
fn assert_that_calls_are_those_of(model: Model) {
    let folder = prepared(&model);
    let words = format!("fileio run --mode {} {}", model.mode, model.words());
    let run = traced(folder.path(), &words, &[]);
    assert_ended(&run.output, 0);
    let (got, want) = (run.data_calls(), model.calls());
    let differs = got.iter().zip(&want).position(|(got, want)| got != want);
    if let Some(i) = differs {
        panic!("{words}: call {i} is '{}', expected '{}'", got[i], want[i]);
    }
    assert_eq!(got.len(), want.len(), "{words}");
}

#[test]
fn sequential_modes_access_the_files_in_order_and_sync_what_they_wrote() {
    for mode in ["seqwr", "seqrewr", "seqrd"] {
        assert_that_calls_are_those_of(Model {
            mode,
            fsync_end: true,
            ..MODEL
        });
    }
}

#[test]
fn merged_requests_end_at_the_end_of_a_file() {
    for mode in ["seqrewr", "seqrd"] {
        assert_that_calls_are_those_of(Model {
            mode,
            merged: 3,
            ..MODEL
        });
    }
}

#[test]
fn random_modes_follow_the_c_librarys_generator_with_periodic_fsyncs() {
    for mode in ["rndrd", "rndwr", "rndrw"] {
        assert_that_calls_are_those_of(Model {
            mode,
            fsync_freq: 7,
            fsync_end: true,
            ..MODEL
        });
    }
}

#[test]
fn reads_and_writes_have_the_requested_ratio() {
    for ratio in [0.0, 0.3, 4.0] {
        assert_that_calls_are_those_of(Model {
            mode: "rndrw",
            ratio,
            fsync_freq: 10,
            ..MODEL
        });
    }
}

#[test]
fn fsync_all_syncs_after_each_write_and_disables_the_other_fsyncs() {
    for mode in ["rndrw", "seqrewr"] {
        assert_that_calls_are_those_of(Model {
            mode,
            fsync_all: true,
            fsync_freq: 5,
            fsync_end: true,
            ..MODEL
        });
    }
}

#[test]
fn fdatasync_replaces_fsync() {
    assert_that_calls_are_those_of(Model {
        mode: "rndwr",
        fsync_mode: "fdatasync",
        fsync_freq: 20,
        fsync_end: true,
        ..MODEL
    });
}

#[test]
fn a_seed_selects_another_reproducible_stream() {
    let seeded = Model {
        mode: "rndwr",
        seed: Some(12345),
        ..MODEL
    };
    assert_that_calls_are_those_of(seeded);
    assert_ne!(
        seeded.calls(),
        Model {
            seed: None,
            ..seeded
        }
        .calls()
    );
}

#[test]
fn odd_sizes_follow_the_same_rule() {
    for (files, file_size, block, requests) in [
        (1, 512, 512, 5),
        (7, 3 * 1536, 1536, 100),
        (128, 4096, 4096, 200),
    ] {
        assert_that_calls_are_those_of(Model {
            mode: "rndrw",
            files,
            file_size,
            block,
            requests,
            fsync_freq: 50,
            fsync_end: true,
            ..MODEL
        });
    }
}

#[test]
fn several_threads_together_make_each_call_of_the_stream_once() {
    for (mode, fsync_freq) in [("rndrw", 13), ("seqrewr", 0)] {
        let model = Model {
            mode,
            fsync_freq,
            fsync_end: true,
            ..MODEL
        };
        let folder = prepared(&model);
        let words = format!("fileio run --mode {mode} --threads 3 {}", model.words());
        let run = traced(folder.path(), &words, &[]);
        assert_ended(&run.output, 0);
        let (mut got, mut want) = (run.data_calls(), model.calls());
        got.sort();
        want.sort();
        assert_eq!(got, want, "{mode}");
    }
}

#[test]
fn a_run_that_hits_its_time_limit_makes_no_final_fsyncs() {
    let model = Model {
        mode: "rndwr",
        fsync_end: true,
        requests: 0,
        ..MODEL
    };
    let folder = prepared(&model);
    let words = format!(
        "fileio run --mode rndwr --time 0.2 {} --json r.json",
        model.words()
    );
    let run = traced(folder.path(), &words, &[]);
    assert_ended(&run.output, 0);
    let calls = run.data_calls();
    assert!(!calls.is_empty());
    assert!(
        calls.iter().all(|call| call.starts_with("write")),
        "an fsync"
    );
    let result = result_in(&folder.path().join("r.json"));
    assert_eq!(result["ended_by"], "time");
    assert_eq!(result["totals"]["writes"], calls.len());
}

#[test]
fn the_figures_match_the_calls_made() {
    let model = Model {
        mode: "rndrw",
        fsync_freq: 9,
        fsync_end: true,
        ..MODEL
    };
    let folder = prepared(&model);
    let result = result_of(
        folder.path(),
        &format!("fileio run --mode rndrw {}", model.words()),
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
fn every_file_is_opened_with_exactly_the_requested_flags() {
    let model = Model {
        mode: "rndrw",
        requests: 5,
        ..MODEL
    };
    let folder = prepared(&model);
    for (flags, present) in [
        ("none", None),
        ("sync", Some("O_SYNC")),
        ("dsync", Some("O_DSYNC")),
        ("direct", Some("O_DIRECT")),
    ] {
        let words = format!("fileio run --mode rndrw {}", model.words())
            .replace("--flags none", &format!("--flags {flags}"));
        let run = traced(folder.path(), &words, &[]);
        assert_ended(&run.output, 0);
        let opens: Vec<&str> = run
            .of_test_files("openat")
            .into_iter()
            .filter(|line| line.contains("O_RDWR"))
            .collect();
        assert_eq!(opens.len(), 3, "{opens:?}");
        for open in opens {
            for flag in ["O_SYNC", "O_DSYNC", "O_DIRECT"] {
                assert_eq!(
                    open.contains(flag),
                    present == Some(flag),
                    "{flags}: {open}"
                );
            }
        }
    }
}

#[test]
fn the_whole_job_creates_its_files_and_leaves_the_directory_unchanged() {
    for mode in ["seqwr", "seqrewr", "seqrd", "rndrd", "rndwr", "rndrw"] {
        for flags in ["direct", "none"] {
            let folder = folder();
            fs::write(folder.path().join("mine"), "precious").unwrap();
            fs::write(folder.path().join("test_file.3"), "not of this set").unwrap();
            let words = format!(
                "fileio --mode {mode} --flags {flags} --files 3 --total-size 96K --events 20"
            );
            let result = result_of(folder.path(), &words);
            assert_eq!(result["status"], "complete", "{words}");
            assert_eq!(result["totals"]["events"], 20, "{words}");
            assert_eq!(names_in(folder.path()), ["mine", "test_file.3"], "{words}");
        }
    }
}

#[test]
fn the_directory_can_be_chosen() {
    let (here, there) = (folder(), folder());
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
    let folder = folder();
    let set = "--files 2 --total-size 64K --events 5";
    wbench(
        folder.path(),
        &format!("fileio --mode seqwr --keep {set}").replace(" --events 5", ""),
    )
    .assert()
    .success();
    assert_eq!(names_in(folder.path()), ["test_file.0", "test_file.1"]);
    wbench(folder.path(), &format!("fileio run --mode rndrw {set}"))
        .assert()
        .success();
    // The job does not remove files that existed before.
    wbench(folder.path(), &format!("fileio --mode rndrw {set}"))
        .assert()
        .success();
    assert_eq!(names_in(folder.path()), ["test_file.0", "test_file.1"]);
    wbench(folder.path(), "fileio cleanup --files 2")
        .assert()
        .success();
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn the_whole_job_completes_a_set_with_a_missing_file_and_keeps_existing_files() {
    let folder = prepared(&MODEL);
    let missing = folder.path().join("test_file.1");
    fs::remove_file(&missing).unwrap();
    let inode = |file: &str| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(folder.path().join(file)).unwrap().ino()
    };
    let before = inode("test_file.0");
    let whole = format!("fileio --mode rndrd {}", MODEL.words());
    wbench(folder.path(), &whole).assert().success();
    assert_eq!(names_in(folder.path()), ["test_file.0", "test_file.2"]);
    assert_eq!(inode("test_file.0"), before);
    wbench(folder.path(), &format!("{whole} --keep"))
        .assert()
        .success();
    assert!(missing.exists());
    let run = format!("fileio run --mode rndrd {}", MODEL.words());
    wbench(folder.path(), &run).assert().success();
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
fn endless(folder: &Path, mode: &str) -> Running {
    let words = format!(
        "fileio {mode} --files 2 --total-size 64K --events 0 --time 0 --report-interval 0.05"
    );
    let run = Running::wbench(folder, &words);
    run.wait_for("events/s");
    run
}

#[track_caller]
fn assert_refused(folder: &Path, words: &str, holder: &Running) {
    let refused = wbench(folder, words).output().unwrap();
    assert_ended(&refused, 1);
    let message = text(&refused.stderr);
    let holder = format!("are in use by process {}", holder.pid());
    assert!(message.contains(&holder), "{words}: {message}");
}

#[test]
fn a_set_being_written_is_refused_to_every_other_process() {
    let folder = folder();
    let whole = endless(folder.path(), "--mode rndrw");
    for words in READERS.iter().chain(&WRITERS) {
        assert_refused(folder.path(), words, &whole);
    }
    whole.signal(nix::sys::signal::Signal::SIGINT);
    assert_ended(&whole.finish(), 130);
    // Neither the lock nor a refused process leaves files behind.
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn a_set_being_read_can_be_read_but_not_written_by_others() {
    let folder = folder();
    let prepare = "fileio prepare --files 2 --total-size 64K";
    wbench(folder.path(), prepare).assert().success();
    let mut reader = endless(folder.path(), "run --mode rndrd");
    for words in READERS {
        wbench(folder.path(), words).assert().success();
    }
    for words in WRITERS {
        assert_refused(folder.path(), words, &reader);
    }
    // The kernel releases the lock of a killed process.
    reader.kill();
    let cleanup = "fileio cleanup --files 2 --total-size 64K";
    wbench(folder.path(), cleanup).assert().success();
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn a_directory_that_cannot_be_locked_is_used_with_a_warning() {
    for errno in ["ENOLCK", "ENOSYS", "EOPNOTSUPP"] {
        let folder = folder();
        let words = "fileio --mode rndrw --events 10 --files 2 --total-size 64K";
        let fault = format!("inject=flock:error={errno}");
        let run = traced(folder.path(), words, &["trace=flock", &fault]);
        assert_ended(&run.output, 0);
        let message = text(&run.output.stderr);
        assert!(message.contains("cannot be locked"), "{message}");
    }
}

#[test]
fn cleanup_of_an_empty_directory_is_not_an_error() {
    wbench(folder().path(), "fileio cleanup").assert().success();
}

#[test]
fn missing_and_short_files_are_named_before_the_run() {
    let folder = prepared(&MODEL);
    let run = format!("fileio run --mode rndrd {}", MODEL.words());
    fs::File::options()
        .write(true)
        .open(folder.path().join("test_file.1"))
        .unwrap()
        .set_len(100)
        .unwrap();
    wbench(folder.path(), &run)
        .assert()
        .code(1)
        .stdout(is_empty())
        .stderr(contains(
            "test_file.1 is too small: 100 bytes instead of 32768",
        ));
    fs::remove_file(folder.path().join("test_file.1")).unwrap();
    wbench(folder.path(), &run)
        .assert()
        .code(1)
        .stdout(is_empty())
        .stderr(contains("test_file.1 is missing").and(contains("prepare")));
}

#[test]
fn unrelated_files_are_neither_read_nor_written_nor_removed() {
    let folder = folder();
    let foreign = vec![7; 32 << 10];
    fs::write(folder.path().join("test_file.0"), &foreign).unwrap();
    for step in [
        "--mode seqwr",
        "--mode rndrw",
        "prepare",
        "run --mode rndrd",
        "cleanup",
    ] {
        let words = format!("fileio {step} --files 2 --total-size 64K");
        wbench(folder.path(), &words)
            .assert()
            .code(1)
            .stderr(contains("test_file.0"));
        assert_eq!(
            fs::read(folder.path().join("test_file.0")).unwrap(),
            foreign,
            "{step}"
        );
        assert_eq!(names_in(folder.path()), ["test_file.0"], "{step}");
    }
}

#[test]
fn a_symbolic_link_is_neither_followed_nor_removed_in_either_dialect() {
    let folder = folder();
    let target = folder.path().join("precious");
    fs::write(&target, vec![7; 32 << 10]).unwrap();
    symlink("precious", folder.path().join("test_file.1")).unwrap();
    for words in [
        "fileio --mode seqwr --files 2 --total-size 64K",
        "fileio prepare --files 2 --total-size 64K",
        "fileio run --mode rndwr --files 2 --total-size 64K",
        "fileio cleanup --files 2",
        "--test=fileio --file-num=2 --file-total-size=64K prepare",
        "--test=fileio --file-num=2 --file-total-size=64K --file-test-mode=seqwr run",
        "--test=fileio --file-num=2 --file-total-size=64K --file-test-mode=rndrd run",
        "--test=fileio --file-num=2 cleanup",
    ] {
        wbench(folder.path(), words)
            .assert()
            .code(1)
            .stderr(contains("test_file.1").or(contains("test_file.0 is missing")));
        assert_eq!(fs::read(&target).unwrap(), vec![7; 32 << 10], "{words}");
        assert!(folder.path().join("test_file.1").is_symlink(), "{words}");
    }
}

#[test]
fn a_file_system_without_o_direct_is_an_error_that_says_what_to_do() {
    for (made_before, words) in [
        (true, "fileio run --mode rndrd --files 2 --total-size 64K"),
        (false, "fileio --mode seqwr --files 2 --total-size 64K"),
        (false, "fileio --mode rndrw --files 2 --total-size 64K"),
    ] {
        let prepare = match made_before {
            true => "$WBENCH fileio prepare --files 2 --total-size 64K || exit 98; ",
            false => "",
        };
        let in_ramfs = format!("{prepare}$WBENCH {words} --json ../r.json");
        let (output, left, result) = in_a_file_system("mount -t ramfs none mount", &in_ramfs);
        assert_ended(&output, 1);
        let message = text(&output.stderr);
        for part in ["O_DIRECT", "--flags none", "test_file.0"] {
            assert!(message.contains(part), "no '{part}' in {message}");
        }
        assert_eq!(result.unwrap()["status"], "failed", "{words}");
        let kept = if made_before {
            "test_file.0\ntest_file.1\n"
        } else {
            ""
        };
        assert_eq!(left, kept, "{words}");
    }
    let (output, left, _) = in_a_file_system(
        "mount -t ramfs none mount",
        "$WBENCH fileio --mode rndrw --files 2 --total-size 64K --flags none && $WBENCH env",
    );
    assert_ended(&output, 0);
    assert!(text(&output.stdout).contains("does not support O_DIRECT"));
    assert_eq!(left, "");
}

#[test]
fn a_low_soft_limit_of_descriptors_is_raised_and_a_low_hard_limit_refused() {
    let folder = folder();
    let run = |limit: &str| {
        let mut command = tool("prlimit");
        command
            .arg(format!("--nofile={limit}"))
            .arg(WBENCH)
            .args("fileio --mode rndrw --files 100 --total-size 400K --events 10".split(' '))
            .current_dir(folder.path());
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
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn a_failed_or_short_request_ends_the_run_with_file_and_offset_and_a_failed_result() {
    for (mode, inject, doing, why) in [
        (
            "seqrd",
            "inject=pread64:error=EIO:when=4",
            "reading",
            "I/O error",
        ),
        (
            "seqrd",
            "inject=pread64:retval=100:when=4",
            "reading",
            "only 100 bytes",
        ),
        (
            "seqrewr",
            "inject=pwrite64:error=EIO:when=4",
            "writing",
            "I/O error",
        ),
        (
            "seqrewr",
            "inject=pwrite64:error=ENOSPC:when=4",
            "writing",
            "no space left",
        ),
        (
            "seqrewr",
            "inject=pwrite64:retval=512:when=4",
            "writing",
            "only 512 bytes",
        ),
        (
            "seqrewr",
            "inject=fdatasync:error=EIO:when=1",
            "fdatasync",
            "I/O error",
        ),
    ] {
        let model = Model {
            mode,
            fsync_end: true,
            fsync_mode: "fdatasync",
            ..MODEL
        };
        let folder = prepared(&model);
        let words = format!("fileio run --mode {mode} {} --json r.json", model.words());
        let run = traced(folder.path(), &words, &[inject]);
        assert_ended(&run.output, 1);
        let message = text(&run.output.stderr);
        // The 4th request is at offset 3 * 4096.
        let place = match doing {
            "fdatasync" => "test_file.0".to_owned(),
            _ => "offset 12288 of ./test_file.0".to_owned(),
        };
        for part in [doing, &place, why] {
            assert!(message.contains(part), "{inject}: no '{part}' in {message}");
        }
        let result = result_in(&folder.path().join("r.json"));
        assert_eq!(result["status"], "failed", "{inject}");
        assert_eq!(result["ended_by"], "error", "{inject}");
        assert!(result["error"].as_str().unwrap().contains(why), "{inject}");
        let done = if doing == "fdatasync" { 24 } else { 3 };
        assert_eq!(result["totals"]["events"], done, "{inject}");
        assert!(text(&run.output.stdout).contains("FAILED"));
    }
}

#[test]
fn a_call_interrupted_by_a_signal_is_retried() {
    let model = Model {
        mode: "seqrd",
        ..MODEL
    };
    let folder = prepared(&model);
    let words = format!("fileio run --mode seqrd {}", model.words());
    let run = traced(
        folder.path(),
        &words,
        &["inject=pread64:error=EINTR:when=4"],
    );
    assert_ended(&run.output, 0);
    let mut want = model.calls();
    want.insert(3, want[3].clone());
    assert_eq!(run.data_calls(), want);
}

#[test]
fn a_failed_request_in_the_sysbench_dialect_is_fatal_with_exit_status_1() {
    let folder = folder();
    let set = "--test=fileio --file-num=2 --file-total-size=64K --file-block-size=4K";
    wbench(folder.path(), &format!("{set} prepare"))
        .assert()
        .success();
    for mode in ["rndrd", "seqrd"] {
        let words = format!("{set} --file-test-mode={mode} run");
        let run = traced(folder.path(), &words, &["inject=pread64:error=EIO:when=3"]);
        assert_ended(&run.output, 1);
        let message = text(&run.output.stderr);
        assert!(
            message.starts_with("FATAL: reading 4096 bytes at offset "),
            "{message}"
        );
    }
}

#[test]
fn a_failure_in_prepare_leaves_nothing_behind_in_either_dialect() {
    for words in [
        "fileio prepare --files 3 --total-size 96K",
        "fileio --mode rndrd --files 3 --total-size 96K",
        "--test=fileio --file-num=3 --file-total-size=96K prepare",
    ] {
        let folder = folder();
        let run = traced(
            folder.path(),
            words,
            &["inject=pwrite64:error=ENOSPC:when=1"],
        );
        assert_ended(&run.output, 1);
        let message = text(&run.output.stderr);
        assert!(
            message.contains("test_file.") && message.contains("no space left"),
            "{message}"
        );
        assert_eq!(names_in(folder.path()), [""; 0], "{words}");
    }
}

/// Runs shell commands in the root of a separate file system, mounted on `mount` by `mounting` and
/// gone afterwards. Returns how they ended, the names left in it, and the result in `../r.json`, if
/// any.
fn in_a_file_system(mounting: &str, words: &str) -> (std::process::Output, String, Option<Value>) {
    let folder = folder();
    fs::create_dir(folder.path().join("mount")).unwrap();
    let mut command = tool("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
        .args(["--mount", "sh", "-c"])
        .arg(format!(
            "{mounting} || exit 99; cd mount; {words}; code=$?; ls -A > ../left; exit $code"
        ))
        .env("WBENCH", WBENCH)
        .current_dir(folder.path());
    let output = Running::start(command).finish();
    assert_ne!(
        output.status.code(),
        Some(99),
        "a file system can't be mounted, which this test needs: {}",
        text(&output.stderr)
    );
    let left = fs::read_to_string(folder.path().join("left")).expect("the shell got so far");
    let result = fs::read(folder.path().join("r.json")).ok();
    (output, left, result.map(|result| parsed(&result)))
}

/// Shell commands that mount a file system of a few megabytes: ext4 on a loop device for root,
/// otherwise a tmpfs, which a user namespace permits.
fn mounting_of_a_small_file_system() -> &'static str {
    match nix::unistd::geteuid().is_root() {
        true => {
            "PATH=$PATH:/usr/sbin:/sbin; mkfs.ext4 -q image 8M && mount -o loop image mount && \
             rmdir mount/lost+found"
        }
        false => "mount -t tmpfs -o size=8M none mount",
    }
}

#[test]
fn a_disk_full_in_prepare_is_reported_and_the_files_are_removed() {
    for words in [
        "fileio prepare --files 4 --total-size 64M",
        "fileio --mode seqrd --files 4 --total-size 64M --flags none",
        "--test=fileio --file-num=4 --file-total-size=64M prepare",
    ] {
        let (output, left, _) = in_a_file_system(
            mounting_of_a_small_file_system(),
            &format!("$WBENCH {words}"),
        );
        assert_ended(&output, 1);
        let message = text(&output.stderr);
        assert!(
            message.contains("test_file.") && message.contains("no space left"),
            "{message}"
        );
        assert_eq!(left, "", "{words}");
    }
}

#[test]
fn a_disk_full_during_the_run_fails_it_and_the_files_are_removed() {
    let words = "fileio --mode seqwr --files 4 --total-size 64M --flags none";
    let (output, left, _) = in_a_file_system(
        mounting_of_a_small_file_system(),
        &format!("$WBENCH {words}"),
    );
    assert_ended(&output, 1);
    assert!(text(&output.stderr).contains("no space left"));
    assert!(text(&output.stdout).contains("FAILED"));
    assert_eq!(left, "");
}

#[test]
fn written_data_is_incompressible_and_every_block_is_unique() {
    let model = Model {
        mode: "seqwr",
        ..MODEL
    };
    let folder = folder();
    wbench(
        folder.path(),
        &format!("fileio --mode seqwr --keep {}", model.words()),
    )
    .assert()
    .success();
    let mut blocks = std::collections::BTreeSet::new();
    for file in 0..model.files {
        let data = fs::read(folder.path().join(format!("test_file.{file}"))).unwrap();
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
    let folder = folder();
    let result = result_of(
        folder.path(),
        "fileio --mode rndrw --files 2 --total-size 64K --events 5 --rw-ratio 2 --fsync-mode fdatasync",
    );
    assert_eq!(
        result["storage"]["path"],
        folder.path().canonicalize().unwrap().to_str().unwrap()
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
    let folder = folder();
    let warns = |words: &str| {
        let words = format!("fileio {words} --files 2 --total-size 64K --block-size 4K");
        let result = result_of(folder.path(), &words);
        let warnings = result["warnings"].as_array().unwrap().iter();
        let codes: Vec<_> = warnings.map(|it| it["code"].as_str().unwrap()).collect();
        codes.contains(&"unflushed-writes")
    };
    let never = "--events 20 --fsync-freq 0 --fsync-end off";
    for (words, expected) in [
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
        assert_eq!(warns(&words), expected, "{words}");
    }
}
