//! The file of a journal, locked by one job at a time.
//!
//! The lock is on the open file description (flock(2)), so it ends with the process, even after
//! SIGKILL. A file gets its name after it is locked, and only the job that holds its lock renames
//! or removes it. After locking, a job therefore checks whether the name still refers to the file
//! that it opened, and retries if not.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Error, Result, anyhow, ensure};
use nix::errno::Errno;
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;

use crate::lock_holder;
use crate::output::{directory_of, filled, named};

/// A file that no other job writes at the same time.
#[derive(Debug)]
pub(super) enum LockedFile {
    /// Until it is closed.
    Locked(File),
    /// The file system does not support locks.
    Unlocked(File, Errno),
}

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        match self {
            Self::Locked(file) | Self::Unlocked(file, _) => file,
        }
    }
}

impl LockedFile {
    /// Creates an empty locked file; None if the name exists already.
    pub(super) fn create(path: &Path) -> Result<Option<Self>> {
        Self::create_new(path).with_context(|| format!("cannot create {}", path.display()))
    }

    fn create_new(path: &Path) -> Result<Option<Self>> {
        let temporary = named(directory_of(path))?;
        let locked = Self::lock(temporary.as_file().try_clone()?, path)?;
        match temporary.persist_noclobber(path) {
            Ok(_) => Ok(Some(locked)),
            Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => Ok(None),
            // The file system supports neither hard links nor RENAME_NOREPLACE.
            Err(_) => Self::create_in_place(path),
        }
    }

    fn create_in_place(path: &Path) -> Result<Option<Self>> {
        let mut options = OpenOptions::new();
        match options.read(true).write(true).create_new(true).open(path) {
            Ok(file) => Self::lock(file, path).map(Some),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Locks the file with this name; None if it does not exist or was removed meanwhile.
    ///
    /// Fails if another job holds the lock.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let name = path.display();
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                return Err(anyhow!(
                    "{name} is a symbolic link, which is not followed; remove it, or name another \
                     file with --json"
                ));
            }
            Err(error) => return Err(Error::new(error).context(format!("cannot open {name}"))),
        };
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        ensure!(
            is_file,
            "{name} is not a regular file; remove it, or name another with --json"
        );
        let locked = Self::lock(file, path)?;
        let is_named = locked
            .is_at(path)
            .with_context(|| format!("cannot inspect {name}"))?;
        Ok(is_named.then_some(locked))
    }

    fn lock(file: File, path: &Path) -> Result<Self> {
        let mut holder = None;
        // Try again if no holder is visible: its process may have just ended.
        for _ in 0..2 {
            match retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
                Ok(()) => return Ok(Self::Locked(file)),
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(errno) => {
                    let errno = Errno::from_raw(errno.raw_os_error());
                    return Ok(Self::Unlocked(file, errno));
                }
            }
            holder = lock_holder::of(&file);
            if holder.is_some() {
                break;
            }
        }
        let invisible = || "a process in another container or on another host".to_owned();
        Err(anyhow!(
            "{} is in use by {}; wait until that job ends, or name another file with --json",
            path.display(),
            holder.unwrap_or_else(invisible)
        ))
    }

    /// Returns whether the name refers to this file.
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        match fs::symlink_metadata(path) {
            Ok(found) => Ok(id(found) == id(self.metadata()?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file atomically by another one that is locked too.
    pub(super) fn replace(
        self,
        path: &Path,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Self> {
        let about = || format!("cannot write {}", path.display());
        let directory = directory_of(path);
        let mut temporary = named(directory).with_context(about)?;
        filled(temporary.as_file_mut(), fill).with_context(about)?;
        let locked = Self::lock(temporary.as_file().try_clone().with_context(about)?, path)?;
        temporary
            .persist(path)
            .map_err(|refused| refused.error)
            .with_context(about)?;
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .with_context(about)?;
        Ok(locked)
    }

    /// Removes the file, unless another has replaced it.
    pub(super) fn remove(self, path: &Path) -> Result<()> {
        let removed = self.is_at(path).and_then(|is_named| match is_named {
            true => fs::remove_file(path),
            false => Ok(()),
        });
        removed.with_context(|| format!("cannot remove {}", path.display()))
    }

    /// Returns the reason why the file is not locked, if it is not.
    pub(super) fn unlocked(&self) -> Option<Errno> {
        match self {
            Self::Locked(_) => None,
            Self::Unlocked(_, errno) => Some(*errno),
        }
    }
}
