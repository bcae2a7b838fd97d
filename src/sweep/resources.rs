//! Disk, memory and preparation time that concurrent instances need, estimated from one small
//! trial.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use super::Sweep;
use super::directory::SweepDirectory;
use super::trial::{prepare_time, startup_time};
use crate::host::{self, SystemRoot};
use crate::plan::RunPlan;
use crate::size::Size;

/// Fixed allowance of a start beyond the trial: overhead of the launcher and the unforeseen.
const LAUNCH: Duration = Duration::from_secs(2);

/// Minimum time per additional launch.
const EACH: Duration = Duration::from_millis(100);

/// Safety factor on times from the trial: concurrent instances compete.
const MARGIN: f64 = 2.0;

/// Resources that one instance needs.
#[derive(Debug, Clone, Copy)]
pub struct ResourceEstimate {
    /// Bytes of its files in the sweep's directory; None if they are elsewhere or it has none.
    pub disk: Option<u64>,
    /// Bytes of memory.
    pub memory: u64,
    /// Time from its launch until it is ready to start, when alone.
    startup: Duration,
    /// Time to create its files, when alone.
    prepare: Duration,
}

/// Available resources; None if unknown.
#[derive(Debug, Clone, Copy)]
pub struct AvailableResources {
    /// Free bytes in the file system of the sweep's directory.
    pub disk: Option<u64>,
    /// Available memory in bytes.
    pub memory: Option<u64>,
}

impl ResourceEstimate {
    /// Measures the preparation of an instance in one of the sweep's directories.
    pub fn measure(sweep: &Sweep, directory: &SweepDirectory) -> Result<Self> {
        let plan = &sweep.measurement.plan;
        let is_in_directory = sweep.environments.iter().any(|env| !sweep.has_own_dir(env));
        let files = plan.files.as_ref().filter(|_| is_in_directory);
        let startup = startup_time(sweep)?;
        let prepare = match files {
            Some(files) if !creates_files_during_run(plan) => {
                prepare_time(sweep, directory, files)?
            }
            _ => Duration::ZERO,
        };
        let largest_kib = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
        let process = u64::try_from(largest_kib).unwrap_or(0) << 10;
        Ok(Self {
            disk: files.map(|files| files.set.total_size()),
            memory: process.saturating_add(plan.test.buffer_bytes(plan.threads.get())),
            startup,
            prepare,
        })
    }

    /// Returns how long before their common start N instances are launched.
    pub fn lead(&self, instances: u32, cpus: u32) -> Duration {
        let per_cpu = f64::from(instances) / f64::from(cpus.max(1));
        let startup = self.startup.mul_f64(per_cpu * MARGIN);
        let launches = LAUNCH + startup.max(EACH * instances);
        launches + self.prepare.mul_f64(f64::from(instances) * MARGIN)
    }

    /// Describes what N instances need and what is available.
    pub fn describe(&self, instances: u32, available: &AvailableResources) -> String {
        let size = |bytes: Option<u64>| bytes.map_or("unknown".into(), gib);
        let disk = self.disk.map(|disk| {
            format!(
                "{} of disk space ({} available) and ",
                gib(total(disk, instances)),
                size(available.disk)
            )
        });
        format!(
            "{} {}{} of memory ({} available), in addition to what launchers need",
            needs_of(instances, ""),
            disk.unwrap_or_default(),
            gib(total(self.memory, instances)),
            size(available.memory)
        )
    }

    /// Fails if N instances do not fit; the error says what to change.
    pub fn check(&self, instances: u32, available: &AvailableResources, dir: &Path) -> Result<()> {
        self.check_disk(instances, available, dir)?;
        self.check_memory(instances, available)
    }

    /// Fails if the files of N instances do not fit.
    pub fn check_disk(
        &self,
        instances: u32,
        available: &AvailableResources,
        dir: &Path,
    ) -> Result<()> {
        if let (Some(disk), Some(free)) = (self.disk, available.disk) {
            let needed = total(disk, instances);
            ensure!(
                needed <= free,
                "{} {}, but {} has {} free: reduce --total-size or --concurrency, choose another \
                 --dir, or continue anyway with --overcommit",
                needs_of(instances, &format!(" with {} of files", Size(disk))),
                gib(needed),
                dir.display(),
                gib(free)
            );
        }
        Ok(())
    }

    /// Fails if the memory of N instances is not available.
    pub fn check_memory(&self, instances: u32, available: &AvailableResources) -> Result<()> {
        if let Some(free) = available.memory {
            let needed = total(self.memory, instances);
            ensure!(
                needed <= free,
                "{} {}, but only {} is available: reduce --block-size or --concurrency, or continue \
                 anyway with --overcommit",
                needs_of(instances, &format!(" with {} of memory", gib(self.memory))),
                gib(needed),
                gib(free)
            );
        }
        Ok(())
    }
}

impl AvailableResources {
    /// Returns what is available now.
    pub fn now(dir: &Path) -> Self {
        Self {
            disk: host::free_bytes(dir),
            memory: host::memory_available(&SystemRoot::default()),
        }
    }
}

/// Returns "1 instance with X needs", or "N concurrent instances with X each need".
fn needs_of(instances: u32, with: &str) -> String {
    match (instances, with) {
        (1, with) => format!("1 instance{with} needs"),
        (_, "") => format!("{instances} concurrent instances need"),
        (_, with) => format!("{instances} concurrent instances{with} each need"),
    }
}

fn total(bytes: u64, instances: u32) -> u64 {
    bytes.saturating_mul(instances.into())
}

fn creates_files_during_run(plan: &RunPlan) -> bool {
    let params = plan.test.fileio();
    params.is_some_and(|params| params.mode.creates_files())
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

    fn estimate(disk: Option<u64>, memory: u64) -> ResourceEstimate {
        ResourceEstimate {
            disk,
            memory,
            startup: Duration::from_millis(100),
            prepare: Duration::from_secs(3),
        }
    }

    #[test]
    fn a_sweep_that_does_not_fit_is_refused_with_both_sizes_and_advice() {
        let available = AvailableResources {
            disk: Some(20 << 30),
            memory: Some(1 << 30),
        };
        let dir = Path::new("/data");
        estimate(Some(10 << 30), 1 << 20)
            .check(2, &available, dir)
            .unwrap();
        let error = estimate(Some(10 << 30), 0)
            .check(3, &available, dir)
            .unwrap_err()
            .to_string();
        for part in [
            "30.0 GiB",
            "20.0 GiB",
            "/data",
            "--total-size",
            "--overcommit",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let error = estimate(None, 600 << 20)
            .check(2, &available, dir)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("1.2 GiB") && error.contains("1.0 GiB"),
            "{error}"
        );
        let unknown = AvailableResources {
            disk: None,
            memory: None,
        };
        estimate(Some(u64::MAX), u64::MAX)
            .check(u32::MAX, &unknown, dir)
            .unwrap();
    }

    #[test]
    fn the_lead_grows_with_instances_and_their_files() {
        let with = estimate(Some(1), 1);
        let without = ResourceEstimate {
            prepare: Duration::ZERO,
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
