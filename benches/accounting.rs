//! The time budget of runs: whether its components add up, and what reading them costs.
//!
//! `cargo bench --bench accounting [-- RUNS] [-- NAME...]` prints one line per check whose name
//! contains one of the arguments. The exit status is 1 if a target is missed.

mod paired;

use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use paired::{Ranged, pairs, run_selected, sample, verdict, wbench, wbench_step};
use serde_json::Value;
use wbench::host::SystemRoot;
use wbench::host::accounting::{ReadyThread, SystemCounters};

/// Share of the runs in which the components must add up.
const RUNS_SHARE: f64 = 0.95;

/// Largest share of the time of the threads that the CPU time and the wait for CPUs may miss in a test
/// that never waits.
const CPU_ERROR: f64 = 0.01;

/// Largest difference between the time in which threads were off the CPU and that by the latencies,
/// as a share of the latter.
const BLOCKED_ERROR: f64 = 0.03;

/// Longest time to read all counters before and after a run, in milliseconds.
const READING_MS: f64 = 1.0;

type Benchmark = fn(&Path) -> Result<bool>;

fn main() -> Result<ExitCode> {
    let dir = paired::work_dir()?;
    let benchmarks: [(&str, Benchmark); 4] = [
        ("cpu, quiet", |dir| cpu_adds_up("cpu, no other load", dir)),
        ("cpu, busy", |dir| {
            let _hogs = Hogs::start()?;
            cpu_adds_up("cpu, two busy processes per CPU", dir)
        }),
        ("fileio", blocked_agrees),
        ("reading", |_| reading_is_cheap()),
    ];
    run_selected(&benchmarks, |run| run(dir.path()))
}

/// Two processes per CPU that take all of the time that they can get.
struct Hogs(Vec<Child>);

impl Hogs {
    fn start() -> Result<Self> {
        let mut hogs = Self(Vec::new());
        for _ in 0..2 * wbench::host::cpus() {
            let hog = Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .spawn();
            hogs.0.push(hog.context("cannot start a busy process")?);
        }
        Ok(hogs)
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        for hog in &mut self.0 {
            let _ = hog.kill();
            let _ = hog.wait();
        }
    }
}

/// Checks that a thread that never waits is either running or waiting for a CPU.
fn cpu_adds_up(name: &str, dir: &Path) -> Result<bool> {
    let errors = repeat(|| {
        let result = wbench(dir, "cpu --events 0 --time 1")?;
        let thread_s = seconds(&result, "thread_s")?;
        let mut sum = 0.0;
        for component in ["user_s", "system_s", "contended_s", "throttled_s"] {
            sum += seconds(&result, component)?;
        }
        Ok((sum - thread_s).abs() / thread_s)
    })?;
    report(name, "of the time is missing", errors, CPU_ERROR)
}

/// Checks that the time off the CPU is what the latencies of synchronous requests contain besides
/// CPU time.
fn blocked_agrees(dir: &Path) -> Result<bool> {
    let set = "--files 4 --total-size 256M";
    wbench_step(dir, &format!("fileio prepare {set} --quiet"))?;
    let line = format!("fileio run --mode rndrd --events 0 --time 1 {set}");
    let errors = repeat(|| {
        let result = wbench(dir, &line)?;
        let cpu_s = seconds(&result, "user_s")? + seconds(&result, "system_s")?;
        let event_time_s = result["totals"]["event_time_s"].as_f64();
        let expected_s = event_time_s.context("no event time")? - cpu_s;
        let mut off_cpu_s = 0.0;
        for component in ["blocked_s", "contended_s", "throttled_s", "stolen_s"] {
            off_cpu_s += seconds(&result, component)?;
        }
        Ok((off_cpu_s - expected_s).abs() / expected_s)
    })?;
    wbench_step(dir, &format!("fileio cleanup {set} --quiet"))?;
    let name = "fileio, random reads with O_DIRECT";
    report(name, "between budget and latencies", errors, BLOCKED_ERROR)
}

/// Measures the readings of one thread and of the machine before and after a run.
fn reading_is_cheap() -> Result<bool> {
    let mut times = Vec::new();
    for _ in 0..pairs(100) {
        let began = Instant::now();
        let counters = SystemCounters::find(SystemRoot::default(), None);
        let before = counters.read();
        let started = ReadyThread::read().start();
        let _thread = started.end();
        let _activity = counters.since(&before);
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let times = sample(times)?;
    let met = times.median().value <= READING_MS;
    println!(
        "reading all counters, 1 thread: {} ms, target at most {READING_MS}: {}",
        Ranged(&times),
        verdict(met)
    );
    Ok(met)
}

/// Returns the values of as many runs as requested.
fn repeat(mut run: impl FnMut() -> Result<f64>) -> Result<Vec<f64>> {
    (0..pairs(100)).map(|_| run()).collect()
}

fn seconds(result: &Value, component: &str) -> Result<f64> {
    let value = result["accounting"][component].as_f64();
    value.with_context(|| format!("accounting.{component} is unknown"))
}

/// Prints how many errors are within the limit, and returns whether these are enough.
fn report(name: &str, what: &str, errors: Vec<f64>, limit: f64) -> Result<bool> {
    let within = errors.iter().filter(|&&error| error <= limit).count();
    let share = within as f64 / errors.len() as f64;
    let met = share >= RUNS_SHARE;
    let percent = sample(errors.into_iter().map(|error| error * 100.0).collect())?;
    println!(
        "{name}: {} % {what}; {:.0} % of the runs within {} %, target at least {:.0} %: {}",
        Ranged(&percent),
        share * 100.0,
        limit * 100.0,
        RUNS_SHARE * 100.0,
        verdict(met)
    );
    Ok(met)
}
