//! What in a result itself may mislead, with the sentence that says so.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::plan::{IoMode, OpenFlags, Test};
use crate::result::{ClockInfo, PageCache, RunResult, Storage, Warning};

/// Clocks that part by more than this over a run make a warning.
const DRIFT_PPM: f64 = 200.0;

/// A share of the harness in an event's time above which the figure is not about the work alone.
const HARNESS_SHARE: f64 = 0.1;

/// A start later than this is a warning; less is what threads that wait for a CPU may take.
pub const LATE_S: f64 = 0.05;

/// How the page cache gets between a run and its device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CacheEffect {
    /// This share of the set was in memory before the run.
    Resident(f64),
    /// The set fits into memory, so that what is read once is there the next time.
    Fits,
}

/// Why a figure may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum RunWarning {
    /// The clock against CLOCK_MONOTONIC_RAW, in parts per million.
    ClockDrift(f64),
    /// The TSC was wanted and could not be trusted, for this reason.
    ClockFallback(String),
    /// The harness takes this share of the time.
    HarnessShare(f64),
    /// Of the reads, so much of the set (a share) came from memory, or could come to be there.
    PageCache(CacheEffect),
    /// Flags of open(2) have no effect on mapped files.
    MappedFlags,
    /// The files are in memory, on a file system of this type.
    FilesInMemory(String),
    /// The files are in an overlay, as the layers of a container are.
    FilesInOverlay,
    /// The run began so many seconds after the moment that it was to start at.
    LateStart(f64),
    /// The files are smaller than was asked for, as this sentence says.
    RoundedFiles(String),
    /// The run is so small a part of what its profile says.
    Scaled(f64),
}

impl RunWarning {
    /// All that a result gives cause for.
    pub fn of(result: &RunResult) -> Vec<Self> {
        Self::of_clock(&result.clock)
            .into_iter()
            .chain(Self::of_harness(result))
            .chain(Self::of_files(result))
            .chain(Self::of_start(result))
            .collect()
    }

    fn of_files(result: &RunResult) -> Vec<Self> {
        let Test::Fileio(params) = &result.workload.params.test else {
            return Vec::new();
        };
        let cache = result
            .storage
            .as_ref()
            .and_then(|storage| storage.page_cache);
        let effect = cache
            .filter(|_| params.mode.reads())
            .and_then(CacheEffect::of)
            .map(Self::PageCache);
        let mapped = params.io_mode == IoMode::Mmap && params.flags != OpenFlags::None;
        let place = result.storage.as_ref().and_then(Self::of_storage);
        place
            .into_iter()
            .chain(effect)
            .chain(mapped.then_some(Self::MappedFlags))
            .collect()
    }

    /// What the file system of a folder gives cause for.
    pub fn of_storage(storage: &Storage) -> Option<Self> {
        match storage.filesystem.as_deref()? {
            memory @ ("tmpfs" | "ramfs") => Some(Self::FilesInMemory(memory.to_owned())),
            "overlay" => Some(Self::FilesInOverlay),
            _ => None,
        }
    }

    /// All that a clock gives cause for.
    pub fn of_clock(clock: &ClockInfo) -> Vec<Self> {
        let drift = clock
            .drift_ppm
            .filter(|drift| drift.abs() > DRIFT_PPM)
            .map(Self::ClockDrift);
        let fallback = clock.reason.clone().map(Self::ClockFallback);
        drift.into_iter().chain(fallback).collect()
    }

    fn of_harness(result: &RunResult) -> Option<Self> {
        let overhead = result.harness.event_overhead_ns?;
        let work = result.latency_ns.as_ref()?.mean - result.harness.latency_floor_ns?;
        let is_empty = result.workload.params.is_empty_event();
        let share = overhead / (overhead + work.max(0.0));
        (share > HARNESS_SHARE && !is_empty).then_some(Self::HarnessShare(share))
    }

    fn of_start(result: &RunResult) -> Option<Self> {
        let late_s = result.start.as_ref()?.late_s?;
        (late_s > LATE_S).then_some(Self::LateStart(late_s))
    }

    fn code(&self) -> &'static str {
        match self {
            Self::ClockDrift(_) => "clock-drift",
            Self::ClockFallback(_) => "clock-fallback",
            Self::HarnessShare(_) => "harness-share",
            Self::PageCache(_) => "page-cache",
            Self::MappedFlags => "mapped-flags",
            Self::FilesInMemory(_) => "files-in-memory",
            Self::FilesInOverlay => "files-in-overlay",
            Self::LateStart(_) => "late-start",
            Self::RoundedFiles(_) => "rounded-files",
            Self::Scaled(_) => "scaled",
        }
    }
}

impl CacheEffect {
    /// The share of the set in memory that makes a warning.
    const RESIDENT: f64 = 0.01;

    fn of(cache: PageCache) -> Option<Self> {
        let share = cache.resident_bytes as f64 / cache.set_bytes.max(1) as f64;
        if share >= Self::RESIDENT {
            return Some(Self::Resident(share));
        }
        let fits = cache
            .memory_bytes
            .is_some_and(|memory| cache.set_bytes < memory);
        fits.then_some(Self::Fits)
    }
}

impl fmt::Display for RunWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockDrift(ppm) => write!(
                f,
                "the clock ran {ppm:+.0} ppm off CLOCK_MONOTONIC_RAW over this run: times and rates \
                 may be off by as much"
            ),
            Self::ClockFallback(reason) => {
                write!(f, "timed by CLOCK_MONOTONIC, not by the TSC: {reason}")
            }
            Self::PageCache(CacheEffect::Resident(share)) => write!(
                f,
                "{:.0} % of the files were in memory before the run: reads came from there, not \
                 from the device (--drop-cache drops them, --flags direct goes past the cache)",
                share * 100.0
            ),
            Self::PageCache(CacheEffect::Fits) => f.write_str(
                "the files fit into memory: what is read once comes from there the next time, not \
                 from the device (--flags direct goes past the cache)",
            ),
            Self::MappedFlags => {
                f.write_str("--flags has no effect on mapped files: they are the page cache")
            }
            Self::FilesInMemory(filesystem) => write!(
                f,
                "the files are in memory ({filesystem}): no device is measured; take a folder on a \
                 disk, which has to be mounted into a container"
            ),
            Self::FilesInOverlay => f.write_str(
                "the files are in an overlay, as a container's own layer is: mount a folder of the \
                 storage that is meant, and name it with --dir",
            ),
            Self::LateStart(late_s) => write!(
                f,
                "began {late_s:.3} s after the moment of --start-at: what was to run beside it ran \
                 alone meanwhile"
            ),
            Self::RoundedFiles(sentence) => f.write_str(sentence),
            Self::Scaled(scale) => write!(
                f,
                "times, events, totals and file sets are {scale} of the profile's: a first look, no \
                 figure to compare with a whole run's"
            ),
            Self::HarnessShare(share) => write!(
                f,
                "{:.0} % of each event's time went to the harness, not to its work: larger blocks \
                 measure the work better",
                share * 100.0
            ),
        }
    }
}

/// What in a folder stands in the way of a test of its storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvWarning {
    /// O_DIRECT doesn't work in it.
    NoDirectIo(PathBuf),
    /// No file can be made in it.
    NotWritable(PathBuf),
}

impl EnvWarning {
    /// What a folder gives cause for, by what came of trying O_DIRECT in it.
    pub fn of_folder(direct_io: Option<bool>, dir: &Path) -> Option<Self> {
        match direct_io {
            Some(true) => None,
            Some(false) => Some(Self::NoDirectIo(dir.to_owned())),
            None => Some(Self::NotWritable(dir.to_owned())),
        }
    }
}

impl From<EnvWarning> for Warning {
    fn from(warning: EnvWarning) -> Self {
        let (code, message) = match warning {
            EnvWarning::NoDirectIo(dir) => (
                "no-direct-io",
                format!(
                    "{} has no O_DIRECT: the file test runs there with --flags none only, and \
                     measures the page cache",
                    dir.display()
                ),
            ),
            EnvWarning::NotWritable(dir) => (
                "not-writable",
                format!(
                    "no file can be made in {}: take another --dir",
                    dir.display()
                ),
            ),
        };
        Self {
            code: code.into(),
            message,
        }
    }
}

impl From<RunWarning> for Warning {
    fn from(warning: RunWarning) -> Self {
        Self {
            code: warning.code().into(),
            message: warning.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{ClockSource, HzFrom};

    fn clock(drift_ppm: Option<f64>, reason: Option<&str>) -> ClockInfo {
        ClockInfo {
            source: ClockSource::Tsc,
            reason: reason.map(Into::into),
            hz: 2e9,
            hz_from: Some(HzFrom::Calibration),
            read_ns: 10.0,
            drift_ppm,
        }
    }

    #[test]
    fn a_drift_over_200_ppm_either_way_is_a_warning() {
        assert!(RunWarning::of_clock(&clock(Some(199.0), None)).is_empty());
        assert!(RunWarning::of_clock(&clock(None, None)).is_empty());
        for drift in [201.0, -201.0] {
            let warnings = RunWarning::of_clock(&clock(Some(drift), None));
            assert_eq!(warnings, [RunWarning::ClockDrift(drift)]);
        }
    }

    #[test]
    fn a_set_that_is_in_memory_or_fits_into_it_is_a_warning() {
        let cache = |resident_bytes, memory_bytes| PageCache {
            set_bytes: 1000,
            resident_bytes,
            memory_bytes,
        };
        let effect = |resident, memory| CacheEffect::of(cache(resident, memory));
        assert_eq!(effect(500, Some(100)), Some(CacheEffect::Resident(0.5)));
        assert_eq!(effect(0, Some(2000)), Some(CacheEffect::Fits));
        assert_eq!(effect(0, Some(900)), None);
        assert_eq!(effect(0, None), None);
    }

    #[test]
    fn files_that_are_on_no_device_of_their_own_are_a_warning() {
        let of = |filesystem: &str| {
            RunWarning::of_storage(&Storage {
                path: "/data".into(),
                filesystem: Some(filesystem.into()),
                ..Storage::default()
            })
        };
        assert_eq!(of("tmpfs"), Some(RunWarning::FilesInMemory("tmpfs".into())));
        assert_eq!(of("overlay"), Some(RunWarning::FilesInOverlay));
        assert_eq!(of("ext4"), None);
    }

    #[test]
    fn a_fallback_is_a_warning_with_its_reason() {
        let warnings = RunWarning::of_clock(&clock(None, Some("no invariant TSC")));
        assert!(
            Warning::from(warnings[0].clone())
                .message
                .contains("no invariant TSC")
        );
    }
}
