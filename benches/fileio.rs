//! File I/O compared with fio, dd and sysbench, and resource use with many threads and files.
//!
//! `cargo bench --bench fileio [-- PAIRS] [-- NAME...]` runs the comparisons whose name contains one
//! of the arguments. The exit status is 1 if a target is missed. `WBENCH_BENCH_DIR` sets the working
//! directory, which needs about 10 GiB.

mod paired;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};
use paired::{Comparison, Target, WBENCH};
use paired::{command, output, pairs, run_selected, seconds_of, verdict, wbench_rate, wbench_step};
use serde_json::Value;

/// Duration of a run that measures a rate, in seconds.
const SECONDS: u64 = 5;

type Benchmark = fn(&Path) -> Result<bool>;

fn main() -> Result<ExitCode> {
    let benchmarks: [(&str, Benchmark); 6] = [
        ("aio", |dir| {
            queue(
                dir,
                "aio, 32 in flight, O_DIRECT : fio libaio",
                "aio",
                "libaio",
            )
        }),
        ("uring", |dir| {
            queue(
                dir,
                "uring, 32 in flight, O_DIRECT : fio io_uring",
                "uring",
                "io_uring",
            )
        }),
        ("prepare dd", prepare_and_dd),
        ("prepare sysbench", prepare_and_sysbench),
        ("memory of 16 threads", memory),
        ("10,000 files", many_files),
    ];
    let dir = paired::work_dir()?;
    run_selected(&benchmarks, |run| run(dir.path()))
}

/// Random O_DIRECT reads of the same files at a queue depth of 32.
fn queue(dir: &Path, name: &'static str, io: &str, engine: &str) -> Result<bool> {
    let set = "--files 8 --total-size 2G";
    wbench_step(dir, &format!("fileio prepare --quiet {set}"))?;
    let comparison = Comparison {
        name,
        unit: "reads/s",
        target: Target::AtLeast(0.97),
    };
    let ours = || {
        let run = "fileio run --mode rndrd --depth 32 --flags direct --events 0";
        wbench_rate(dir, &format!("{run} --io {io} --time {SECONDS} {set}"))
    };
    let names: Vec<String> = (0..8).map(|file| format!("test_file.{file}")).collect();
    let line = format!(
        "fio --name=peer --iodepth=32 --direct=1 --rw=randread --bs=4k --time_based \
         --output-format=json --ioengine={engine} --filename={} --runtime={SECONDS}",
        names.join(":")
    );
    let peer = || {
        let report: Value = serde_json::from_str(&output(command(dir, &line))?)?;
        let iops = report["jobs"][0]["read"]["iops"].as_f64();
        iops.context("no rate in fio's output")
    };
    let met = comparison.run(pairs(7), ours, peer)?.meets_target();
    wbench_step(dir, "fileio cleanup --quiet --files 8")?;
    Ok(met)
}

const PREPARED_MIB: f64 = 8192.0;

fn prepare_rate(dir: &Path) -> Result<f64> {
    let prepare = "fileio prepare --quiet --files 128 --total-size 8G";
    let seconds = seconds_of(|| wbench_step(dir, prepare))?;
    wbench_step(dir, "fileio cleanup --quiet --files 128")?;
    Ok(PREPARED_MIB / seconds)
}

fn prepare_and_dd(dir: &Path) -> Result<bool> {
    let comparison = Comparison {
        name: "prepare, 8G in 128 files : dd bs=1M oflag=direct conv=fsync",
        unit: "MiB/s",
        target: Target::AtLeast(1.0),
    };
    let peer = || {
        let line = "dd if=/dev/zero of=dd bs=1M count=8192 oflag=direct conv=fsync";
        let seconds = seconds_of(|| output(command(dir, line)).map(drop))?;
        std::fs::remove_file(dir.join("dd"))?;
        Ok(PREPARED_MIB / seconds)
    };
    let outcome = comparison.run(pairs(7), || prepare_rate(dir), peer)?;
    Ok(outcome.meets_target())
}

fn prepare_and_sysbench(dir: &Path) -> Result<bool> {
    let comparison = Comparison {
        name: "prepare, 8G in 128 files : sysbench, 4K blocks",
        unit: "MiB/s",
        target: Target::AtLeast(5.0),
    };
    let sysbench = |step: &str| {
        let set = "--file-total-size=8G --file-num=128 --file-block-size=4096";
        output(command(dir, &format!("sysbench fileio {set} {step}"))).map(drop)
    };
    let peer = || {
        let seconds = seconds_of(|| sysbench("prepare"))?;
        sysbench("cleanup")?;
        Ok(PREPARED_MIB / seconds)
    };
    let outcome = comparison.run(pairs(3), || prepare_rate(dir), peer)?;
    Ok(outcome.meets_target())
}

/// Maximum resident memory with 128 files and 16 threads at a queue depth of 128 each.
fn memory(dir: &Path) -> Result<bool> {
    const TARGET_MIB: f64 = 64.0;
    let set = "--files 128 --total-size 512M";
    wbench_step(dir, &format!("fileio prepare --quiet {set}"))?;
    let mut all_met = true;
    for io in ["aio", "uring"] {
        for mode in ["rndrd", "rndrw"] {
            let run = format!("fileio run --quiet --mode {mode} --io {io} --depth 128");
            let line = format!("{WBENCH} {run} --threads 16 --events 0 --time 3 {set}");
            let maximum = max_resident_mib(command(dir, &line))?;
            let met = maximum < TARGET_MIB;
            all_met &= met;
            println!(
                "{io} {mode}, 16 threads: maximum resident memory {maximum:.1} MiB, \
                 target below {TARGET_MIB}: {}",
                verdict(met)
            );
        }
    }
    wbench_step(dir, "fileio cleanup --quiet --files 128")?;
    Ok(all_met)
}

fn max_resident_mib(mut command: Command) -> Result<f64> {
    let mut child = command.spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut maximum = 0.0f64;
    while child.try_wait()?.is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok());
        maximum = maximum.max(kib.unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(maximum / 1024.0)
}

/// Prepare, run and clean-up of 1,000 and of 10,000 files of 1 MiB, which should scale linearly.
fn many_files(dir: &Path) -> Result<bool> {
    const MAX_RATIO: f64 = 15.0;
    let times = |files: u64| -> Result<[f64; 3]> {
        let set = format!("--files {files} --total-size {files}M");
        let requests = files * 20;
        let seconds = |step: String| seconds_of(|| wbench_step(dir, &step));
        Ok([
            seconds(format!("fileio prepare --quiet {set}"))?,
            seconds(format!(
                "fileio run --quiet --mode rndrd --events {requests} --time 0 {set}"
            ))?,
            seconds(format!("fileio cleanup --quiet --files {files}"))?,
        ])
    };
    let (few, many) = (times(1_000)?, times(10_000)?);
    let mut all_met = true;
    for (step, (few, many)) in ["prepare", "run", "cleanup"]
        .iter()
        .zip(few.iter().zip(many))
    {
        let ratio = many / few;
        all_met &= ratio < MAX_RATIO;
        println!(
            "{step}: 1,000 files {few:.2} s, 10,000 files {many:.2} s, ratio {ratio:.1}, target \
             below {MAX_RATIO}: {}",
            verdict(ratio < MAX_RATIO)
        );
    }
    Ok(all_met)
}
