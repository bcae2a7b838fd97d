//! wbench beside Debian's sysbench 1.0 and fio, and beside the barest loop that does the work.
//!
//! `cargo bench --bench peers [-- PAIRS]` prints a line for each comparison; the exit status is
//! 1 where a ratio is not where it is wanted.

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

/// Files of the comparisons of file I/O: small enough to be cached whole.
const FILES: u32 = 4;
const FILE_SIZE: u64 = 64 << 20;
const BLOCK: usize = 4096;

fn main() -> ExitCode {
    let asked = std::env::args().find_map(|word| word.parse().ok());
    let pairs = asked.unwrap_or(9);
    let folder = tempfile::tempdir_in(".").expect("a folder for test files");
    let dir = folder.path();
    prepare(dir);
    let computing = [cpu(pairs), empty_events(pairs), two_threads(pairs)];
    stay_on_one_cpu();
    let reading = [cached_reads(pairs * 3, dir), direct_reads(pairs, dir)];
    let started = start_time();
    let small = size();
    let reached = computing.into_iter().chain(reading).all(|reached| reached);
    match reached && started && small {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Keeps this process and those that it starts on one and the same CPU: how far that is from the
/// one that takes the device's interrupts makes a difference of a tenth, and the scheduler throws
/// dice for it.
fn stay_on_one_cpu() {
    let last = core_affinity::get_core_ids().and_then(|mut cpus| cpus.pop());
    let bound = last.is_some_and(core_affinity::set_for_current);
    assert!(bound, "this process can't be bound to a CPU");
}

fn cpu(pairs: usize) -> bool {
    let comparison = Comparison {
        name: "cpu events, max-prime 20000 : sysbench cpu",
        unit: "events/s",
        target: (0.98, 1.02),
    };
    let ours = || wbench(&["cpu", "--events", "1000"]);
    let theirs = || {
        let words = [
            "cpu",
            "--cpu-max-prime=20000",
            "--events=1000",
            "--time=0",
            "run",
        ];
        number_after(&output("sysbench", &words), "events per second:")
    };
    comparison.run(pairs, ours, theirs).is_reached()
}

fn empty_events(pairs: usize) -> bool {
    let comparison = Comparison {
        name: "memory --oper none, 1 thread : sysbench memory none",
        unit: "events/s",
        target: (4.0, AT_LEAST),
    };
    let ours = || wbench(&["memory", "--oper", "none", "--total-size", "10G"]);
    let theirs = || {
        let words = [
            "memory",
            "--memory-oper=none",
            "--memory-block-size=1K",
            "--memory-total-size=5G",
            "run",
        ];
        number_after(&output("sysbench", &words), "(")
    };
    comparison.run(pairs, ours, theirs).is_reached()
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
        .is_reached()
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
        let words = [
            "fileio", "run", "--mode", "rndrd", "--flags", "none", "--events", "300000",
        ];
        wbench(&[&words[..], &words_of(&job)[..]].concat())
    };
    comparison
        .run(pairs, ours, || bare_preads(dir, 300_000))
        .is_reached()
}

/// Reads the blocks that the random stream names by nothing but pread, their places known before.
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
    // At a page, as that of wbench: where a copy goes to makes a difference, too.
    let mut block = MmapMut::map_anon(BLOCK).expect("a block of memory");
    let start = Instant::now();
    for &(file, offset) in &places {
        files[file]
            .read_exact_at(&mut block, offset)
            .expect("a block");
    }
    reads as f64 / start.elapsed().as_secs_f64()
}

/// Each run reads other places than any before, so that no cache below the device knows them, and
/// drops the files' pages first, as fio does.
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
        let words = [
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
        wbench(&[&words[..], &words_of(&job)].concat())
    };
    let theirs = || {
        let names: Vec<String> = (0..FILES).map(|n| format!("{dir}/test_file.{n}")).collect();
        let words = [
            "--name=peer".to_owned(),
            format!("--filename={}", names.join(":")),
            "--ioengine=psync --direct=1 --rw=randread --bs=4k --norandommap --randrepeat=0"
                .to_owned(),
            "--file_service_type=random --time_based --runtime=2 --output-format=terse".to_owned(),
        ];
        let words = words.join(" ");
        let words: Vec<&str> = words.split(' ').collect();
        let terse = output("fio", &words);
        // Field 8 of fio's terse format, version 3: the IOPS of reads.
        terse
            .split(';')
            .nth(7)
            .and_then(|iops| iops.parse().ok())
            .expect("fio's terse output")
    };
    comparison.run(pairs, ours, theirs).is_reached()
}

fn start_time() -> bool {
    let start = || {
        let start = Instant::now();
        output(WBENCH, &["--version"]);
        start.elapsed().as_secs_f64() * 1e3
    };
    let ms = median((0..100).map(|_| start()));
    let reached = Duration::from_secs_f64(ms / 1e3) < Duration::from_millis(2);
    println!(
        "start to finish of wbench --version: {ms:.2} ms (median of 100), wanted under 2: {}",
        word(reached)
    );
    reached
}

fn size() -> bool {
    let bytes = std::fs::metadata(WBENCH).expect("the binary").len();
    let reached = bytes < 4 << 20;
    println!(
        "the binary: {:.2} MiB, wanted under 4: {}",
        bytes as f64 / f64::from(1 << 20),
        word(reached)
    );
    reached
}

fn word(reached: bool) -> &'static str {
    if reached { "reached" } else { "NOT REACHED" }
}

fn prepare(dir: &Path) {
    let dir = dir.to_str().expect("a name in UTF-8");
    let job = job(dir);
    output(
        WBENCH,
        &[&["fileio", "prepare", "--quiet"][..], &words_of(&job)[..]].concat(),
    );
    // Through the page cache once, so that the cached comparison finds them there.
    bare_preads(Path::new(dir), 1_000_000);
}

fn job(dir: &str) -> Vec<String> {
    let total = Size(u64::from(FILES) * FILE_SIZE);
    format!("--dir {dir} --files {FILES} --total-size {total}")
        .split(' ')
        .map(str::to_owned)
        .collect()
}

fn words_of(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn wbench(words: &[&str]) -> f64 {
    let json = output(WBENCH, &[words, &["--json", "-"]].concat());
    let result: serde_json::Value = serde_json::from_str(&json).expect("a result");
    result["rates"]["events_per_s"].as_f64().expect("a rate")
}

fn output(program: &str, words: &[&str]) -> String {
    let done = Command::new(program)
        .args(words)
        .output()
        .unwrap_or_else(|error| panic!("{program} can't be started ({error}); install it"));
    assert!(
        done.status.success(),
        "{program} {words:?}: {}",
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
