//! Real file systems: ext4 and XFS in images, and tmpfs. Requires root, mkfs and a free loop
//! device; fails if one is missing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::storage::{BACKENDS, Bench, End, MODES, Mounted};
use crate::common::{WBENCH, text, tool};
use nix::sys::signal::Signal;

const MIB: u64 = 1 << 20;

/// Blocks in the set of the matrix: 4 files of 30.
const BLOCKS: u64 = 120;
const SET: &str = "--files 4 --total-size 480K --validate --fsync-freq 50";

/// Runs every mode with every I/O engine and these flags, on 1 and 4 threads, on validated files,
/// and checks all counts.
fn all_modes_and_backends(directory: &Path, flags: &str) {
    let bench = Bench::on(directory);
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
                // A ratio of 1.5 gives 3 reads to 2 writes.
                let (reads, writes) = match mode {
                    "seqrd" | "rndrd" => (BLOCKS, 0),
                    "rndrw" => (72, 48),
                    _ => (0, BLOCKS),
                };
                assert_eq!((count("reads"), count("writes")), (reads, writes), "{what}");
                assert_eq!(count("events"), BLOCKS, "{what}");
                assert_eq!(count("bytes_read"), reads * 4096, "{what}");
                assert_eq!(count("bytes_written"), writes * 4096, "{what}");
                // For 4 files each: at the end; in random modes also after 50 and 100 requests.
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
fn ext4_through_the_page_cache_supports_all_modes_and_engines() {
    all_modes_and_backends(&Mounted::made("ext4", 64 * MIB, "rw").path(), "none");
}

#[test]
fn ext4_with_o_direct_supports_all_modes_and_engines() {
    all_modes_and_backends(&Mounted::made("ext4", 64 * MIB, "rw").path(), "direct");
}

#[test]
fn ext4_with_o_dsync_supports_all_modes_and_engines() {
    all_modes_and_backends(&Mounted::made("ext4", 64 * MIB, "rw").path(), "dsync");
}

#[test]
fn xfs_supports_all_modes_and_engines() {
    // mkfs.xfs creates no file system smaller than 300 MiB.
    let xfs = Mounted::made("xfs", 300 * MIB, "rw");
    for flags in ["none", "direct", "dsync"] {
        all_modes_and_backends(&xfs.path(), flags);
    }
}

#[test]
fn tmpfs_supports_all_modes_and_engines() {
    let tmpfs = Mounted::tmpfs(64 * MIB);
    for flags in ["none", "direct", "dsync"] {
        all_modes_and_backends(&tmpfs.path(), flags);
    }
}

/// File systems too small for the sets that the tests create on them.
fn small() -> [Mounted; 2] {
    [
        Mounted::made("ext4", 16 * MIB, "rw"),
        Mounted::tmpfs(16 * MIB),
    ]
}

#[test]
fn a_disk_full_in_prepare_leaves_no_file() {
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
fn a_file_larger_than_the_file_system_supports_is_refused_before_anything_is_written() {
    let disk = Mounted::made("ext4", 16 * MIB, "rw");
    let bench = Bench::on(&disk.path());
    bench
        .fileio("prepare --files 1 --total-size 100T --quiet")
        .failed_with(
            &["reserving", "test_file.0", "file too large", "--files"],
            "prepare",
        );
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn a_disk_full_in_seqwr_ends_every_engine_with_a_message_and_no_file() {
    for disk in small() {
        for io in BACKENDS {
            let bench = Bench::on(&disk.path());
            // The result is on the full disk; it is written after the files are removed.
            let json = tempfile::NamedTempFile::new().expect("a place for the result");
            let args = format!(
                "--mode seqwr --files 4 --total-size 64M --block-size 64K --flags none --io {io} --quiet --json {}",
                json.path().display()
            );
            let end = bench.fileio(&args);
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
fn a_read_only_mount_refuses_writing_and_allows_reading_steps() {
    let disk = Mounted::made("ext4", 32 * MIB, "rw");
    let bench = Bench::on(&disk.path());
    let set = "--files 2 --total-size 1M";
    bench
        .fileio(&format!("prepare {set} --quiet"))
        .succeeded("prepare");
    disk.remount("ro");
    for (args, message) in [
        ("prepare --recreate", &["test_file.", "read-only"][..]),
        ("cleanup", &["test_file.", "read-only"]),
        ("run --mode rndwr", &["test_file.", "read-only"]),
        ("run --mode seqwr", &["test_file.", "read-only"]),
    ] {
        bench
            .fileio(&format!("{args} {set} --quiet"))
            .failed_with(message, args);
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
fn the_descriptor_limit_is_raised_up_to_the_hard_limit() {
    let bench = Bench::new();
    let set = "--files 100 --total-size 400K --quiet";
    bench.fileio(&format!("prepare {set}")).succeeded("prepare");
    let limited = |limit: &str| -> End {
        Command::new("prlimit")
            .arg(limit)
            .arg(WBENCH)
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
fn prepared_files_have_no_unwritten_extent() {
    for disk in [
        Mounted::made("ext4", 128 * MIB, "rw"),
        Mounted::made("xfs", 300 * MIB, "rw"),
    ] {
        let bench = Bench::on(&disk.path());
        // 5 MiB and 512 bytes each: a multiple neither of the piece size nor of the page size.
        bench
            .fileio("prepare --files 4 --total-size 20973568 --block-size 512 --quiet")
            .succeeded("prepare");
        for file in 0..4 {
            let path = bench.file(file);
            assert_eq!(path.metadata().expect("a test file").len(), 5 * MIB + 512);
            let listed = tool("filefrag").args(["-v", "-b512"]).arg(&path).output();
            let text = text(&listed.expect("filefrag runs").stdout);
            // In whole blocks of the file system, of at most 4 KiB.
            let listed = listed_sectors(&text) * 512;
            assert!((5 * MIB + 512..5 * MIB + 4608).contains(&listed), "{text}");
            assert!(!text.contains("unwritten"), "{text}");
            assert!(!text.contains("delalloc"), "{text}");
        }
    }
}

/// The sectors of 512 bytes in all extents that `filefrag -v -b512` lists, in lines such as
/// `   0:        0..   10247:     278528..    288775:  10248:             last,eof`.
fn listed_sectors(listing: &str) -> u64 {
    let extents = listing.lines().filter_map(|line| {
        let (number, rest) = line.split_once(':')?;
        number.trim().parse::<u32>().ok()?;
        rest.split(':').nth(2)?.trim().parse::<u64>().ok()
    });
    extents.sum()
}

/// Pseudo-random durations, the same in each run of the test.
fn delays() -> impl Iterator<Item = Duration> {
    let mut state = 12345u64;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        Duration::from_micros((state >> 40) % 200_000)
    })
}

/// Pseudo-random numbers from a seed that is printed and can be set to reproduce a failure.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let seed = match std::env::var("WBENCH_TEST_SEED") {
            Ok(seed) => seed.parse().expect("WBENCH_TEST_SEED is a number"),
            Err(_) => std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .expect("a time after 1970")
                .as_nanos() as u64,
        };
        println!("WBENCH_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number below a bound, by SplitMix64.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The set for tests that kill the program at each step, and the options that create it.
const KILLED_SET: &str = "--files 16 --total-size 8M --quiet";

fn creating_jobs() -> impl Iterator<Item = String> {
    let seqwr = BACKENDS.map(|io| {
        format!("--mode seqwr --io {io} --flags none --threads 4 --time 30 {KILLED_SET}")
    });
    seqwr.into_iter().chain([format!("prepare {KILLED_SET}")])
}

fn a_killed_job_leaves_only_files_that_cleanup_removes(directory: &Path) {
    let mut random = Random::seeded();
    for round in 0..12 {
        for job in creating_jobs() {
            let delay = Duration::from_micros(random.below(120_000));
            let what = format!("round {round}: {job} killed after {delay:?}");
            let bench = Bench::on(directory);
            let mut child = bench.start(&job);
            std::thread::sleep(delay);
            child.kill();
            bench
                .fileio(&format!("cleanup {KILLED_SET}"))
                .succeeded(&what);
            assert_eq!(bench.names(), [""; 0], "{what}");
        }
    }
}

#[test]
fn a_job_killed_on_a_file_system_with_attributes_leaves_only_files_that_cleanup_removes() {
    a_killed_job_leaves_only_files_that_cleanup_removes(Path::new(env!("CARGO_TARGET_TMPDIR")));
}

#[test]
fn a_job_killed_on_a_file_system_without_attributes_leaves_only_files_that_cleanup_removes() {
    a_killed_job_leaves_only_files_that_cleanup_removes(&Mounted::ramfs().path());
}

/// strace arguments that make all calls of a name fail.
fn failing(call: &str, error: &str) -> String {
    format!("inject={call}:error={error}")
}

#[test]
fn a_job_killed_at_any_step_of_file_creation_leaves_only_files_that_cleanup_removes() {
    // What a file system lacks, and the calls of the remaining way.
    let ways: [(&[String], &[&str]); 3] = [
        (&[], &["fsetxattr", "linkat", "fcntl"]),
        (
            &[failing("linkat", "EPERM")],
            &["fsetxattr", "renameat2", "unlinkat"],
        ),
        (
            &[
                failing("fsetxattr", "EOPNOTSUPP"),
                failing("renameat2", "EINVAL"),
            ],
            &["pwrite64", "linkat"],
        ),
    ];
    for job in ["prepare", "--mode seqwr --io aio --flags none"] {
        for (lacking, calls) in &ways {
            for call in *calls {
                for when in [1, 2, 5] {
                    let bench = Bench::new();
                    let kill = format!("inject={call}:signal=SIGKILL:when={when}");
                    let injections: Vec<String> = lacking
                        .iter()
                        .chain([&kill])
                        .flat_map(|args| ["-e".to_owned(), args.clone()])
                        .collect();
                    let what = format!("{job} {injections:?}");
                    bench.fileio_under(&injections, &format!("{job} {KILLED_SET}"));
                    bench
                        .fileio(&format!("cleanup {KILLED_SET}"))
                        .succeeded(&what);
                    assert_eq!(bench.names(), [""; 0], "{what}");
                }
            }
        }
    }
}

#[test]
fn files_are_created_on_file_systems_that_lack_the_preferred_calls() {
    for lacking in [
        &[][..],
        &["linkat"],
        &["linkat", "renameat2"],
        &["renameat2"],
        &["fsetxattr"],
        &["fsetxattr", "linkat"],
        &["fsetxattr", "linkat", "renameat2"],
    ] {
        let bench = Bench::new();
        let injections: Vec<String> = lacking
            .iter()
            .flat_map(|call| ["-e".to_owned(), failing(call, "EOPNOTSUPP")])
            .collect();
        let what = format!("without {lacking:?}");
        let set = "--files 3 --total-size 120K --quiet";
        for step in ["prepare", "run --mode seqwr --validate", "run --mode rndrw"] {
            bench
                .fileio_under(&injections, &format!("{step} {set}"))
                .succeeded(&format!("{step} {what}"));
            let names = ["test_file.0", "test_file.1", "test_file.2"];
            assert_eq!(bench.names(), names, "{what}");
        }
        bench
            .fileio_under(&injections, &format!("cleanup {set}"))
            .succeeded(&what);
        assert_eq!(bench.names(), [""; 0], "{what}");
    }
}

/// Makes the second half of a file unwritten: a hole or, if `reserved`, an allocated but unwritten
/// extent.
fn unwrite(file: &Path, reserved: bool) {
    let opened = std::fs::File::options().write(true).open(file);
    let opened = opened.expect("a test file");
    let size = opened.metadata().expect("its size").len();
    opened.set_len(size / 2).expect("a shorter file");
    opened.set_len(size).expect("a longer file");
    if reserved {
        let (offset, len) = ((size / 2) as i64, (size / 2) as i64);
        let mode = nix::fcntl::FallocateFlags::empty();
        nix::fcntl::fallocate(&opened, mode, offset, len).expect("an extent");
    }
}

#[test]
fn files_with_unwritten_parts_are_refused_by_a_run_and_written_by_a_whole_job() {
    let set = "--files 3 --total-size 3M --flags none --events 50 --quiet";
    for (kind, disk, reserves) in [
        ("ext4", Mounted::made("ext4", 64 * MIB, "rw"), true),
        ("xfs", Mounted::made("xfs", 300 * MIB, "rw"), true),
        ("tmpfs", Mounted::tmpfs(64 * MIB), true),
        ("ramfs", Mounted::ramfs(), false),
    ] {
        let bench = Bench::on(&disk.path());
        for reserved in [false, reserves] {
            for mode in ["rndrd", "seqrd", "rndwr", "seqrewr"] {
                let what = format!("{kind}, reserved {reserved}, {mode}");
                bench.fileio(&format!("prepare {set}")).succeeded(&what);
                bench
                    .fileio(&format!("run --mode {mode} {set}"))
                    .succeeded(&what);
                unwrite(&bench.file(1), reserved);
                bench
                    .fileio(&format!("run --mode {mode} {set}"))
                    .failed_with(&["test_file.1", "not written in full", "prepare"], &what);
                bench
                    .fileio(&format!("--mode {mode} {set}"))
                    .succeeded(&what);
                // It existed before the job.
                assert_eq!(bench.names().len(), 3, "{what}");
                bench
                    .fileio(&format!("run --mode {mode} {set}"))
                    .succeeded(&what);
            }
        }
    }
}

#[test]
fn a_read_run_refuses_blocks_that_a_write_run_did_not_reach() {
    for io in BACKENDS {
        let bench = Bench::new();
        let set = "--files 2 --total-size 2M --flags none --quiet";
        bench
            .fileio(&format!("run --mode seqwr --io {io} --events 100 {set}"))
            .succeeded(io);
        bench
            .fileio(&format!("run --mode rndrd {set}"))
            .failed_with(&["test_file.0", "prepare"], io);
        bench.fileio(&format!("--mode rndrd {set}")).succeeded(io);
        bench
            .fileio(&format!("run --mode rndrd {set}"))
            .succeeded(io);
    }
}

#[test]
fn the_sysbench_dialect_reads_files_with_holes_and_warns() {
    let bench = Bench::new();
    let set = "--file-num=2 --file-total-size=1M --file-test-mode=rndrd --max-requests=50";
    bench
        .sysbench(&format!("{set} prepare"))
        .succeeded("prepare");
    let run = || bench.sysbench(&format!("{set} run")).succeeded("run");
    let warned = |end: End| end.stderr.contains("never written");
    assert!(!warned(run()));
    unwrite(&bench.file(0), false);
    assert!(warned(run()));
}

#[test]
fn o_direct_on_a_loop_device_that_uses_the_page_cache_is_a_warning() {
    let disk = Mounted::made("ext4", 64 * MIB, "rw");
    let bench = Bench::on(&disk.path());
    let set = "--files 2 --total-size 2M --events 50";
    bench
        .fileio(&format!("prepare {set} --quiet"))
        .succeeded("prepare");
    let warned = |flags: &str| {
        bench
            .run(&format!("--mode rndrd --flags {flags} {set}"))
            .succeeded(flags);
        let warnings = bench.result()["warnings"].clone();
        let warnings = warnings.as_array().expect("a list of warnings").clone();
        warnings
            .iter()
            .any(|warning| warning["code"] == "buffered-loop")
    };
    assert!(warned("direct"));
    assert!(!warned("none"));
    assert_eq!(bench.result()["storage"]["loop_direct_io"], false);
    disk.bypass_the_page_cache();
    assert!(!warned("direct"));
    assert_eq!(bench.result()["storage"]["loop_direct_io"], true);
}

#[test]
fn prepare_fails_with_a_message_if_it_cannot_create_threads() {
    // A user that runs nothing else, with a limit that allows the main thread and a few others.
    const USER: &str = "54321";
    for threads in 1..=6 {
        let bench = Bench::new();
        bench.open_to_all();
        let binary = bench.json().with_file_name("wbench");
        std::fs::copy(WBENCH, &binary).expect("a copy that the user may run");
        let end: End = Command::new("setpriv")
            .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
            .args(["prlimit", &format!("--nproc={threads}")])
            .arg(&binary)
            .args("fileio prepare --files 8 --total-size 8M --quiet --dir".split(' '))
            .arg(&bench.dir)
            .output()
            .expect("setpriv and prlimit are needed for this test")
            .into();
        let what = format!("{threads} threads");
        end.failed_with(&["creating a thread", "ulimit -u"], &what);
        assert_eq!(bench.names(), [""; 0], "{what}");
    }
}

#[test]
fn a_signal_at_any_time_leaves_no_partial_result_and_no_files() {
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL];
    let jobs = ["--mode rndrw", "--mode seqwr", "--mode rndwr"];
    for (number, delay) in delays().take(51).enumerate() {
        let signal = signals[number % 3];
        let io = BACKENDS[number % 4];
        let bench = Bench::new();
        let args = format!(
            "{} --io {io} --files 8 --total-size 32M --events 0 --time 30 --quiet --json {}",
            jobs[number / 3 % 3],
            bench.json().display()
        );
        let what = format!("{args} {signal} after {delay:?}");
        let child = bench.start(&args);
        std::thread::sleep(delay);
        child.signal(signal);
        let end = End::from(child.finish());
        let beside = std::fs::read_dir(bench.json().parent().expect("a directory"));
        let beside: Vec<String> = beside
            .expect("the directory of the result")
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
            // The program recognizes what is left as its own: the directory can be cleaned and
            // reused.
            bench.fileio("cleanup --files 8").succeeded(&what);
        } else {
            // Before the program handles signals, the signal has its default action.
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
