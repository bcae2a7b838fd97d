//! Causes that `wbench compare` names: false ones for equal environments, and injected ones.
//!
//! `cargo bench --bench causes [-- COMPARISONS] [-- NAME...]` makes comparisons of real runs, whose two
//! sides alternate. It prints one row of a table for each scenario whose name contains one of the
//! arguments. The exit status is 1 if a target is missed. Needs root, taskset, and a `cpu` and `blkio`
//! control group hierarchy of version 1. `WBENCH_BENCH_DIR` sets the working directory, which must be
//! on a block device.

mod injection;
#[path = "../paired/mod.rs"]
mod paired;

use std::fmt;
use std::fs;
use std::io::{Write as _, stderr};
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use injection::{Injection, Preferred};
use paired::{WBENCH, output, pairs, run_selected, verdict, wbench, wbench_step, work_dir};
use serde_json::Value;

/// Runs of each side of a comparison.
const RUNS: usize = 6;

/// Sides of a comparison.
const SIDES: [&str; 2] = ["baseline", "candidate"];

/// Parameters of the runs: short, so that a campaign takes minutes.
const CPU: &str = "cpu --max-prime 5000 --events 400";
/// For a quota: many periods of it, because the time of the first and the last varies.
const LONG_CPU: &str = "cpu --max-prime 5000 --events 1000";
const MEMORY: &str = "memory --block-size 64K --total-size 512M";
const CACHED: &str =
    "fileio run --mode rndrd --flags none --files 1 --total-size 16M --events 20000";
const DIRECT: &str =
    "fileio run --mode rndrd --flags direct --files 1 --total-size 16M --events 300";
const PREPARE: &str = "fileio prepare --quiet --files 1 --total-size 16M";

/// Default number of comparisons of a scenario.
const DEFAULT: usize = 200;

/// Targets: shares of comparisons that name a cause although the environments are equal, that name an
/// injected cause first, and that name another first.
const MAX_FALSE: f64 = 0.05;
const MIN_RIGHT: f64 = 0.95;
const MAX_WRONG: f64 = 0.02;

/// What is compared.
struct Scenario {
    name: &'static str,
    arguments: &'static str,
    injection: Option<Injection>,
}

/// Outcome of the comparisons of a scenario.
#[derive(Default)]
struct Tally {
    comparisons: usize,
    /// Comparisons with a significant difference.
    different: usize,
    /// Comparisons in which the injected cause has the largest share.
    right: usize,
    /// Comparisons in which another cause has.
    wrong: usize,
    /// Comparisons that name another cause after the injected one.
    also: usize,
}

fn main() -> Result<ExitCode> {
    println!("| scenario | comparisons | different | right | wrong | also named | target |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | --- |");
    let scenarios = [
        Scenario::equal("equal: cpu", CPU),
        Scenario::equal("equal: memory", MEMORY),
        Scenario::equal("equal: fileio from the page cache", CACHED),
        Scenario::equal("equal: fileio with O_DIRECT", DIRECT),
        Scenario::injected("busy loop on the same CPU", CPU, Injection::BusyLoop),
        Scenario::injected("CPU quota", LONG_CPU, Injection::Quota),
        Scenario::injected("SIGSTOP", CPU, Injection::Stop),
        Scenario::injected("slow device", DIRECT, Injection::SlowDevice),
    ];
    let named = scenarios.map(|scenario| (scenario.name, scenario));
    run_selected(&named, |scenario| {
        let tally = scenario.tally()?;
        let met = tally.meets_target(scenario);
        println!("| {} {tally} {} |", scenario.name, verdict(met));
        Ok(met)
    })
}

impl Scenario {
    fn equal(name: &'static str, arguments: &'static str) -> Self {
        Self {
            name,
            arguments,
            injection: None,
        }
    }

    fn injected(name: &'static str, arguments: &'static str, injection: Injection) -> Self {
        Self {
            name,
            arguments,
            injection: Some(injection),
        }
    }

    /// Makes all comparisons.
    fn tally(&self) -> Result<Tally> {
        let dir = work_dir()?;
        wbench_step(dir.path(), PREPARE)?;
        let _preferred = self.injection.map(|_| Preferred::new()).transpose()?;
        let mut tally = Tally::default();
        for comparison in 0..pairs(DEFAULT) {
            for run in 0..RUNS {
                // Which side runs first alternates, so that neither always follows the other.
                let mut order = [0, 1];
                order.rotate_left((comparison + run) % 2);
                for side in order {
                    let result = match self.injection {
                        None => wbench(dir.path(), self.arguments)?.to_string(),
                        Some(_) if side == 0 => injection::run(None, dir.path(), self.arguments)?,
                        injection => injection::run(injection, dir.path(), self.arguments)?,
                    };
                    let directory = dir.path().join(SIDES[side]);
                    fs::create_dir_all(&directory)?;
                    fs::write(directory.join(format!("{run}.json")), result)?;
                }
            }
            tally.count(self, &why(dir.path())?);
        }
        Ok(tally)
    }
}

/// What a comparison of the two directories says about the candidate.
struct Answer {
    different: bool,
    causes: Vec<String>,
    /// The components in nanoseconds per event, and their shares.
    text: String,
}

fn why(dir: &Path) -> Result<Answer> {
    let mut command = Command::new(WBENCH);
    command.current_dir(dir).arg("compare").args(SIDES);
    command.args(["--format", "json"]);
    let comparison: Value = serde_json::from_str(&output(command)?)?;
    let candidate = &comparison["rows"][0]["groups"][1];
    let verdict = candidate["verdict"].as_str().context("no verdict")?;
    let causes = candidate["why"]["causes"].as_array();
    let names = causes.into_iter().flatten().filter_map(Value::as_str);
    Ok(Answer {
        different: matches!(verdict, "better" | "worse"),
        causes: names.map(str::to_owned).collect(),
        text: components(&candidate["why"]),
    })
}

fn components(why: &Value) -> String {
    let components = why["components"].as_array().into_iter().flatten();
    let texts: Vec<_> = components
        .map(|it| {
            let interval = &it["share"]["interval"];
            format!(
                "{} {:.0} to {:.0}, share {} [{}, {}]",
                it["component"].as_str().unwrap_or_default(),
                it["baseline_ns"].as_f64().unwrap_or(f64::NAN),
                it["group_ns"].as_f64().unwrap_or(f64::NAN),
                it["share"]["value"],
                interval["low"],
                interval["high"],
            )
        })
        .collect();
    texts.join("; ")
}

impl Tally {
    fn count(&mut self, scenario: &Scenario, answer: &Answer) {
        let expected = scenario.injection.map(Injection::component);
        let is_expected = |cause: &String| Some(cause.as_str()) == expected;
        self.comparisons += 1;
        self.different += usize::from(answer.different);
        let (first, others) = match answer.causes.split_first() {
            Some((first, others)) => (Some(first), others),
            None => (None, [].as_slice()),
        };
        self.right += usize::from(first.is_some_and(is_expected));
        self.wrong += usize::from(first.is_some_and(|cause| !is_expected(cause)));
        self.also += usize::from(first.is_some_and(is_expected) && !others.is_empty());
        let as_expected = match expected {
            Some(cause) => answer.causes == [cause],
            None => answer.causes.is_empty(),
        };
        if !as_expected {
            _ = writeln!(stderr(), "{}: {}", scenario.name, answer.text);
        }
    }

    fn meets_target(&self, scenario: &Scenario) -> bool {
        let share = |count: usize| count as f64 / self.comparisons as f64;
        match scenario.injection {
            None => share(self.wrong) <= MAX_FALSE,
            Some(_) => share(self.right) >= MIN_RIGHT && share(self.wrong) <= MAX_WRONG,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            comparisons,
            different,
            right,
            wrong,
            also,
        } = self;
        write!(
            f,
            "| {comparisons} | {different} | {right} | {wrong} | {also} |"
        )
    }
}
