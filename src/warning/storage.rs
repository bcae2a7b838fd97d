//! The storage below the test files, and what is between it and the requests.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Code, Reason};
use crate::plan::FileioParams;
use crate::result::{EndedBy, PageCache, RunResult, Storage, Totals};

/// Smallest share of the files in the page cache before a run that gives a warning.
pub const RESIDENT_SHARE: f64 = 0.01;

/// Largest share of the writes of a run that no fsync within the run follows, without a warning.
pub const UNFLUSHED_SHARE: f64 = 0.05;

/// Why the storage may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum StorageWarning {
    /// This share of the files was in the page cache before the run.
    Resident(f64),
    /// The files fit into the page cache, so that what is read once comes from there later.
    FitsInMemory,
    /// No fsync within the run followed this share of the writes to the page cache.
    Unflushed(f64),
    /// Flags of open(2) have no effect on mapped files.
    MappedFlags,
    /// The files are in memory, on a file system of this type.
    FilesInMemory(String),
    /// The files are in an overlay, like the layers of a container.
    FilesInOverlay,
    /// O_DIRECT reaches the page cache of the file behind this loop device.
    BufferedLoop(String),
    /// Parts of the files were never written.
    UnwrittenFiles,
    /// O_DIRECT does not work in this directory.
    NoDirectIo(PathBuf),
    /// No file can be created in this directory.
    NotWritable(PathBuf),
}

impl StorageWarning {
    /// Returns the warnings of a file test.
    pub fn of_result(result: &RunResult) -> impl Iterator<Item = Self> {
        let params = result.workload.params.test.fileio();
        let storage = result.storage.as_ref().filter(|_| params.is_some());
        let cache = storage
            .and_then(|storage| storage.page_cache)
            .filter(|_| params.is_some_and(|params| params.mode.reads()))
            .and_then(Self::of_cache);
        let unflushed = params
            .map(|params| unflushed_share(params, &result.totals, result.ended_by))
            .filter(|&share| share > UNFLUSHED_SHARE)
            .map(Self::Unflushed);
        let ignored = params.is_some_and(FileioParams::has_ignored_flags);
        let buffered = storage
            .filter(|_| params.is_some_and(|params| !params.goes_through_cache()))
            .and_then(Self::of_device);
        let unwritten = storage.is_some_and(|storage| storage.unwritten == Some(true));
        storage
            .and_then(Self::of_filesystem)
            .into_iter()
            .chain(cache)
            .chain(unflushed)
            .chain(buffered)
            .chain(unwritten.then_some(Self::UnwrittenFiles))
            .chain(ignored.then_some(Self::MappedFlags))
    }

    fn of_cache(cache: PageCache) -> Option<Self> {
        let share = cache.resident_bytes as f64 / cache.set_bytes.max(1) as f64;
        if share >= RESIDENT_SHARE {
            return Some(Self::Resident(share));
        }
        let fits = cache
            .memory_bytes
            .is_some_and(|memory| cache.set_bytes < memory);
        fits.then_some(Self::FitsInMemory)
    }

    /// Returns the warning of a directory's file system.
    pub fn of_filesystem(storage: &Storage) -> Option<Self> {
        match storage.filesystem.as_deref()? {
            memory @ ("tmpfs" | "ramfs") => Some(Self::FilesInMemory(memory.to_owned())),
            "overlay" => Some(Self::FilesInOverlay),
            _ => None,
        }
    }

    /// Returns the warning of O_DIRECT on a device.
    fn of_device(storage: &Storage) -> Option<Self> {
        let device = storage.device.clone().unwrap_or_default();
        (storage.loop_direct_io == Some(false)).then_some(Self::BufferedLoop(device))
    }

    /// Returns the warning of a directory. `direct_io` says whether O_DIRECT works in it; None if
    /// no file can be created there.
    pub fn of_directory(dir: &Path, direct_io: Option<bool>) -> Option<Self> {
        match direct_io {
            Some(true) => None,
            Some(false) => Some(Self::NoDirectIo(dir.to_owned())),
            None => Some(Self::NotWritable(dir.to_owned())),
        }
    }
}

/// Returns the share of the writes that may have reached no more than the page cache when the run
/// ended, because no fsync within the run followed them.
fn unflushed_share(params: &FileioParams, totals: &Totals, ended_by: EndedBy) -> f64 {
    let each_is_flushed = !params.buffers_writes() || params.fsync_all;
    let all_are_flushed = params.fsync_end && ended_by == EndedBy::Work;
    if totals.writes == 0 || each_is_flushed || all_are_flushed {
        return 0.0;
    }
    let files = u64::from(params.files.get());
    let rounds = totals.fsyncs / files;
    if rounds == 0 {
        return 1.0 - totals.fsyncs as f64 / files as f64;
    }
    // A round of fsyncs follows every N requests, so that fewer than N come after the last one.
    // Rounds without a write before them are left out.
    let frequency = u64::from(params.fsync_freq);
    let after_last_round = totals
        .events
        .saturating_sub(rounds.saturating_mul(frequency))
        .min(frequency);
    after_last_round.min(totals.writes) as f64 / totals.writes as f64
}

impl Reason for StorageWarning {
    fn code(&self) -> Code {
        match self {
            Self::Resident(_) | Self::FitsInMemory => Code::PageCache,
            Self::Unflushed(_) => Code::UnflushedWrites,
            Self::MappedFlags => Code::MappedFlags,
            Self::FilesInMemory(_) => Code::FilesInMemory,
            Self::FilesInOverlay => Code::FilesInOverlay,
            Self::BufferedLoop(_) => Code::BufferedLoop,
            Self::UnwrittenFiles => Code::UnwrittenFiles,
            Self::NoDirectIo(_) => Code::NoDirectIo,
            Self::NotWritable(_) => Code::NotWritable,
        }
    }
}

impl fmt::Display for StorageWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resident(share) => write!(
                f,
                "{:.0} % of the files were in the page cache before the run: reads came from \
                 memory, not from the device (--drop-cache empties the cache, --flags direct \
                 bypasses it)",
                share * 100.0
            ),
            Self::FitsInMemory => f.write_str(
                "the files fit into memory: what is read again comes from the page cache, not from \
                 the device (--flags direct bypasses it)",
            ),
            Self::Unflushed(share) => write!(
                f,
                "no fsync followed {:.0} % of the writes before the run ended: they may be in \
                 memory only, and the device was not measured (--flags direct or --fsync-all \
                 measures it, so does --fsync-end on if the run completes before its time limit)",
                share * 100.0
            ),
            Self::MappedFlags => f.write_str(
                "--flags has no effect on mapped files: they are always in the page cache",
            ),
            Self::FilesInMemory(filesystem) => write!(
                f,
                "the files are in memory ({filesystem}): no device is measured; choose a directory \
                 on a disk, in a container one that is mounted from the host"
            ),
            Self::FilesInOverlay => f.write_str(
                "the files are in an overlay, probably a container's own layer: mount a directory \
                 of the storage to measure, and choose it with --dir",
            ),
            Self::BufferedLoop(device) => write!(
                f,
                "O_DIRECT does not reach a disk: {device} is a loop device that uses the page cache \
                 of its backing file (losetup --direct-io=on /dev/{device} bypasses it)"
            ),
            Self::UnwrittenFiles => f.write_str(
                "parts of the test files were never written: reading them returns zeros without \
                 reaching the device (prepare the files again)",
            ),
            Self::NoDirectIo(dir) => write!(
                f,
                "{} does not support O_DIRECT: the file test runs there with --flags none only, \
                 and measures the page cache",
                dir.display()
            ),
            Self::NotWritable(dir) => write!(
                f,
                "cannot create files in {}; choose another --dir",
                dir.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{IoMode, OpenFlags};

    #[test]
    fn files_in_the_page_cache_or_smaller_than_it_are_a_warning() {
        let of = |resident_bytes, memory_bytes| {
            StorageWarning::of_cache(PageCache {
                set_bytes: 1000,
                resident_bytes,
                memory_bytes,
            })
        };
        let threshold = (RESIDENT_SHARE * 1000.0) as u64;
        assert_eq!(
            of(threshold, Some(100)),
            Some(StorageWarning::Resident(RESIDENT_SHARE))
        );
        assert_eq!(of(threshold - 1, Some(900)), None);
        assert_eq!(of(0, Some(2000)), Some(StorageWarning::FitsInMemory));
        assert_eq!(of(0, Some(900)), None);
        assert_eq!(of(0, None), None);
    }

    /// Parameters of random writes to 4 files through the page cache, without any fsync.
    fn unflushed() -> FileioParams {
        let params = serde_json::json!({
            "mode": "rndwr", "io_mode": "sync", "block_size_bytes": 4096,
            "total_size_bytes": 1 << 20, "files": 4, "flags": "none", "fsync_freq": 0,
            "fsync_all": false, "fsync_end": false, "fsync_mode": "fsync", "merged_requests": 0,
            "rw_ratio": 1.5,
        });
        serde_json::from_value(params).unwrap()
    }

    fn share(params: &FileioParams, writes: u64, fsyncs: u64, ended_by: EndedBy) -> f64 {
        let totals = Totals {
            events: writes,
            writes,
            fsyncs,
            ..Totals::default()
        };
        unflushed_share(params, &totals, ended_by)
    }

    #[test]
    fn writes_that_reach_the_device_immediately_need_no_fsync() {
        for (io_mode, flags, expected) in [
            (IoMode::Sync, OpenFlags::None, 1.0),
            (IoMode::Aio, OpenFlags::None, 1.0),
            (IoMode::Uring, OpenFlags::Direct, 0.0),
            (IoMode::Sync, OpenFlags::Sync, 0.0),
            (IoMode::Sync, OpenFlags::Dsync, 0.0),
            (IoMode::Mmap, OpenFlags::None, 1.0),
            (IoMode::Mmap, OpenFlags::Dsync, 1.0),
        ] {
            let params = FileioParams {
                io_mode,
                flags,
                ..unflushed()
            };
            let found = share(&params, 100, 0, EndedBy::Work);
            assert_eq!(found, expected, "{io_mode:?} {flags:?}");
        }
        let all = FileioParams {
            fsync_all: true,
            ..unflushed()
        };
        assert_eq!(share(&all, 100, 100, EndedBy::Time), 0.0);
        assert_eq!(share(&unflushed(), 0, 0, EndedBy::Time), 0.0);
    }

    #[test]
    fn final_fsyncs_count_only_for_the_files_that_the_run_reached() {
        let params = FileioParams {
            fsync_end: true,
            ..unflushed()
        };
        assert_eq!(share(&params, 100, 4, EndedBy::Work), 0.0);
        assert_eq!(share(&params, 100, 3, EndedBy::Time), 0.25);
        assert_eq!(share(&params, 100, 0, EndedBy::Time), 1.0);
        assert_eq!(share(&params, 100, 0, EndedBy::Signal), 1.0);
    }

    #[test]
    fn writes_after_the_last_round_of_fsyncs_are_unflushed() {
        let params = FileioParams {
            fsync_freq: 10,
            ..unflushed()
        };
        assert_eq!(share(&params, 9, 0, EndedBy::Work), 1.0);
        assert_eq!(share(&params, 40, 3 * 4, EndedBy::Work), 0.25);
        assert_eq!(share(&params, 1000, 99 * 4, EndedBy::Work), 0.01);
        // Reads between the writes: rounds without a write before them are left out.
        let mixed = Totals {
            events: 1000,
            writes: 20,
            fsyncs: 2 * 4,
            ..Totals::default()
        };
        assert_eq!(unflushed_share(&params, &mixed, EndedBy::Work), 0.5);
    }

    #[test]
    fn files_without_a_device_of_their_own_are_a_warning() {
        let of = |filesystem: &str| {
            StorageWarning::of_filesystem(&Storage {
                path: "/data".into(),
                filesystem: Some(filesystem.into()),
                ..Storage::default()
            })
        };
        assert_eq!(
            of("tmpfs"),
            Some(StorageWarning::FilesInMemory("tmpfs".into()))
        );
        assert_eq!(of("overlay"), Some(StorageWarning::FilesInOverlay));
        assert_eq!(of("ext4"), None);
    }
}
