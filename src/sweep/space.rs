//! Disk, memory and preparation time that concurrent instances need, estimated from one small
//! trial.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::statvfs::statvfs;

use super::Sweep;
use super::folders::Folders;
use super::process::end_with_this_process;
use crate::host::{self, Root};
use crate::plan::{FilePlan, RunPlan};
use crate::size::Size;

/// Maximum bytes written by a trial.
const TRIAL: u64 = 64 << 20;

/// Fixed allowance of a start beyond the trial: overhead of the launcher and the unforeseen.
const LAUNCH: Duration = Duration::from_secs(2);

/// Minimum time per additional launch.
const EACH: Duration = Duration::from_millis(100);

/// Safety factor on times from the trial: concurrent instances compete.
const MARGIN: f64 = 2.0;

/// Resources that one instance needs.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// Bytes of its files in the sweep's directory; None if they are elsewhere or there are none.
    pub disk: Option<u64>,
    /// Bytes of memory.
    pub memory: u64,
    /// Time from its launch until it is ready to start, when alone.
    ready: Duration,
    /// Time to create its files, when alone.
    files: Duration,
}

/// Available resources; None if unknown.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Free bytes in the file system of the sweep's directory.
    pub disk: Option<u64>,
    /// Available memory in bytes.
    pub memory: Option<u64>,
}

impl Need {
    /// Measures the preparation of an instance in one of the sweep's directories.
    pub fn of(sweep: &Sweep, folders: &Folders) -> Result<Self> {
        let plan = &sweep.measurement.plan;
        let here = sweep.environments.iter().any(|env| !sweep.has_own_dir(env));
        let set = plan.files.as_ref().filter(|_| here);
        let began = Instant::now();
        trial(
            sweep,
            &["cpu", "--max-prime", "3", "--events", "1", "--quiet"].map(str::to_owned),
        )?;
        let ready = began.elapsed();
        let files = match set {
            Some(set) if !creates_files(plan) => fill(sweep, folders, set)?,
            _ => Duration::ZERO,
        };
        let most_so_far = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
        let process = u64::try_from(most_so_far).unwrap_or(0) << 10;
        Ok(Self {
            disk: set.map(|set| set.set.total_size()),
            memory: process.saturating_add(plan.test.buffer_bytes(plan.threads.get())),
            ready,
            files,
        })
    }

    /// Returns how long before their common start N instances are launched.
    pub fn lead(&self, instances: u32, cpus: u32) -> Duration {
        let shared = f64::from(instances) / f64::from(cpus.max(1));
        let ready = self.ready.mul_f64(shared * MARGIN);
        let launches = LAUNCH + ready.max(EACH * instances);
        launches + self.files.mul_f64(f64::from(instances) * MARGIN)
    }

    /// Describes what N instances need and what is available.
    pub fn told(&self, instances: u32, room: &Room) -> String {
        let many = u64::from(instances);
        let disk = self.disk.map(|disk| {
            let free = room.disk.map_or("unknown".into(), gib);
            format!(
                "{} of disk ({free} free) and ",
                gib(disk.saturating_mul(many))
            )
        });
        format!(
            "{instances} at a time need {}{} of memory ({} available), beside what launchers need",
            disk.unwrap_or_default(),
            gib(self.memory.saturating_mul(many)),
            room.memory.map_or("unknown".into(), gib)
        )
    }

    /// Fails if N instances do not fit; the error says what to change.
    pub fn check(&self, instances: u32, room: &Room, dir: &Path) -> Result<()> {
        let many = u64::from(instances);
        if let (Some(disk), Some(free)) = (self.disk, room.disk) {
            let needed = disk.saturating_mul(many);
            ensure!(
                needed <= free,
                "{instances} instances with {} of files each need {}, and {} has {} free: take a \
                 smaller --total-size, a lower --concurrency or another --dir, or go on all the \
                 same with --overcommit",
                Size(disk),
                gib(needed),
                dir.display(),
                gib(free)
            );
        }
        if let Some(available) = room.memory {
            let needed = self.memory.saturating_mul(many);
            ensure!(
                needed <= available,
                "{instances} instances with {} of memory each need {}, and {} are available: take \
                 a smaller --block-size or a lower --concurrency, or go on all the same with \
                 --overcommit",
                gib(self.memory),
                gib(needed),
                gib(available)
            );
        }
        Ok(())
    }
}

impl Room {
    /// Returns what is available now.
    pub fn now(dir: &Path) -> Self {
        let bytes = |fs: nix::sys::statvfs::Statvfs| fs.blocks_available() * fs.fragment_size();
        Self {
            disk: statvfs(dir).ok().map(bytes),
            memory: host::memory_available(&Root::default()),
        }
    }
}

fn creates_files(plan: &RunPlan) -> bool {
    plan.test
        .fileio()
        .is_some_and(|params| params.mode.creates_files())
}

/// Estimates the time to create a file set by creating a small one.
fn fill(sweep: &Sweep, folders: &Folders, plan: &FilePlan) -> Result<Duration> {
    let Some(dir) = folders.make_named("trial")? else {
        return Ok(Duration::ZERO);
    };
    let took = fill_in(sweep, dir.path(), plan);
    if let Err(stays) = folders.remove(&dir) {
        bail!("the trial run left files: {stays}");
    }
    took
}

fn fill_in(sweep: &Sweep, dir: &Path, plan: &FilePlan) -> Result<Duration> {
    let total = plan.set.total_size();
    let part = total.min(TRIAL);
    let words = |step: &str| {
        let dir = dir.display().to_string();
        let size = part.to_string();
        [
            "fileio",
            step,
            "--quiet",
            "--files",
            "4",
            "--block-size",
            "1",
            "--total-size",
            &size,
            "--dir",
            &dir,
        ]
        .map(str::to_owned)
    };
    let began = Instant::now();
    let filled = trial(sweep, &words("prepare"));
    let took = began.elapsed();
    // Not tied to the sweep: the files must be removed in any case.
    succeed(sweep, &mut this_program(sweep, &words("cleanup")))?;
    filled?;
    Ok(took.mul_f64(total as f64 / part as f64))
}

/// Runs this program as a child that ends with the sweep.
fn trial(sweep: &Sweep, words: &[String]) -> Result<()> {
    let mut command = this_program(sweep, words);
    end_with_this_process(&mut command);
    succeed(sweep, &mut command)
}

fn this_program(sweep: &Sweep, words: &[String]) -> Command {
    let mut command = Command::new(&sweep.program);
    command.args(words).stdin(Stdio::null());
    command
}

fn succeed(sweep: &Sweep, command: &mut Command) -> Result<()> {
    let starting = || format!("starting {}", sweep.program);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(starting)?;
    let mut stderr = Vec::new();
    let read = child
        .stderr
        .take()
        .map(|mut it| it.read_to_end(&mut stderr));
    let status = child.wait().with_context(starting)?;
    read.transpose().context("reading the errors of a trial")?;
    ensure!(
        status.success(),
        "a trial of one instance failed: {}",
        String::from_utf8_lossy(&stderr).trim()
    );
    Ok(())
}

fn gib(bytes: u64) -> String {
    let gib = bytes as f64 / f64::from(1 << 30);
    match gib < 1.0 {
        true => format!("{:.1} MiB", gib * 1024.0),
        false => format!("{gib:.1} GiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(disk: Option<u64>, memory: u64) -> Need {
        Need {
            disk,
            memory,
            ready: Duration::from_millis(100),
            files: Duration::from_secs(3),
        }
    }

    #[test]
    fn a_sweep_that_does_not_fit_is_refused_with_both_sizes_and_advice() {
        let room = Room {
            disk: Some(20 << 30),
            memory: Some(1 << 30),
        };
        let dir = Path::new("/data");
        need(Some(10 << 30), 1 << 20).check(2, &room, dir).unwrap();
        let error = need(Some(10 << 30), 0)
            .check(3, &room, dir)
            .unwrap_err()
            .to_string();
        for word in [
            "30.0 GiB",
            "20.0 GiB",
            "/data",
            "--total-size",
            "--overcommit",
        ] {
            assert!(error.contains(word), "{word}: {error}");
        }
        let error = need(None, 600 << 20)
            .check(2, &room, dir)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("1.2 GiB") && error.contains("1.0 GiB"),
            "{error}"
        );
        let unknown = Room {
            disk: None,
            memory: None,
        };
        need(Some(u64::MAX), u64::MAX)
            .check(u32::MAX, &unknown, dir)
            .unwrap();
    }

    #[test]
    fn the_lead_grows_with_instances_and_their_files() {
        let with = need(Some(1), 1);
        let without = Need {
            files: Duration::ZERO,
            ..with
        };
        assert!(without.lead(2, 2) >= LAUNCH);
        assert!(without.lead(64, 2) > without.lead(2, 2));
        assert_eq!(
            with.lead(8, 2) - without.lead(8, 2),
            Duration::from_secs(48)
        );
    }
}
