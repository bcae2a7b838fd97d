//! File I/O compared with fio, dd and sysbench, and resource use with many threads and files.
//!
//! `cargo bench --bench fileio [-- WORD...]` runs the comparisons whose name contains one of the
//! words. Runs of the two sides alternate, and the result is the median of the ratios of the pairs, so
//! that a change of the machine's speed affects both sides. `WBENCH_BENCH_DIR` sets the working
//! directory, which needs about 10 GiB; `WBENCH_BENCH_PAIRS` sets the number of pairs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Duration of a run that measures a rate, in seconds.
const SECONDS: u64 = 5;

/// Runs a comparison and prints its result.
type Comparison = fn(&Workspace) -> Result<()>;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&String> = words.iter().filter(|w| !w.starts_with("--")).collect();
    let comparisons: [(&str, Comparison); 6] = [
        ("aio vs fio", |workspace| queue(workspace, "aio", "libaio")),
        ("uring vs fio", |workspace| {
            queue(workspace, "uring", "io_uring")
        }),
        ("prepare vs dd", prepare_vs_dd),
        ("prepare vs sysbench", prepare_vs_sysbench),
        ("memory of 16 threads", memory),
        ("10,000 files", many_files),
    ];
    let workspace = Workspace::new()?;
    for (name, run) in comparisons {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            println!("{name}");
            run(&workspace).with_context(|| name.to_owned())?;
        }
    }
    Ok(())
}

/// The working directory and the number of pairs.
struct Workspace {
    dir: tempfile::TempDir,
    pairs: usize,
}

impl Workspace {
    fn new() -> Result<Self> {
        let dir = std::env::var_os("WBENCH_BENCH_DIR");
        let dir = dir.map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
        let pairs = std::env::var("WBENCH_BENCH_PAIRS");
        Ok(Self {
            dir: tempfile::tempdir_in(dir)?,
            pairs: pairs.map_or(Ok(5), |pairs| pairs.parse())?,
        })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn wbench(&self, arguments: &str) -> Result<Value> {
        let json = self.path().join("result.json");
        let mut command = self.command(arguments);
        if arguments.contains("run") {
            command.arg("--json").arg(&json);
        }
        finish(command)?;
        Ok(match arguments.contains("run") {
            true => serde_json::from_slice(&std::fs::read(json)?)?,
            false => Value::Null,
        })
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wbench"));
        command
            .arg("fileio")
            .args(arguments.split(' '))
            .args(["--quiet", "--dir"])
            .arg(self.path());
        command
    }
}

/// Runs both sides alternately and prints the median of each and of the pairwise ratios.
fn compare(
    pairs: usize,
    unit: &str,
    target: &str,
    mut ours: impl FnMut() -> Result<f64>,
    (name, mut theirs): (&str, impl FnMut() -> Result<f64>),
) -> Result<()> {
    let (mut mine, mut others, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        // The order alternates, so that neither side always runs in the state the other left behind.
        let (one, other) = if pair % 2 == 0 {
            let one = ours()?;
            (one, theirs()?)
        } else {
            let other = theirs()?;
            (ours()?, other)
        };
        mine.push(one);
        others.push(other);
        ratios.push(one / other);
    }
    let (low, high) = (least(&ratios), -least(&negated(&ratios)));
    println!(
        "  wbench {:.1} {unit}, {name} {:.1} {unit}, ratio {:.3} ({low:.3} to {high:.3}), \
         n = {pairs}, target {target}",
        median(&mut mine),
        median(&mut others),
        median(&mut ratios)
    );
    Ok(())
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn negated(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| -value).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

fn finish(mut command: Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_owned();
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program:?}, which this comparison needs"))?;
    let errors = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{program:?} failed: {errors}");
    Ok(done.stdout)
}

fn seconds_of(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Random O_DIRECT reads of the same files at a queue depth of 32.
fn queue(workspace: &Workspace, io: &str, engine: &str) -> Result<()> {
    let set = "--files 8 --total-size 2G";
    workspace.wbench(&format!("prepare {set}"))?;
    let ours = || {
        let run = format!(
            "run --mode rndrd --io {io} --depth 32 --flags direct --events 0 --time {SECONDS} {set}"
        );
        workspace.wbench(&run)?["rates"]["events_per_s"]
            .as_f64()
            .context("no rate in the result")
    };
    let theirs = || {
        let names: Vec<String> = (0..8).map(|file| format!("test_file.{file}")).collect();
        let mut fio = Command::new("fio");
        fio.current_dir(workspace.path());
        fio.args(["--name=peer", "--iodepth=32", "--direct=1", "--rw=randread"]);
        fio.args(["--bs=4k", "--time_based", "--output-format=json"]);
        fio.args([
            format!("--ioengine={engine}"),
            format!("--filename={}", names.join(":")),
            format!("--runtime={SECONDS}"),
        ]);
        let report: Value = serde_json::from_slice(&finish(fio)?)?;
        report["jobs"][0]["read"]["iops"]
            .as_f64()
            .context("no rate in fio's output")
    };
    compare(workspace.pairs, "reads/s", ">= 0.97", ours, ("fio", theirs))?;
    workspace.wbench("cleanup --files 8").map(drop)
}

const PREPARED_MIB: f64 = 8192.0;

fn prepare_rate(workspace: &Workspace) -> Result<f64> {
    let seconds = seconds_of(|| {
        workspace
            .wbench("prepare --files 128 --total-size 8G")
            .map(drop)
    })?;
    workspace.wbench("cleanup --files 128")?;
    Ok(PREPARED_MIB / seconds)
}

fn prepare_vs_dd(workspace: &Workspace) -> Result<()> {
    let theirs = || {
        let file = workspace.path().join("dd");
        let seconds = seconds_of(|| {
            let mut dd = Command::new("dd");
            dd.args(["if=/dev/zero", "bs=1M", "count=8192", "oflag=direct"]);
            dd.args(["conv=fsync".into(), format!("of={}", file.display())]);
            finish(dd).map(drop)
        })?;
        std::fs::remove_file(file)?;
        Ok(PREPARED_MIB / seconds)
    };
    compare(
        workspace.pairs,
        "MiB/s",
        ">= 0.8",
        || prepare_rate(workspace),
        ("dd", theirs),
    )
}

fn prepare_vs_sysbench(workspace: &Workspace) -> Result<()> {
    let theirs = || {
        let sysbench = |step: &str| {
            let mut command = Command::new("sysbench");
            command.current_dir(workspace.path());
            command.args(["fileio", "--file-total-size=8G", "--file-num=128"]);
            command.args(["--file-block-size=4096", step]);
            finish(command).map(drop)
        };
        let seconds = seconds_of(|| sysbench("prepare"))?;
        sysbench("cleanup")?;
        Ok(PREPARED_MIB / seconds)
    };
    compare(
        workspace.pairs,
        "MiB/s",
        ">= 5",
        || prepare_rate(workspace),
        ("sysbench", theirs),
    )
}

/// Maximum resident memory with 128 files and 16 threads at a queue depth of 128 each.
fn memory(workspace: &Workspace) -> Result<()> {
    let set = "--files 128 --total-size 512M";
    workspace.wbench(&format!("prepare {set}"))?;
    for io in ["aio", "uring"] {
        for mode in ["rndrd", "rndrw"] {
            let arguments = format!(
                "run --mode {mode} --io {io} --depth 128 --threads 16 --events 0 --time 3 {set}"
            );
            let mut child = workspace.command(&arguments).spawn()?;
            let status = format!("/proc/{}/status", child.id());
            let mut maximum = 0.0f64;
            while child.try_wait()?.is_none() {
                let text = std::fs::read_to_string(&status).unwrap_or_default();
                let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let kib = line.and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok());
                maximum = maximum.max(kib.unwrap_or(0.0));
                std::thread::sleep(Duration::from_millis(50));
            }
            println!(
                "  {io} {mode}: maximum resident memory {:.1} MiB, target < 64",
                maximum / 1024.0
            );
        }
    }
    workspace.wbench("cleanup --files 128").map(drop)
}

/// Prepare, run and clean-up of 1,000 and of 10,000 files of 1 MiB; expected to scale linearly.
fn many_files(workspace: &Workspace) -> Result<()> {
    let times = |files: u64| -> Result<[f64; 3]> {
        let set = format!("--files {files} --total-size {files}M");
        Ok([
            seconds_of(|| workspace.wbench(&format!("prepare {set}")).map(drop))?,
            seconds_of(|| {
                let requests = files * 20;
                let run = format!("run --mode rndrd --events {requests} --time 0 {set}");
                workspace.wbench(&run).map(drop)
            })?,
            seconds_of(|| {
                workspace
                    .wbench(&format!("cleanup --files {files}"))
                    .map(drop)
            })?,
        ])
    };
    let (few, many) = (times(1_000)?, times(10_000)?);
    for (step, (few, many)) in ["prepare", "run", "cleanup"]
        .iter()
        .zip(few.iter().zip(many))
    {
        println!(
            "  {step}: 1,000 files {few:.2} s, 10,000 files {many:.2} s, ratio {:.1}",
            many / few
        );
    }
    Ok(())
}
