//! The storage below the test files, and what is between it and the requests.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Code, Reason};
use crate::plan::{IoMode, OpenFlags, Test};
use crate::result::{PageCache, RunResult, Storage};

/// Smallest share of the files in the page cache before a run that gives a warning.
pub const RESIDENT_SHARE: f64 = 0.01;

/// Why the storage may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum StorageWarning {
    /// This share of the files was in the page cache before the run.
    Resident(f64),
    /// The files fit into the page cache, so that what is read once comes from there later.
    FitsInMemory,
    /// Flags of open(2) have no effect on mapped files.
    MappedFlags,
    /// The files are in memory, on a file system of this type.
    FilesInMemory(String),
    /// The files are in an overlay, like the layers of a container.
    FilesInOverlay,
    /// O_DIRECT does not work in this directory.
    NoDirectIo(PathBuf),
    /// No file can be created in this directory.
    NotWritable(PathBuf),
}

impl StorageWarning {
    /// Returns the warnings of a file test.
    pub fn of_result(result: &RunResult) -> impl Iterator<Item = Self> {
        let params = match &result.workload.params.test {
            Test::Fileio(params) => Some(params),
            _ => None,
        };
        let storage = result.storage.as_ref().filter(|_| params.is_some());
        let cache = storage
            .and_then(|storage| storage.page_cache)
            .filter(|_| params.is_some_and(|params| params.mode.reads()))
            .and_then(Self::of_cache);
        let mapped = params.is_some_and(|params| {
            params.io_mode == IoMode::Mmap && params.flags != OpenFlags::None
        });
        storage
            .and_then(Self::of_filesystem)
            .into_iter()
            .chain(cache)
            .chain(mapped.then_some(Self::MappedFlags))
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

    /// Returns the warning of a directory in which O_DIRECT works or not; None where no file can
    /// be created there.
    pub fn of_directory(dir: &Path, direct_io: Option<bool>) -> Option<Self> {
        match direct_io {
            Some(true) => None,
            Some(false) => Some(Self::NoDirectIo(dir.to_owned())),
            None => Some(Self::NotWritable(dir.to_owned())),
        }
    }
}

impl Reason for StorageWarning {
    fn code(&self) -> Code {
        match self {
            Self::Resident(_) | Self::FitsInMemory => Code::PageCache,
            Self::MappedFlags => Code::MappedFlags,
            Self::FilesInMemory(_) => Code::FilesInMemory,
            Self::FilesInOverlay => Code::FilesInOverlay,
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
            Self::MappedFlags => {
                f.write_str("--flags has no effect on mapped files: they are the page cache")
            }
            Self::FilesInMemory(filesystem) => write!(
                f,
                "the files are in memory ({filesystem}): no device is measured; choose a directory \
                 on a disk, in a container one that is mounted from the host"
            ),
            Self::FilesInOverlay => f.write_str(
                "the files are in an overlay, probably a container's own layer: mount a directory \
                 of the storage to measure, and choose it with --dir",
            ),
            Self::NoDirectIo(dir) => write!(
                f,
                "{} does not support O_DIRECT: the file test runs there with --flags none only, \
                 and measures the page cache",
                dir.display()
            ),
            Self::NotWritable(dir) => write!(
                f,
                "cannot create files in {}: choose another --dir",
                dir.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
