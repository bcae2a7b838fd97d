//! wbench compared with Debian's sysbench 1.0 and fio, and with a bare loop that does the same work.
//!
//! `cargo bench --bench peers [-- PAIRS]` prints one line per comparison. The exit status is 1 if a
//! target is missed.

mod paired;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use memmap2::MmapMut;
use paired::{Comparison, median};
use wbench::size::Size;
use wbench::workload::fileio::requests::Lrand48;

const WBENCH: &str = env!("CARGO_BIN_EXE_wbench");

const AT_LEAST: f64 = f64::INFINITY;

/// Files of the file I/O comparisons: small enough to fit in the page cache.
const FILES: u32 = 4;
const FILE_SIZE: u64 = 64 << 20;
const BLOCK: usize = 4096;

fn main() -> ExitCode {
    let pairs = std::env::args().find_map(|argument| argument.parse().ok());
    let pairs = pairs.unwrap_or(9);
    let dir = tempfile::tempdir_in(".").expect("a directory for test files");
    let dir = dir.path();
    prepare(dir);
    let computing = [cpu(pairs), empty_events(pairs), two_threads(pairs)];
    stay_on_one_cpu();
    let reading = [cached_reads(pairs * 3, dir), direct_reads(pairs, dir)];
    let started = start_time();
    let small = size();
    let all_met = computing.into_iter().chain(reading).all(|met| met);
    match all_met && started && small {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Pins this process and its children to one CPU. Its distance from the CPU that handles the device's
/// interrupts changes rates by about 10 %, and the scheduler would choose it at random.
fn stay_on_one_cpu() {
    let last = core_affinity::get_core_ids().and_then(|mut cpus| cpus.pop());
    let pinned = last.is_some_and(core_affinity::set_for_current);
    assert!(pinned, "cannot pin this process to a CPU");
}

fn cpu(pairs: usize) -> bool {
    let comparison = Comparison {
        name: "cpu events, max-prime 20000 : sysbench cpu",
        unit: "events/s",
        target: (0.98, 1.02),
    };
    let ours = || wbench(&["cpu", "--events", "1000"]);
    let theirs = || {
        let arguments = [
            "cpu",
            "--cpu-max-prime=20000",
            "--events=1000",
            "--time=0",
            "run",
        ];
        number_after(&output("sysbench", &arguments), "events per second:")
    };
    comparison.run(pairs, ours, theirs).meets_target()
}

fn empty_events(pairs: usize) -> bool {
    let comparison = Comparison {
        name: "memory --oper none, 1 thread : sysbench memory none",
        unit: "events/s",
        target: (4.0, AT_LEAST),
    };
    let ours = || wbench(&["memory", "--oper", "none", "--total-size", "10G"]);
    let theirs = || {
        let arguments = [
            "memory",
            "--memory-oper=none",
            "--memory-block-size=1K",
            "--memory-total-size=5G",
            "run",
        ];
        number_after(&output("sysbench", &arguments), "(")
    };
    comparison.run(pairs, ours, theirs).meets_target()
}

fn two_threads(pairs: usize) -> bool {
    let comparison = Comparison {
        name: "memory --oper none, 2 threads : 1 thread",
        unit: "events/s",
        target: (1.9, AT_LEAST),
    };
    let with = |threads| {
        wbench(&[
            "memory",
            "--oper",
            "none",
            "--total-size",
            "20G",
            "--threads",
            threads,
        ])
    };
    comparison
        .run(pairs, || with("2"), || with("1"))
        .meets_target()
}

fn cached_reads(pairs: usize, dir: &Path) -> bool {
    let comparison = Comparison {
        name: "random 4K reads of cached files, 1 thread : bare pread loop",
        unit: "reads/s",
        target: (0.95, AT_LEAST),
    };
    let ours = || {
        let dir = dir.to_str().expect("a name in UTF-8");
        let job = job(dir);
        let arguments = [
            "fileio", "run", "--mode", "rndrd", "--flags", "none", "--events", "300000",
        ];
        wbench(&[&arguments[..], &as_strs(&job)[..]].concat())
    };
    comparison
        .run(pairs, ours, || bare_preads(dir, 300_000))
        .meets_target()
}

/// Reads the blocks of the random stream with bare preads at precomputed offsets.
fn bare_preads(dir: &Path, reads: usize) -> f64 {
    let files: Vec<File> = (0..FILES)
        .map(|n| File::open(dir.join(format!("test_file.{n}"))).expect("a prepared file"))
        .collect();
    let total = f64::from(FILES) * FILE_SIZE as f64;
    let mut positions = Lrand48::new(Default::default());
    let places: Vec<(usize, u64)> = (0..reads)
        .map(|_| {
            let share = f64::from(positions.draw()) / f64::from(Lrand48::MODULUS);
            let position = (share * total) as u64 / BLOCK as u64 * BLOCK as u64;
            ((position / FILE_SIZE) as usize, position % FILE_SIZE)
        })
        .collect();
    // Page-aligned like wbench's buffer: the alignment of the destination affects the speed.
    let mut block = MmapMut::map_anon(BLOCK).expect("a block of memory");
    let start = Instant::now();
    for &(file, offset) in &places {
        files[file]
            .read_exact_at(&mut block, offset)
            .expect("a block");
    }
    reads as f64 / start.elapsed().as_secs_f64()
}

/// Each run uses a new seed, so that caches below the device do not help, and drops the files' pages
/// first, as fio does.
fn direct_reads(pairs: usize, dir: &Path) -> bool {
    let comparison = Comparison {
        name: "random 4K reads, O_DIRECT, 1 thread : fio psync",
        unit: "reads/s",
        target: (0.97, AT_LEAST),
    };
    let dir = dir.to_str().expect("a name in UTF-8");
    let mut seed = std::process::id();
    let ours = || {
        let job = job(dir);
        seed = seed.wrapping_add(1);
        let seed = seed.to_string();
        let arguments = [
            "fileio",
            "run",
            "--mode",
            "rndrd",
            "--time",
            "2",
            "--events",
            "0",
            "--drop-cache",
            "--seed",
            &seed,
        ];
        wbench(&[&arguments[..], &as_strs(&job)].concat())
    };
    let theirs = || {
        let names: Vec<String> = (0..FILES).map(|n| format!("{dir}/test_file.{n}")).collect();
        let arguments = [
            "--name=peer".to_owned(),
            format!("--filename={}", names.join(":")),
            "--ioengine=psync --direct=1 --rw=randread --bs=4k --norandommap --randrepeat=0"
                .to_owned(),
            "--file_service_type=random --time_based --runtime=2 --output-format=terse".to_owned(),
        ];
        let arguments = arguments.join(" ");
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let terse = output("fio", &arguments);
        // Field 8 of fio's terse format, version 3: the IOPS of reads.
        terse
            .split(';')
            .nth(7)
            .and_then(|iops| iops.parse().ok())
            .expect("fio's terse output")
    };
    comparison.run(pairs, ours, theirs).meets_target()
}

fn start_time() -> bool {
    let start = || {
        let start = Instant::now();
        output(WBENCH, &["--version"]);
        start.elapsed().as_secs_f64() * 1e3
    };
    let ms = median((0..100).map(|_| start()));
    let met = Duration::from_secs_f64(ms / 1e3) < Duration::from_millis(2);
    println!(
        "duration of wbench --version: {ms:.2} ms (median of 100), target < 2: {}",
        verdict(met)
    );
    met
}

fn size() -> bool {
    let bytes = std::fs::metadata(WBENCH).expect("the binary").len();
    let met = bytes <= 5 << 20;
    println!(
        "size of the binary: {:.2} MiB, target <= 5: {}",
        bytes as f64 / f64::from(1 << 20),
        verdict(met)
    );
    met
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

fn prepare(dir: &Path) {
    let dir = dir.to_str().expect("a name in UTF-8");
    let job = job(dir);
    output(
        WBENCH,
        &[&["fileio", "prepare", "--quiet"][..], &as_strs(&job)[..]].concat(),
    );
    // Loads the files into the page cache for the cached comparison.
    bare_preads(Path::new(dir), 1_000_000);
}

fn job(dir: &str) -> Vec<String> {
    let total = Size(u64::from(FILES) * FILE_SIZE);
    format!("--dir {dir} --files {FILES} --total-size {total}")
        .split(' ')
        .map(str::to_owned)
        .collect()
}

fn as_strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn wbench(arguments: &[&str]) -> f64 {
    let json = output(WBENCH, &[arguments, &["--json", "-"]].concat());
    let result: serde_json::Value = serde_json::from_str(&json).expect("a result");
    result["rates"]["events_per_s"].as_f64().expect("a rate")
}

fn output(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}; install it"));
    assert!(
        done.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn number_after(text: &str, mark: &str) -> f64 {
    let lines = text
        .lines()
        .skip_while(|line| !line.contains("Threads started"));
    let rest = lines
        .filter_map(|line| line.split_once(mark))
        .map(|(_, rest)| rest);
    rest.filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .next()
        .unwrap_or_else(|| panic!("no number after '{mark}' in {text}"))
}
