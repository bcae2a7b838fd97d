//! wbench compared with sysbench, fio and bare loops that do the same work.
//!
//! `cargo bench --bench peers [-- PAIRS] [-- NAME...]` prints one line per comparison whose name
//! contains one of the arguments. The exit status is 1 if a target is missed.

mod paired;

use std::fs::File;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use memmap2::MmapMut;
use paired::{Comparison, Ranged, Target, WBENCH};
use paired::{command, output, pairs, run_selected, sample, verdict, wbench_rate, wbench_step};
use wbench::clock::{Clock, TimeSource};
use wbench::plan::ClockChoice;
use wbench::with_clock;
use wbench::workload::fileio::requests::Lrand48;

/// Files of the file I/O comparisons: small enough to fit in the page cache.
const FILES: u32 = 4;
const FILE_SIZE: u64 = 64 << 20;
const SET: &str = "--files 4 --total-size 256M";
const BLOCK: usize = 4096;
const READS: usize = 300_000;

type Benchmark = fn(&Path) -> Result<bool>;

fn main() -> Result<ExitCode> {
    let dir = paired::work_dir()?;
    let benchmarks: [(&str, Benchmark); 12] = [
        ("cpu", cpu),
        ("sysbench 1.0 cpu", cpu_of_sysbench_1_0),
        ("empty events", empty_events),
        ("two threads", two_threads),
        ("cached reads", cached_reads),
        ("direct reads", direct_reads),
        ("binary", binary),
        ("dialect cpu", dialect_cpu),
        ("dialect memory", dialect_memory),
        ("dialect threads", dialect_threads),
        ("dialect mutex", dialect_mutex),
        ("dialect fileio", dialect_fileio),
    ];
    run_selected(&benchmarks, |run| run(dir.path()))
}

/// Runs the loop of sysbench 0.4.12's cpu test, compiled from its documentation.
fn cpu(dir: &Path) -> Result<bool> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer/trial_division.c");
    output(command(
        dir,
        &format!("cc -O2 -o trial_division {source} -lm"),
    ))?;
    let comparison = Comparison {
        name: "cpu, max-prime 20000 : sysbench 0.4.12's loop",
        unit: "events/s",
        target: Target::Within(0.97, 1.03),
    };
    let ours = || wbench_rate(dir, "cpu --max-prime 20000 --events 1000");
    let peer = || {
        let rate = output(command(dir, "./trial_division 20000 1000"))?;
        Ok(rate.trim().parse()?)
    };
    Ok(comparison.run(pairs(7), ours, peer)?.meets_target())
}

/// sysbench 1.0 compares doubles in its loop, which is up to 7 % slower on some CPUs.
fn cpu_of_sysbench_1_0(dir: &Path) -> Result<bool> {
    let comparison = Comparison {
        name: "cpu, max-prime 20000 : sysbench 1.0 cpu",
        unit: "events/s",
        target: Target::Within(0.97, 1.08),
    };
    let ours = || wbench_rate(dir, "cpu --max-prime 20000 --events 1000");
    let peer = || {
        let line = "sysbench cpu --cpu-max-prime=20000 --events=1000 --time=0 run";
        number_after(&output(command(dir, line))?, "events per second:")
    };
    Ok(comparison.run(pairs(7), ours, peer)?.meets_target())
}

fn empty_events(dir: &Path) -> Result<bool> {
    let comparison = Comparison {
        name: "memory --oper none, 1 thread : sysbench memory none",
        unit: "events/s",
        target: Target::AtLeast(5.0),
    };
    let ours = || wbench_rate(dir, "memory --oper none --total-size 10G");
    let peer = || {
        let line = "sysbench memory --memory-oper=none --memory-block-size=1K \
                    --memory-total-size=5G run";
        number_after(&output(command(dir, line))?, "(")
    };
    Ok(comparison.run(pairs(7), ours, peer)?.meets_target())
}

fn two_threads(dir: &Path) -> Result<bool> {
    let comparison = Comparison {
        name: "memory --oper none, 2 threads : 1 thread",
        unit: "events/s",
        target: Target::AtLeast(1.95),
    };
    let line = "memory --oper none --total-size 20G --threads";
    let with = |threads| move || wbench_rate(dir, &format!("{line} {threads}"));
    Ok(comparison.run(pairs(7), with(2), with(1))?.meets_target())
}

fn cached_reads(dir: &Path) -> Result<bool> {
    prepare(dir)?;
    let comparison = Comparison {
        name: "random 4K reads of cached files : bare timed pread loop",
        unit: "reads/s",
        target: Target::AtLeast(0.96),
    };
    let line = format!("fileio run --mode rndrd --flags none --events {READS} {SET}");
    let ours = || wbench_rate(dir, &line);
    let peer = || bare_preads(dir, READS);
    Ok(comparison.run(pairs(7) * 3, ours, peer)?.meets_target())
}

/// Reads the blocks of the random stream at precomputed offsets with bare preads, and times each.
///
/// Runs on a second thread, as a worker thread of wbench: in a process with several threads, the
/// kernel counts references to file descriptors.
fn bare_preads(dir: &Path, reads: usize) -> Result<f64> {
    let files: Vec<File> = (0..FILES)
        .map(|n| File::open(dir.join(format!("test_file.{n}"))))
        .collect::<Result<_, _>>()?;
    let total = f64::from(FILES) * FILE_SIZE as f64;
    let mut positions = Lrand48::new(Default::default());
    let places: Vec<(usize, u64)> = (0..reads)
        .map(|_| {
            let share = f64::from(positions.draw()) / f64::from(Lrand48::MODULUS);
            let position = (share * total) as u64 / BLOCK as u64 * BLOCK as u64;
            ((position / FILE_SIZE) as usize, position % FILE_SIZE)
        })
        .collect();
    let clock = TimeSource::establish(ClockChoice::Auto)?.clock;
    let read_all = || with_clock!(clock, clock => timed_preads(&files, &places, clock));
    thread::scope(|scope| scope.spawn(read_all).join().expect("no panic"))
}

fn timed_preads<C: Clock>(files: &[File], places: &[(usize, u64)], clock: C) -> Result<f64> {
    // Page-aligned like wbench's buffer: the alignment of the destination affects the speed.
    let mut block = MmapMut::map_anon(BLOCK)?;
    let mut durations = vec![0; places.len()];
    let start = Instant::now();
    let mut began = clock.start();
    for (&(file, offset), duration) in places.iter().zip(&mut durations) {
        files[file].read_exact_at(&mut block, offset)?;
        let ended = clock.stop();
        *duration = ended.since(began);
        began = ended;
    }
    let rate = places.len() as f64 / start.elapsed().as_secs_f64();
    ensure!(
        durations.iter().all(|&ticks| ticks > 0),
        "a read took no time"
    );
    Ok(rate)
}

/// Each run uses a new seed, so that caches below the device do not help, and drops the files' pages
/// first, as fio does. All runs stay on one CPU: its distance from the CPU that handles the device's
/// interrupts changes rates by about 10 %, and the scheduler would choose it at random.
fn direct_reads(dir: &Path) -> Result<bool> {
    let last = core_affinity::get_core_ids().and_then(|mut cpus| cpus.pop());
    let pinned = last.is_some_and(core_affinity::set_for_current);
    ensure!(pinned, "cannot pin this process to a CPU");
    prepare(dir)?;
    let comparison = Comparison {
        name: "random 4K reads, O_DIRECT, 1 thread : fio psync",
        unit: "reads/s",
        target: Target::AtLeast(0.97),
    };
    let mut seed = std::process::id();
    let ours = || {
        seed = seed.wrapping_add(1);
        let run = format!("fileio run --mode rndrd --time 2 --events 0 --drop-cache --seed {seed}");
        wbench_rate(dir, &format!("{run} {SET}"))
    };
    let names: Vec<String> = (0..FILES).map(|n| format!("test_file.{n}")).collect();
    let line = format!(
        "fio --name=peer --filename={} --ioengine=psync --direct=1 --rw=randread --bs=4k \
         --norandommap --randrepeat=0 --file_service_type=random --time_based --runtime=2 \
         --output-format=terse",
        names.join(":")
    );
    let peer = || {
        let terse = output(command(dir, &line))?;
        // Field 8 of fio's terse format, version 3: the IOPS of reads.
        let iops = terse.split(';').nth(7).context("fio's terse output")?;
        Ok(iops.parse()?)
    };
    Ok(comparison.run(pairs(7), ours, peer)?.meets_target())
}

fn dialect_cpu(dir: &Path) -> Result<bool> {
    let comparison = Comparison {
        name: "cpu run : sysbench 1.0",
        unit: "events/s",
        target: Target::Within(0.98, 1.02),
    };
    let rate = |report: &str| number_after(report, "events per second:");
    same_command(dir, comparison, "cpu --time=1 run", rate)
}

fn dialect_memory(dir: &Path) -> Result<bool> {
    let comparison = Comparison {
        name: "memory run, 1K writes, 1 thread : sysbench 1.0",
        unit: "events/s",
        target: Target::AtLeast(1.2),
    };
    let line =
        "memory --memory-block-size=1K --memory-oper=write --memory-total-size=1T --time=1 run";
    same_command(dir, comparison, line, |report| number_after(report, "("))
}

fn dialect_threads(dir: &Path) -> Result<bool> {
    let comparison = Comparison {
        name: "threads run, 2 threads, 8 locks : sysbench 1.0",
        unit: "events/s",
        target: Target::AtLeast(1.0),
    };
    let line = "threads --threads=2 --thread-locks=8 --time=2 run";
    same_command(dir, comparison, line, events_per_second)
}

/// Each thread takes 200,000 locks and runs 10,000 iterations of the loop before each.
fn dialect_mutex(dir: &Path) -> Result<bool> {
    let comparison = Comparison {
        name: "mutex run, 2 threads : sysbench 1.0",
        unit: "events/s",
        target: Target::AtLeast(1.0),
    };
    let line = "mutex --threads=2 --mutex-locks=200000 run";
    same_command(dir, comparison, line, events_per_second)
}

fn dialect_fileio(dir: &Path) -> Result<bool> {
    prepare(dir)?;
    let comparison = Comparison {
        name: "fileio run, rndrd, 16K, cached : sysbench 1.0",
        unit: "reads/s",
        target: Target::AtLeast(1.0),
    };
    let line = "fileio --file-num=4 --file-total-size=256M --file-test-mode=rndrd --time=1 run";
    let rate = |report: &str| number_after(report, "reads/s:");
    same_command(dir, comparison, line, rate)
}

/// Compares a command line of sysbench 1.0 as wbench and as sysbench run it, by a rate in the report
/// that both print.
fn same_command(
    dir: &Path,
    comparison: Comparison,
    arguments: &str,
    rate: impl Fn(&str) -> Result<f64>,
) -> Result<bool> {
    let link = dir.join("sysbench-1.0");
    if !link.is_symlink() {
        symlink(WBENCH, link)?;
    }
    let run = |program| rate(&output(command(dir, &format!("{program} {arguments}")))?);
    let outcome = comparison.run(pairs(7), || run("./sysbench-1.0"), || run("sysbench"))?;
    Ok(outcome.meets_target())
}

fn events_per_second(report: &str) -> Result<f64> {
    let events = number_after(report, "total number of events:")?;
    Ok(events / number_after(report, "total time:")?)
}

/// Time to start, and size.
fn binary(dir: &Path) -> Result<bool> {
    let start = || {
        let start = Instant::now();
        output(command(dir, &format!("{WBENCH} --version")))?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    let times = sample((0..100).map(|_| start()).collect::<Result<_>>()?)?;
    let fast = times.median().value < 2.0;
    println!(
        "wbench --version: {} ms, target below 2: {}",
        Ranged(&times),
        verdict(fast)
    );
    let bytes = std::fs::metadata(WBENCH)?.len();
    let small = bytes <= 5 << 20;
    println!(
        "size of the binary: {:.2} MiB, target at most 5: {}",
        bytes as f64 / f64::from(1 << 20),
        verdict(small)
    );
    Ok(fast && small)
}

/// Prepares the files and reads them into the page cache.
fn prepare(dir: &Path) -> Result<()> {
    wbench_step(dir, &format!("fileio prepare --quiet {SET}"))?;
    bare_preads(dir, 1_000_000).map(drop)
}

fn number_after(text: &str, mark: &str) -> Result<f64> {
    let lines = text
        .lines()
        .skip_while(|line| !line.contains("Threads started"));
    let rest = lines
        .filter_map(|line| line.split_once(mark))
        .map(|(_, rest)| rest);
    let number = |text: &str| text.trim_end_matches('s').parse().ok();
    rest.filter_map(|rest| number(rest.split_whitespace().next()?))
        .next()
        .with_context(|| format!("no number after '{mark}' in {text}"))
}
