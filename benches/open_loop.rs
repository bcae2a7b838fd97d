//! The open loop against its laws: the rate, queueing theory, a stopped process, and its own cost.
//!
//! `cargo bench --bench open_loop [-- RUNS] [-- NAME...]`. Needs a machine with an idle CPU. The exit
//! status is 1 if a target is missed.

mod paired;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use paired::{Ranged, WBENCH, pairs, run_selected, sample, verdict, wbench, work_dir};
use serde_json::Value;

type Benchmark = fn(&Path) -> Result<bool>;

fn main() -> Result<ExitCode> {
    let dir = work_dir()?;
    let benchmarks: [(&str, Benchmark); 4] = [
        ("rate", rate),
        ("queueing", queueing),
        ("stop", stop),
        ("cost", cost),
    ];
    run_selected(&benchmarks, |run| run(dir.path()))
}

fn number(result: &Value, pointer: &str) -> Result<f64> {
    let number = result.pointer(pointer).and_then(Value::as_f64);
    number.with_context(|| format!("no {pointer} in the result"))
}

/// Prints the values of several runs and whether their median is within a range.
fn report(name: &str, values: Vec<f64>, least: f64, most: f64) -> Result<bool> {
    let values = sample(values)?;
    let met = (least..=most).contains(&values.median().value);
    println!(
        "{name:<58} {}, target {least} to {most}: {}",
        Ranged(&values),
        verdict(met)
    );
    Ok(met)
}

/// The rate that is reached in 10 s, of uniform arrivals, whose number is exact.
fn rate(dir: &Path) -> Result<bool> {
    let mut all_met = true;
    for rate in ["10", "1000", "100000"] {
        let args = format!("memory --total-size 1T --time 10 --arrival uniform --rate {rate}");
        let wanted: f64 = rate.parse()?;
        let reached = || number(&wbench(dir, &args)?, "/rates/events_per_s");
        let values = (0..pairs(3)).map(|_| Ok(reached()? / wanted));
        let values = values.collect::<Result<_>>()?;
        all_met &= report(&format!("{rate} events/s : rate"), values, 0.999, 1.001)?;
    }
    Ok(all_met)
}

/// An event of constant duration, some tens of microseconds.
const CONSTANT: &str = "cpu --max-prime 1500 --events 0";

/// Returns the duration of an event in seconds.
fn service_s(dir: &Path) -> Result<f64> {
    let closed = wbench(dir, &format!("{CONSTANT} --time 1"))?;
    Ok(number(&closed, "/latency_ns/p50")? / 1e9)
}

/// M/D/1: Poisson arrivals, constant service, one thread. Mean wait of Pollaczek and Khinchine.
fn queueing(dir: &Path) -> Result<bool> {
    let mut all_met = true;
    for utilization in [0.5, 0.7, 0.9] {
        let mut ratios = Vec::new();
        for seed in 0..pairs(3) {
            let rate = utilization / service_s(dir)?;
            let args = format!("{CONSTANT} --time 10 --rate {rate} --seed {seed}");
            let result = wbench(dir, &args)?;
            let service = number(&result, "/service_latency_ns/mean")?;
            let wait = number(&result, "/latency_ns/mean")? - service;
            let busy = number(&result, "/rates/events_per_s")? * service / 1e9;
            ratios.push(wait / (busy * service / (2.0 * (1.0 - busy))));
        }
        let name = format!("mean wait at {utilization} utilization : M/D/1");
        all_met &= report(&name, ratios, 0.9, 1.1)?;
    }
    Ok(all_met)
}

/// How long the process is stopped.
const STOP: Duration = Duration::from_millis(200);

/// Length of a run in seconds.
const STOPPED_RUN_S: f64 = 5.0;

/// A process that SIGSTOP stops for 200 ms at 70 % utilization: the p99.9 and the maximum of an open loop
/// are the analytic ones; a closed loop has the maximum only.
fn stop(dir: &Path) -> Result<bool> {
    let utilization = 0.7;
    let mut figures: [Vec<f64>; 4] = Default::default();
    for _ in 0..pairs(3) {
        let rate = utilization / service_s(dir)?;
        let (open, stopped_s) = stopped(dir, &format!("--arrival uniform --rate {rate}"))?;
        let service = number(&open, "/service_latency_ns/p50")? / 1e9;
        let busy = number(&open, "/workload/params/rate_per_s")? * service;
        let delayed = stopped_s / (1.0 - busy) / STOPPED_RUN_S;
        let p99_9 = stopped_s * (1.0 - 0.001 / delayed) + service;
        figures[0].push(number(&open, "/latency_ns/p99_9")? / 1e9 / p99_9);
        figures[1].push(number(&open, "/latency_ns/max")? / 1e9 / (stopped_s + service));
        let (closed, stopped_s) = stopped(dir, "")?;
        figures[2].push(number(&closed, "/latency_ns/p99_9")? / 1e9 / p99_9);
        figures[3].push(number(&closed, "/latency_ns/max")? / 1e9 / (stopped_s + service));
    }
    let [open_p99_9, open_max, closed_p99_9, closed_max] = figures;
    let met = [
        report(
            "stopped for 200 ms, open loop, p99.9 : analytic",
            open_p99_9,
            0.99,
            1.01,
        )?,
        report(
            "stopped for 200 ms, open loop, max : analytic",
            open_max,
            0.99,
            1.01,
        )?,
        report(
            "stopped for 200 ms, closed loop, p99.9 : analytic",
            closed_p99_9,
            0.0,
            0.1,
        )?,
        report(
            "stopped for 200 ms, closed loop, max : analytic",
            closed_max,
            0.99,
            1.01,
        )?,
    ];
    Ok(met.into_iter().all(|met| met))
}

/// Runs events of constant duration, and stops the process after the first second. Returns the result,
/// and for how many seconds it was stopped.
fn stopped(dir: &Path, options: &str) -> Result<(Value, f64)> {
    let line =
        format!("{CONSTANT} --time {STOPPED_RUN_S} --report-interval 1 --json r.json {options}");
    let mut child = Command::new(WBENCH)
        .current_dir(dir)
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    lines.next().context("no interval")??;
    kill(pid, Signal::SIGSTOP)?;
    let began = Instant::now();
    thread::sleep(STOP);
    kill(pid, Signal::SIGCONT)?;
    let stopped_s = began.elapsed().as_secs_f64();
    lines.for_each(drop);
    ensure!(child.wait()?.success(), "{line} failed");
    let result = std::fs::read(dir.join("r.json"))?;
    Ok((serde_json::from_slice(&result)?, stopped_s))
}

/// CPU time per empty event of an open loop beyond capacity, in which no thread waits, above that of a
/// closed loop.
fn cost(dir: &Path) -> Result<bool> {
    let mut all_met = true;
    for arrival in ["poisson", "uniform"] {
        let per_event = |options: &str| -> Result<f64> {
            let args = format!("memory --oper none --total-size 10G --arrival {arrival} {options}");
            let result = wbench(dir, &args)?;
            let cpu_s = number(&result, "/noise/user_s")? + number(&result, "/noise/system_s")?;
            Ok(cpu_s * 1e9 / number(&result, "/totals/events")?)
        };
        let mut more = Vec::new();
        for pair in 0..pairs(7) {
            let (open, closed) = match pair % 2 {
                0 => {
                    let open = per_event("--rate 1e12")?;
                    (open, per_event("--rate 0")?)
                }
                _ => {
                    let closed = per_event("--rate 0")?;
                    (per_event("--rate 1e12")?, closed)
                }
            };
            more.push(open - closed);
        }
        let name = format!("{arrival}: ns per event of an open loop - closed loop");
        all_met &= report(&name, more, 0.0, 30.0)?;
    }
    Ok(all_met)
}
