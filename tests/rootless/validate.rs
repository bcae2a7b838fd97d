//! `--validate`: a flipped byte, a misplaced block and a stale block are each detected, reported
//! with file and offset, and fail the run.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;

use crate::common::WBENCH;
use crate::common::storage::{BACKENDS, Bench};

const BLOCK: u64 = 4096;
const SET: &str = "--files 3 --total-size 120K --validate";

fn open(bench: &Bench, file: u32) -> File {
    let mut options = File::options();
    options.read(true).write(true);
    options.open(bench.file(file)).expect("a test file")
}

fn block(bench: &Bench, file: u32, offset: u64) -> Vec<u8> {
    let mut block = vec![0; BLOCK as usize];
    open(bench, file)
        .read_exact_at(&mut block, offset)
        .expect("a block");
    block
}

fn put(bench: &Bench, file: u32, offset: u64, bytes: &[u8]) {
    open(bench, file)
        .write_all_at(bytes, offset)
        .expect("room for a block");
}

#[test]
fn every_engine_detects_a_flipped_byte() {
    for io in BACKENDS {
        let bench = Bench::prepared(SET);
        let place = 5 * BLOCK + 1234;
        let byte = block(&bench, 1, 5 * BLOCK)[1234];
        put(&bench, 1, place, &[byte ^ 0x10]);
        bench
            .run(&format!("{SET} --mode seqrd --io {io} --threads 2"))
            .failed_with(&["offset 20480", "test_file.1", "CRC-32"], io);
        let result = bench.result();
        assert_eq!(result["status"], "failed", "{io}");
        let message = result["error"].as_str().expect("an error in the result");
        assert!(message.contains("offset 20480"), "{message}");
    }
}

#[test]
fn every_engine_detects_a_misplaced_block() {
    for io in BACKENDS {
        let bench = Bench::prepared(SET);
        let strayed = block(&bench, 0, 2 * BLOCK);
        put(&bench, 2, 7 * BLOCK, &strayed);
        bench
            .run(&format!("{SET} --mode seqrd --io {io}"))
            .failed_with(
                &[
                    "offset 28672",
                    "test_file.2",
                    "it is the block of offset 8192 of test_file.0",
                ],
                io,
            );
    }
}

#[test]
fn without_validate_nothing_is_checked() {
    let bench = Bench::prepared(SET);
    put(&bench, 1, 5000, &[1, 2, 3]);
    bench
        .run("--files 3 --total-size 120K --mode seqrd")
        .succeeded("seqrd");
}

#[test]
fn files_of_another_block_size_or_without_block_headers_are_refused_with_advice() {
    let bench = Bench::new();
    let plain = "--files 3 --total-size 120K";
    bench
        .fileio(&format!("prepare {plain} --quiet"))
        .succeeded("prepare");
    bench
        .run(&format!("{SET} --mode rndrd"))
        .failed_with(&["no header", "--validate"], "without headers");
    // A validated run cannot use these files, so prepare writes them again.
    bench
        .fileio(&format!("prepare {SET} --quiet"))
        .succeeded("prepare");
    bench.run(&format!("{SET} --mode rndrd")).succeeded("rndrd");
    bench
        .run(&format!("{SET} --block-size 8K --mode rndrd"))
        .failed_with(&["test_file."], "another block size");
}

#[test]
fn blocks_of_any_size_have_headers_and_merged_requests_contain_several() {
    for (block, merged) in [("512", 7), ("3000", 0), ("3000", 5), ("2M", 0)] {
        let bench = Bench::new();
        let set =
            format!("--files 2 --total-size 8400000 --block-size {block} --validate --flags none");
        bench
            .fileio(&format!("prepare {set} --quiet"))
            .succeeded(block);
        for mode in ["seqrd", "seqrewr", "seqrd"] {
            bench
                .run(&format!("{set} --mode {mode} --merged-requests {merged}"))
                .succeeded(block);
        }
    }
}

#[test]
fn the_sysbench_dialect_detects_a_flipped_byte_too() {
    let bench = Bench::new();
    let sysbench = |args: &str| {
        Command::new(WBENCH)
            .current_dir(&bench.dir)
            .args(
                "--test=fileio --file-num=3 --file-total-size=120K --file-block-size=4K --validate"
                    .split(' '),
            )
            .args(args.split(' '))
            .output()
            .expect("wbench runs")
    };
    assert!(sysbench("prepare").status.success());
    for io in ["sync", "async", "mmap"] {
        let mode = format!("--file-io-mode={io}");
        let run = format!("{mode} --file-test-mode=rndrw --max-requests=200 run");
        let done = sysbench(&run);
        assert!(done.status.success(), "{io}: {done:?}");
    }
    put(&bench, 0, 100, b"damage");
    let done = sysbench("--file-test-mode=seqrd run");
    assert_eq!(done.status.code(), Some(1));
    let message = String::from_utf8_lossy(&done.stderr);
    assert!(
        message.contains("FATAL")
            && message.contains("offset 0 of")
            && message.contains("test_file.0"),
        "{message}"
    );
}
