//! The lock on a set of test files: one writer or several readers.
//!
//! It is flock(2) on their directory: all sets in a directory share `test_file.0`, no lock file can
//! be left behind, and the kernel releases it however the process ends. On NFS the lock of a
//! directory applies among the processes of one host.

use std::fmt;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::Path;

use anyhow::{Error, Result, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::open_error::absolute;
use crate::lock_holder;
use crate::plan::FileMode;

/// Mode of the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileLock {
    /// For readers.
    Shared,
    /// For a process that creates, writes or removes files.
    Exclusive,
}

impl FileLock {
    /// Returns the lock that a run in this mode needs.
    pub fn of(mode: FileMode) -> Self {
        match mode.writes() {
            true => Self::Exclusive,
            false => Self::Shared,
        }
    }
}

/// Why a set is used without a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Unlocked(Errno);

impl fmt::Display for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the directory of the test files cannot be locked: {}; make sure that no other process \
             uses them",
            self.0
        )
    }
}

/// Locks the files in a directory until its descriptor and all duplicates of it are closed.
///
/// Fails if another process holds a conflicting lock. A lock already held is converted; it is lost
/// if that fails.
pub(super) fn acquire(
    dir: BorrowedFd<'_>,
    path: &Path,
    lock: FileLock,
) -> Result<Option<Unlocked>> {
    let operation = match lock {
        FileLock::Shared => FlockOperation::NonBlockingLockShared,
        FileLock::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match flock(dir, operation) {
            Ok(()) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => bail!(
                "the test files in {} are in use by {}; wait until it has ended, or choose another \
                 directory with --dir",
                absolute(path).display(),
                holder(dir)
            ),
            Err(
                errno @ (Errno::NOSYS
                | Errno::OPNOTSUPP
                | Errno::NOLCK
                | Errno::INVAL
                | Errno::PERM),
            ) => {
                return Ok(Some(Unlocked(errno)));
            }
            Err(errno) => {
                return Err(Error::new(errno)
                    .context(format!("locking the test files in {}", path.display())));
            }
        }
    }
}

/// Describes the holder of the lock, if the kernel lists it; other containers are not listed.
fn holder(dir: BorrowedFd<'_>) -> String {
    let dir = dir.try_clone_to_owned().ok().map(File::from);
    let listed = dir.and_then(|dir| lock_holder::of(&dir));
    listed.unwrap_or_else(|| "another process".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn lock(dir: &tempfile::TempDir, lock: FileLock) -> Result<File> {
        let file = File::open(dir.path()).unwrap();
        let unlocked = acquire(file.as_fd(), dir.path(), lock)?;
        assert_eq!(unlocked, None);
        Ok(file)
    }

    #[test]
    fn readers_share_the_lock_and_a_writer_excludes_all_others() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let readers = [FileLock::Shared; 2].map(|shared| lock(&dir, shared).unwrap());
        let error = lock(&dir, FileLock::Exclusive).unwrap_err().to_string();
        let this = format!("in use by process {}", std::process::id());
        assert!(error.contains(&this), "{error}");
        drop(readers);
        let writer = lock(&dir, FileLock::Exclusive).unwrap();
        assert!(lock(&dir, FileLock::Shared).is_err());
        drop(writer);
        lock(&dir, FileLock::Exclusive).unwrap();
    }

    #[test]
    fn a_sole_reader_can_become_a_writer() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let reader = lock(&dir, FileLock::Shared).unwrap();
        let unlocked = acquire(reader.as_fd(), dir.path(), FileLock::Exclusive).unwrap();
        assert_eq!(unlocked, None);
        assert!(lock(&dir, FileLock::Shared).is_err());
    }
}
