//! Real file systems: ext4 and XFS in images of their own, and tmpfs. Needs root, mkfs and a free
//! loop device, and fails where one is missing.

mod storage;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use storage::{BACKENDS, Bench, End, MODES, Mounted};

const MIB: u64 = 1 << 20;

/// Blocks in the set of the matrix: 4 files of 30.
const BLOCKS: u64 = 120;
const SET: &str = "--files 4 --total-size 480K --validate --fsync-freq 50";

/// Runs every mode by every backend with these flags, on 1 and 4 threads, on validated files, and
/// compares all counts.
fn all_modes_and_backends(folder: &Path, flags: &str) {
    let bench = Bench::on(folder);
    bench
        .fileio(&format!("prepare {SET} --quiet"))
        .succeeded("prepare");
    for io in BACKENDS {
        for threads in [1, 4] {
            for mode in MODES {
                let what = format!("{mode} {io} {flags} {threads} threads");
                bench
                    .run(&format!(
                        "{SET} --mode {mode} --io {io} --flags {flags} --threads {threads} --events 120"
                    ))
                    .succeeded(&what);
                let totals = &bench.result()["totals"];
                let count = |name: &str| totals[name].as_u64().expect(name);
                // The ratio of 1.5 makes 3 reads to 2 writes.
                let (reads, writes) = match mode {
                    "seqrd" | "rndrd" => (BLOCKS, 0),
                    "rndrw" => (72, 48),
                    _ => (0, BLOCKS),
                };
                assert_eq!((count("reads"), count("writes")), (reads, writes), "{what}");
                assert_eq!(count("events"), BLOCKS, "{what}");
                assert_eq!(count("bytes_read"), reads * 4096, "{what}");
                assert_eq!(count("bytes_written"), writes * 4096, "{what}");
                // Of 4 files each: at the end; in random modes also after 50 and 100 requests.
                let fsyncs = match mode {
                    "seqrd" | "rndrd" => 0,
                    "seqwr" | "seqrewr" => 4,
                    _ => 12,
                };
                assert_eq!(count("fsyncs"), fsyncs, "{what}");
            }
        }
    }
    bench.fileio("cleanup --files 4").succeeded("cleanup");
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn ext4_through_the_cache_serves_all_modes_and_backends() {
    all_modes_and_backends(&Mounted::made("ext4", 64 * MIB, "rw").path(), "none");
}

#[test]
fn ext4_with_o_direct_serves_all_modes_and_backends() {
    all_modes_and_backends(&Mounted::made("ext4", 64 * MIB, "rw").path(), "direct");
}

#[test]
fn ext4_with_o_dsync_serves_all_modes_and_backends() {
    all_modes_and_backends(&Mounted::made("ext4", 64 * MIB, "rw").path(), "dsync");
}

#[test]
fn xfs_serves_all_modes_and_backends() {
    // The smallest that mkfs.xfs makes is 300 MiB.
    let xfs = Mounted::made("xfs", 300 * MIB, "rw");
    for flags in ["none", "direct", "dsync"] {
        all_modes_and_backends(&xfs.path(), flags);
    }
}

#[test]
fn tmpfs_serves_all_modes_and_backends() {
    let tmpfs = Mounted::tmpfs(64 * MIB);
    for flags in ["none", "direct", "dsync"] {
        all_modes_and_backends(&tmpfs.path(), flags);
    }
}

/// File systems too small for the sets that the tests put on them.
fn small() -> [Mounted; 2] {
    [
        Mounted::made("ext4", 16 * MIB, "rw"),
        Mounted::tmpfs(16 * MIB),
    ]
}

#[test]
fn a_disk_that_is_full_in_prepare_leaves_no_file() {
    for disk in small() {
        let bench = Bench::on(&disk.path());
        bench
            .fileio("prepare --files 4 --total-size 64M --quiet")
            .failed_with(
                &["test_file.", "no space left", "smaller total size"],
                "prepare",
            );
        assert_eq!(bench.names(), [""; 0]);
    }
}

#[test]
fn a_disk_that_is_full_in_seqwr_ends_every_backend_with_a_message_and_no_file() {
    for disk in small() {
        for io in BACKENDS {
            let bench = Bench::on(&disk.path());
            // The result lies on the disk that is full; it is written when the files are gone.
            let json = tempfile::NamedTempFile::new().expect("a place for the result");
            let words = format!(
                "--mode seqwr --files 4 --total-size 64M --block-size 64K --flags none --io {io} --quiet --json {}",
                json.path().display()
            );
            let end = bench.fileio(&words);
            let full = match io {
                "mmap" => "the disk is full",
                _ => "no space left",
            };
            end.failed_with(&["test_file.", full], io);
            assert_eq!(bench.names(), [""; 0], "{io}");
            let text = std::fs::read_to_string(json.path()).expect("a result file");
            let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(result["status"], "failed", "{io}");
        }
    }
}

#[test]
fn a_read_only_mount_refuses_what_writes_and_serves_what_reads() {
    let disk = Mounted::made("ext4", 32 * MIB, "rw");
    let bench = Bench::on(&disk.path());
    let set = "--files 2 --total-size 1M";
    bench
        .fileio(&format!("prepare {set} --quiet"))
        .succeeded("prepare");
    disk.remount("ro");
    for (words, told) in [
        ("prepare --recreate", &["test_file.", "Read-only"][..]),
        ("cleanup", &["test_file.", "Read-only"]),
        ("run --mode rndwr", &["test_file.", "Read-only"]),
        ("run --mode seqwr", &["test_file.", "Read-only"]),
    ] {
        bench
            .fileio(&format!("{words} {set} --quiet"))
            .failed_with(told, words);
    }
    for io in BACKENDS {
        bench
            .fileio(&format!(
                "run --mode rndrd --events 100 --io {io} {set} --quiet"
            ))
            .succeeded(io);
    }
    disk.remount("rw");
}

#[test]
fn a_limit_of_descriptors_is_raised_as_far_as_the_hard_one_allows() {
    let bench = Bench::new();
    let set = "--files 100 --total-size 400K --quiet";
    bench.fileio(&format!("prepare {set}")).succeeded("prepare");
    let limited = |limit: &str| -> End {
        Command::new("prlimit")
            .arg(limit)
            .arg(storage::wbench())
            .args(format!("fileio run --mode rndrd --events 100 {set} --dir").split(' '))
            .arg(&bench.dir)
            .output()
            .expect("prlimit is needed for this test")
            .into()
    };
    limited("--nofile=32:1000").succeeded("a low soft limit");
    limited("--nofile=32:100")
        .failed_with(&["100 test files", "164", "ulimit"], "a low hard limit");
}

#[test]
fn prepared_files_have_no_extent_that_is_not_written() {
    for disk in [
        Mounted::made("ext4", 128 * MIB, "rw"),
        Mounted::made("xfs", 300 * MIB, "rw"),
    ] {
        let bench = Bench::on(&disk.path());
        // 5 MiB and 512 bytes each: not a whole number of pieces, nor of pages.
        bench
            .fileio("prepare --files 4 --total-size 20973568 --block-size 512 --quiet")
            .succeeded("prepare");
        for file in 0..4 {
            let path = bench.file(file);
            assert_eq!(path.metadata().expect("a test file").len(), 5 * MIB + 512);
            let listed = Command::new("filefrag").arg("-v").arg(&path).output();
            let listed = listed.expect("filefrag is needed for this test");
            let text = String::from_utf8_lossy(&listed.stdout);
            assert!(
                text.contains("1 extent") || text.contains("extents found"),
                "{text}"
            );
            assert!(!text.contains("unwritten"), "{text}");
            assert!(!text.contains("delalloc"), "{text}");
        }
    }
}

/// Numbers that look random, and are the same each time.
fn moments() -> impl Iterator<Item = Duration> {
    let mut state = 12345u64;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        Duration::from_micros((state >> 40) % 200_000)
    })
}

#[test]
fn at_whatever_moment_a_signal_comes_no_half_result_and_no_promised_file_is_left() {
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL];
    let jobs = ["--mode rndrw", "--mode seqwr", "--mode rndwr"];
    for (number, moment) in moments().take(51).enumerate() {
        let signal = signals[number % 3];
        let io = BACKENDS[number % 4];
        let bench = Bench::new();
        let words = format!(
            "{} --io {io} --files 8 --total-size 32M --events 0 --time 30 --quiet --json {}",
            jobs[number / 3 % 3],
            bench.json().display()
        );
        let what = format!("{words} {signal} after {moment:?}");
        let child = bench.start(&words);
        std::thread::sleep(moment);
        kill(Pid::from_raw(child.id() as i32), signal).expect("a signal sent");
        let end = End::from(child.wait_with_output().expect("an end"));
        let beside = std::fs::read_dir(bench.json().parent().expect("a folder"));
        let beside: Vec<String> = beside
            .expect("the folder of the result")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        if bench.json().exists() {
            let status = bench.result()["status"].clone();
            assert!(
                status == "interrupted" || status == "complete",
                "{what}: {status}"
            );
        }
        if signal == Signal::SIGKILL {
            // What is left is known as this program's: the folder can be cleaned, and used again.
            bench.fileio("cleanup --files 8").succeeded(&what);
        } else {
            // Before the program watches for signals, the signal ends it as any other.
            let early = end.signal == Some(signal as i32);
            let done = end.status == Some(0);
            let caught = end.status == Some(128 + signal as i32);
            assert!(early || done || caught, "{what}: {end:?}");
            assert!(!early || !bench.json().exists(), "{what}");
            assert!(early || bench.json().exists(), "{what}: {end:?}");
            let leftover = beside.iter().find(|name| name.starts_with(".wbench-"));
            assert_eq!(leftover, None, "{what}");
        }
        assert_eq!(bench.names(), [""; 0], "{what}");
    }
}
