//! The lock on a set of test files: one writer or several readers.
//!
//! It is flock(2) on their directory: all sets in a directory share `test_file.0`, no lock file can
//! be left behind, and the kernel releases it however the process ends. On NFS the lock of a
//! directory applies among the processes of one host.

use std::fmt;
use std::fs;
use std::os::fd::BorrowedFd;
use std::path::Path;

use anyhow::{Error, Result, bail};
use nix::sys::stat::fstat;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::refusal::whole;
use crate::plan::FileMode;

/// Kind of access to the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads them; others may read them too.
    Shared,
    /// Creates, writes or removes them.
    Exclusive,
}

impl Access {
    /// Returns the access that a run in this mode needs.
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
    folder: BorrowedFd<'_>,
    path: &Path,
    access: Access,
) -> Result<Option<Unlocked>> {
    let operation = match access {
        Access::Shared => FlockOperation::NonBlockingLockShared,
        Access::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match flock(folder, operation) {
            Ok(()) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => bail!(
                "the test files in {} are in use by {}; wait until it has ended, or choose another \
                 directory with --dir",
                whole(path).display(),
                holder(folder)
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
fn holder(folder: BorrowedFd<'_>) -> String {
    let listed = || {
        let stat = fstat(folder).ok()?;
        let locks = fs::read_to_string("/proc/locks").ok()?;
        holder_in(&locks, stat.st_dev, stat.st_ino)
    };
    let Some(pid) = listed() else {
        return "another process".to_owned();
    };
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("{} (process {pid})", name.trim().escape_debug()),
        Err(_) => format!("process {pid}"),
    }
}

/// Returns the first process that holds a flock(2) lock on a file, from `/proc/locks`.
fn holder_in(locks: &str, device: libc::dev_t, inode: libc::ino_t) -> Option<u32> {
    let file = format!(
        "{:02x}:{:02x}:{inode}",
        libc::major(device),
        libc::minor(device)
    );
    locks.lines().find_map(|line| {
        // Lines with "->" after the number are waiting processes.
        match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            [_, "FLOCK", _, _, pid, of, ..] if of == file => pid.parse().ok(),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    fn lock(folder: &tempfile::TempDir, access: Access) -> Result<File> {
        let file = File::open(folder.path()).unwrap();
        let unlocked = acquire(file.as_fd(), folder.path(), access)?;
        assert_eq!(unlocked, None);
        Ok(file)
    }

    #[test]
    fn readers_share_the_lock_and_a_writer_excludes_all_others() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let readers = [Access::Shared; 2].map(|access| lock(&folder, access).unwrap());
        let error = lock(&folder, Access::Exclusive).unwrap_err().to_string();
        let this = format!("(process {})", std::process::id());
        assert!(error.contains(&this), "{error}");
        drop(readers);
        let writer = lock(&folder, Access::Exclusive).unwrap();
        assert!(lock(&folder, Access::Shared).is_err());
        drop(writer);
        lock(&folder, Access::Exclusive).unwrap();
    }

    #[test]
    fn a_sole_reader_can_become_a_writer() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let reader = lock(&folder, Access::Shared).unwrap();
        let unlocked = acquire(reader.as_fd(), folder.path(), Access::Exclusive).unwrap();
        assert_eq!(unlocked, None);
        assert!(lock(&folder, Access::Shared).is_err());
    }

    #[test]
    fn the_holder_is_distinguished_from_waiting_processes_and_other_locks() {
        let locks = "\
1: POSIX  ADVISORY  WRITE 11 fe:01:77 0 EOF
2: FLOCK  ADVISORY  WRITE 12 fe:01:78 0 EOF
3: FLOCK  ADVISORY  WRITE 13 fe:01:77 0 EOF
3: -> FLOCK  ADVISORY  WRITE 14 fe:01:77 0 EOF
";
        let device = libc::makedev(0xfe, 1);
        assert_eq!(holder_in(locks, device, 77), Some(13));
        assert_eq!(holder_in(locks, device, 79), None);
    }
}
