//! The test files: creation, checks, opening and removal.
//!
//! Follows no symbolic link, and opens only regular files.

mod cache;
mod check;
mod create;
mod direct;
mod directory;
mod entry;
mod lock;
mod name;
mod open;
mod open_error;
mod ownership;
mod removal;
mod unwritten;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Error, Result};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{FileStat, Mode, fstatat};
use nix::unistd::fsync;

use super::transfer::retry;
use crate::plan::{FilePlan, FileSet};

pub use direct::{is_supported_in as direct_io_in, switch as switch_direct};
pub use directory::remove_test_files;
pub use lock::{FileLock, Unlocked};
pub use open::OpenFiles;
pub use removal::CleanUp;

use entry::{FileEntry, FileId};
use unwritten::HoleReporting;

/// Which files count as test files of wbench, which may overwrite and remove them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// All with the right name, as for sysbench 0.4.12.
    Name,
    /// Those with the right name that wbench created, or whose data it wrote.
    Mark,
}

/// A set of test files in a directory.
#[derive(Debug)]
pub struct TestFiles {
    /// Holds the lock, which lasts as long as the descriptor is open.
    dir: Arc<OwnedFd>,
    path: PathBuf,
    set: FileSet,
    validate: bool,
    recreate: bool,
    ownership: Ownership,
    /// Files that this process created and has not removed.
    created: Mutex<BTreeMap<u32, FileId>>,
    /// How the file system reports holes, once known.
    hole_reporting: OnceLock<HoleReporting>,
}

impl TestFiles {
    /// Returns the file set of a plan, whose directory must exist.
    pub fn of(plan: &FilePlan, ownership: Ownership) -> Result<Self> {
        let path = plan.dir.as_path();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = retry(|| open(path, flags, Mode::empty())).map_err(|errno| {
            let advice = match errno {
                Errno::ENOENT => "create it, or choose another with --dir",
                Errno::ENOTDIR => "choose a directory with --dir",
                _ => "choose another with --dir",
            };
            Error::new(errno).context(format!(
                "cannot open the directory of the test files, {} ({advice})",
                path.display()
            ))
        })?;
        Ok(Self::in_directory(Arc::new(dir), plan, ownership))
    }

    fn in_directory(dir: Arc<OwnedFd>, plan: &FilePlan, ownership: Ownership) -> Self {
        Self {
            dir,
            path: plan.dir.clone(),
            set: plan.set,
            validate: plan.validate,
            recreate: plan.recreate,
            ownership,
            created: Mutex::default(),
            hole_reporting: OnceLock::new(),
        }
    }

    /// Returns the same files under another plan for the same directory, with the same lock and the
    /// same record of what this process created.
    pub fn planned_as(&self, plan: &FilePlan) -> Self {
        let files = Self::in_directory(Arc::clone(&self.dir), plan, self.ownership);
        files.created().append(&mut self.created());
        files
    }

    /// Locks the files until this value and those derived from it by [`Self::planned_as`] are
    /// dropped; an exclusive lock may replace a shared one.
    ///
    /// Fails if another process uses the files. Returns a message if they cannot be locked at all.
    pub fn lock(&self, lock: FileLock) -> Result<Option<Unlocked>> {
        lock::acquire(self.dir.as_fd(), &self.path, lock)
    }

    /// Returns the file set.
    pub fn set(&self) -> FileSet {
        self.set
    }

    /// Returns whether the blocks have headers.
    pub fn validate(&self) -> bool {
        self.validate
    }

    /// Returns whether to rewrite files that are already complete.
    pub fn recreate(&self) -> bool {
        self.recreate
    }

    /// Returns the path of a file, for messages.
    pub fn path_of(&self, file: u32) -> PathBuf {
        self.path.join(name::of(file))
    }

    /// Syncs the directory, so that the names of the set reach their device.
    pub fn sync_directory(&self) -> Result<()> {
        retry(|| fsync(&*self.dir))
            .with_context(|| format!("syncing the directory {}", self.path.display()))
    }

    fn numbers(&self) -> std::ops::Range<u32> {
        0..self.set.files.get()
    }

    fn entry(&self, file: u32) -> Result<FileEntry> {
        let stat = self.stat(file)?;
        Ok(stat.map_or(FileEntry::Missing, |stat| FileEntry::of(&stat)))
    }

    fn stat(&self, file: u32) -> Result<Option<FileStat>> {
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        match fstatat(&*self.dir, name::of(file).as_str(), flags) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(Error::new(errno).context(self.about("checking", file))),
        }
    }

    fn about(&self, doing: &str, file: u32) -> String {
        format!("{doing} the test file {}", self.path_of(file).display())
    }

    fn created(&self) -> MutexGuard<'_, BTreeMap<u32, FileId>> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
