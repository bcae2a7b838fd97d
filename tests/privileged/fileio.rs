//! The file I/O test: its system calls, failed calls and full file systems.

use std::fs;

use serde_json::Value;

use crate::common::requests::{MODEL, Model, prepared};
use crate::common::{
    Running, WBENCH, assert_ended, names_in, parsed, result_in, temp_dir, text, tool, traced,
    wbench,
};

#[track_caller]
fn assert_that_calls_are_those_of(model: Model) {
    let directory = prepared(&model);
    let args = format!("fileio run --mode {} {}", model.mode, model.args());
    let run = traced(directory.path(), &args, &[]);
    assert_ended(&run.output, 0);
    let (got, want) = (run.data_calls(), model.calls());
    let differs = got.iter().zip(&want).position(|(got, want)| got != want);
    if let Some(i) = differs {
        panic!("{args}: call {i} is '{}', expected '{}'", got[i], want[i]);
    }
    assert_eq!(got.len(), want.len(), "{args}");
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
        let directory = prepared(&model);
        let args = format!("fileio run --mode {mode} --threads 3 {}", model.args());
        let run = traced(directory.path(), &args, &[]);
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
    let directory = prepared(&model);
    let args = format!(
        "fileio run --mode rndwr --time 0.2 {} --json r.json",
        model.args()
    );
    let run = traced(directory.path(), &args, &[]);
    assert_ended(&run.output, 0);
    let calls = run.data_calls();
    assert!(!calls.is_empty());
    assert!(
        calls.iter().all(|call| call.starts_with("write")),
        "an fsync"
    );
    let result = result_in(&directory.path().join("r.json"));
    assert_eq!(result["ended_by"], "time");
    assert_eq!(result["totals"]["writes"], calls.len());
}

#[test]
fn every_file_is_opened_with_exactly_the_requested_flags() {
    let model = Model {
        mode: "rndrw",
        requests: 5,
        ..MODEL
    };
    let directory = prepared(&model);
    for (flags, present) in [
        ("none", None),
        ("sync", Some("O_SYNC")),
        ("dsync", Some("O_DSYNC")),
        ("direct", Some("O_DIRECT")),
    ] {
        let args = format!("fileio run --mode rndrw {}", model.args())
            .replace("--flags none", &format!("--flags {flags}"));
        let run = traced(directory.path(), &args, &[]);
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
fn a_directory_that_cannot_be_locked_is_used_with_a_warning() {
    for errno in ["ENOLCK", "ENOSYS", "EOPNOTSUPP"] {
        let directory = temp_dir();
        let args = "fileio --mode rndrw --events 10 --files 2 --total-size 64K";
        let fault = format!("inject=flock:error={errno}");
        let run = traced(directory.path(), args, &["trace=flock", &fault]);
        assert_ended(&run.output, 0);
        let message = text(&run.output.stderr);
        assert!(message.contains("cannot be locked"), "{message}");
    }
}

#[test]
fn a_file_system_without_o_direct_is_an_error_that_says_what_to_do() {
    for (made_before, args) in [
        (true, "fileio run --mode rndrd --files 2 --total-size 64K"),
        (false, "fileio --mode seqwr --files 2 --total-size 64K"),
        (false, "fileio --mode rndrw --files 2 --total-size 64K"),
    ] {
        let prepare = match made_before {
            true => "$WBENCH fileio prepare --files 2 --total-size 64K || exit 98; ",
            false => "",
        };
        let in_ramfs = format!("{prepare}$WBENCH {args} --json ../r.json");
        let (output, left, result) = in_a_file_system("mount -t ramfs none mount", &in_ramfs);
        assert_ended(&output, 1);
        let message = text(&output.stderr);
        for part in ["O_DIRECT", "--flags none", "test_file.0"] {
            assert!(message.contains(part), "no '{part}' in {message}");
        }
        assert_eq!(result.unwrap()["status"], "failed", "{args}");
        let kept = if made_before {
            "test_file.0\ntest_file.1\n"
        } else {
            ""
        };
        assert_eq!(left, kept, "{args}");
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
        let directory = prepared(&model);
        let args = format!("fileio run --mode {mode} {} --json r.json", model.args());
        let run = traced(directory.path(), &args, &[inject]);
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
        let result = result_in(&directory.path().join("r.json"));
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
    let directory = prepared(&model);
    let args = format!("fileio run --mode seqrd {}", model.args());
    let run = traced(
        directory.path(),
        &args,
        &["inject=pread64:error=EINTR:when=4"],
    );
    assert_ended(&run.output, 0);
    let mut want = model.calls();
    want.insert(3, want[3].clone());
    assert_eq!(run.data_calls(), want);
}

#[test]
fn a_failed_request_in_the_sysbench_dialect_is_fatal_with_exit_status_1() {
    let directory = temp_dir();
    let set = "--test=fileio --file-num=2 --file-total-size=64K --file-block-size=4K";
    wbench(directory.path(), &format!("{set} prepare"))
        .assert()
        .success();
    for mode in ["rndrd", "seqrd"] {
        let args = format!("{set} --file-test-mode={mode} run");
        let run = traced(
            directory.path(),
            &args,
            &["inject=pread64:error=EIO:when=3"],
        );
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
    for args in [
        "fileio prepare --files 3 --total-size 96K",
        "fileio --mode rndrd --files 3 --total-size 96K",
        "--test=fileio --file-num=3 --file-total-size=96K prepare",
    ] {
        let directory = temp_dir();
        let run = traced(
            directory.path(),
            args,
            &["inject=pwrite64:error=ENOSPC:when=1"],
        );
        assert_ended(&run.output, 1);
        let message = text(&run.output.stderr);
        assert!(
            message.contains("test_file.") && message.contains("no space left"),
            "{message}"
        );
        assert_eq!(names_in(directory.path()), [""; 0], "{args}");
    }
}

/// Runs shell commands in the root of a separate file system, mounted on `mount` by `mounting` and
/// gone afterward. Returns how they ended, the names left in it, and the result in `../r.json`, if
/// any.
fn in_a_file_system(mounting: &str, args: &str) -> (std::process::Output, String, Option<Value>) {
    let directory = temp_dir();
    fs::create_dir(directory.path().join("mount")).unwrap();
    let mut command = tool("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
        .args(["--mount", "sh", "-c"])
        .arg(format!(
            "{mounting} || exit 99; cd mount; {args}; code=$?; ls -A > ../left; exit $code"
        ))
        .env("WBENCH", WBENCH)
        .current_dir(directory.path());
    let output = Running::start(command).finish();
    assert_ne!(
        output.status.code(),
        Some(99),
        "a file system can't be mounted, which this test needs: {}",
        text(&output.stderr)
    );
    let left = fs::read_to_string(directory.path().join("left")).expect("the shell got so far");
    let result = fs::read(directory.path().join("r.json")).ok();
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
    for args in [
        "fileio prepare --files 4 --total-size 64M",
        "fileio --mode seqrd --files 4 --total-size 64M --flags none",
        "--test=fileio --file-num=4 --file-total-size=64M prepare",
    ] {
        let (output, left, _) = in_a_file_system(
            mounting_of_a_small_file_system(),
            &format!("$WBENCH {args}"),
        );
        assert_ended(&output, 1);
        let message = text(&output.stderr);
        assert!(
            message.contains("test_file.") && message.contains("no space left"),
            "{message}"
        );
        assert_eq!(left, "", "{args}");
    }
}

#[test]
fn a_disk_full_during_the_run_fails_it_and_the_files_are_removed() {
    let args = "fileio --mode seqwr --files 4 --total-size 64M --flags none";
    let (output, left, _) = in_a_file_system(
        mounting_of_a_small_file_system(),
        &format!("$WBENCH {args}"),
    );
    assert_ended(&output, 1);
    assert!(text(&output.stderr).contains("no space left"));
    assert!(text(&output.stdout).contains("FAILED"));
    assert_eq!(left, "");
}
