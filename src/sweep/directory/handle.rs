//! Handles of directories that a sweep creates, open from creation to removal.
//!
//! A launcher gets the path of a directory and may replace it with anything: a symbolic link, a
//! mount, another directory. Removal therefore goes through the descriptor, and only if the path
//! still leads to the directory that was created.

use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;

use crate::beneath;
use crate::error::describe_errno;
use crate::lock_holder;
use crate::sweep::token::token;
use crate::workload::fileio::files::remove_test_files;

/// Maximum number of entries listed when a directory is not removed.
const MAX_LISTED: usize = 3;

/// An open directory.
#[derive(Debug)]
pub struct DirectoryHandle {
    handle: OwnedFd,
    path: PathBuf,
    /// Name in its parent directory.
    name: CString,
}

/// Why a directory was not removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRemoved {
    path: PathBuf,
    reason: KeptReason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum KeptReason {
    /// Its path now leads to something else.
    Replaced(&'static str),
    /// It contains entries that this program did not create.
    OtherEntries(Vec<String>),
    /// A process holds its lock.
    InUse(String),
    /// A system call failed.
    SystemCall(Errno),
}

/// Result of locking a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockState {
    /// Locked until the handle is closed.
    Locked,
    /// This process holds the lock.
    InUse(String),
    /// The file system does not support locks on directories.
    Unsupported(Errno),
}

impl DirectoryHandle {
    /// Opens an existing directory.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let handle = open(path, flags, Mode::empty())
            .with_context(|| format!("cannot open the directory {}", path.display()))?;
        Ok(Self {
            handle,
            path: path.to_owned(),
            name: c".".to_owned(),
        })
    }

    /// Returns the path under which it was opened or created.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a subdirectory; None if the entry is missing, a mount point or not a directory.
    pub fn open_child(&self, name: &str) -> nix::Result<Option<Self>> {
        let path = self.path.join(name);
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        match beneath::open(&self.handle, &name, flags) {
            Ok(handle) => Ok(Some(Self { handle, path, name })),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EXDEV | Errno::ENOTSUP) => {
                Ok(None)
            }
            Err(errno) => Err(errno),
        }
    }

    /// Whether the directory belongs to the user of this process.
    pub fn is_own(&self) -> bool {
        fstat(&self.handle).is_ok_and(|stat| stat.st_uid == geteuid().as_raw())
    }

    /// Locks the directory with flock(2), like a process that uses its test files. The lock ends
    /// with this process, even after SIGKILL.
    pub fn lock(&self) -> LockState {
        let exclusive = FlockOperation::NonBlockingLockExclusive;
        match retry_on_intr(|| flock(&self.handle, exclusive)) {
            Ok(()) => LockState::Locked,
            Err(rustix::io::Errno::WOULDBLOCK) => LockState::InUse(self.lock_holder()),
            Err(errno) => LockState::Unsupported(Errno::from_raw(errno.raw_os_error())),
        }
    }

    fn lock_holder(&self) -> String {
        let duplicate = self.handle.try_clone().ok().map(File::from);
        let holder = duplicate.and_then(|directory| lock_holder::of(&directory));
        holder.unwrap_or_else(|| "a process in another container or on another host".to_owned())
    }

    /// Removes the test files in the directory and returns the names of all other entries.
    pub fn remove_test_files(&self) -> nix::Result<Vec<String>> {
        remove_test_files(self.handle.as_fd())
    }

    /// Creates a subdirectory with the permissions that the umask leaves.
    pub fn create(&self, name: &str) -> Result<Self> {
        self.create_with_mode(name, Mode::from_bits_retain(0o777))
    }

    fn create_with_mode(&self, name: &str, mode: Mode) -> Result<Self> {
        let path = self.path.join(name);
        self.create_and_open(name, path.clone(), mode)
            .with_context(|| format!("cannot create the directory {}", path.display()))
    }

    /// Creates a subdirectory with a unique name that starts with `prefix`. Other users may not
    /// replace its entries.
    pub fn create_unique(&self, prefix: &str) -> Result<Self> {
        loop {
            let name = format!("{prefix}{}", token());
            let created = self.create_with_mode(&name, Mode::from_bits_retain(0o755));
            match created {
                Err(error) if error.downcast_ref() == Some(&Errno::EEXIST) => {}
                created => return created,
            }
        }
    }

    fn create_and_open(&self, name: &str, path: PathBuf, mode: Mode) -> Result<Self> {
        let name = CString::new(name)?;
        mkdirat(&self.handle, name.as_c_str(), mode)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let opened = beneath::open(&self.handle, &name, flags);
        // Without a descriptor it could not be identified and removed later.
        let handle = opened.inspect_err(|_| {
            _ = unlinkat(&self.handle, name.as_c_str(), UnlinkatFlags::RemoveDir);
        })?;
        Ok(Self { handle, path, name })
    }

    /// Removes a subdirectory created by this program, with the test files in it. Anything that may
    /// not belong to this program remains.
    pub fn remove(&self, child: &DirectoryHandle) -> Result<(), NotRemoved> {
        self.try_remove(child)
            .map_err(|reason| NotRemoved::new(child, reason))
    }

    fn try_remove(&self, child: &DirectoryHandle) -> Result<(), KeptReason> {
        if !self.contains(child)? {
            return Ok(());
        }
        let others = child.remove_test_files().map_err(KeptReason::SystemCall)?;
        if !others.is_empty() {
            return Err(KeptReason::OtherEntries(others));
        }
        let remove_directory = UnlinkatFlags::RemoveDir;
        match unlinkat(&self.handle, child.name.as_c_str(), remove_directory) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(KeptReason::SystemCall(errno)),
        }
    }

    /// Whether the subdirectory was removed, or replaced by something else.
    pub fn has_lost(&self, child: &DirectoryHandle) -> bool {
        !matches!(self.contains(child), Ok(true))
    }

    /// Whether the path leads to the directory that was opened; false if it does not exist.
    fn contains(&self, child: &DirectoryHandle) -> Result<bool, KeptReason> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let found = match beneath::open(&self.handle, &child.name, flags) {
            Ok(found) => found,
            Err(Errno::ENOENT) => return Ok(false),
            Err(Errno::EXDEV) => return Err(KeptReason::Replaced("a mount point")),
            Err(Errno::ENOTSUP) => {
                return Err(KeptReason::Replaced(
                    "possibly a mount point (the kernel does not report it)",
                ));
            }
            Err(Errno::ELOOP | Errno::ENOTDIR) => {
                return Err(KeptReason::Replaced(self.kind(child)));
            }
            Err(errno) => return Err(KeptReason::SystemCall(errno)),
        };
        let identity = |file: &OwnedFd| fstat(file).map(|stat| (stat.st_dev, stat.st_ino));
        let opened = identity(&child.handle).map_err(KeptReason::SystemCall)?;
        match identity(&found).map_err(KeptReason::SystemCall)? == opened {
            true => Ok(true),
            false => Err(KeptReason::Replaced("another directory")),
        }
    }

    fn kind(&self, child: &DirectoryHandle) -> &'static str {
        let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
        let stat = fstatat(&self.handle, child.name.as_c_str(), flags);
        let kind = stat.map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
        match kind {
            Ok(SFlag::S_IFLNK) => "a symbolic link",
            _ => "not a directory",
        }
    }
}

impl NotRemoved {
    fn new(directory: &DirectoryHandle, reason: KeptReason) -> Self {
        Self {
            path: directory.path.clone(),
            reason,
        }
    }

    /// The directory is in use by this process.
    pub fn in_use(directory: &DirectoryHandle, holder: String) -> Self {
        Self::new(directory, KeptReason::InUse(holder))
    }

    /// A system call on the directory failed.
    pub fn system_call(directory: &DirectoryHandle, errno: Errno) -> Self {
        Self::new(directory, KeptReason::SystemCall(errno))
    }
}

impl fmt::Display for NotRemoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "the directory {path} was not removed: {}; ", self.reason)?;
        f.write_str(match self.reason {
            KeptReason::InUse(_) => "remove it when that process has ended",
            _ => "remove what is yours, then the directory",
        })
    }
}

impl fmt::Display for KeptReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced(kind) => write!(f, "it is now {kind}"),
            Self::OtherEntries(names) => {
                let listed: Vec<_> = names
                    .iter()
                    .take(MAX_LISTED)
                    .map(|name| name.escape_debug().to_string())
                    .collect();
                write!(f, "it contains {}", listed.join(", "))?;
                match names.len().saturating_sub(MAX_LISTED) {
                    0 => {}
                    more => write!(f, " and {more} more")?,
                }
                f.write_str(", not created by wbench")
            }
            Self::InUse(holder) => write!(f, "it is in use by {holder}"),
            Self::SystemCall(errno) => f.write_str(&describe_errno(*errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn parent() -> (tempfile::TempDir, DirectoryHandle) {
        let directory = tempfile::tempdir().unwrap();
        let handle = DirectoryHandle::open(directory.path()).unwrap();
        (directory, handle)
    }

    #[test]
    fn removing_an_empty_or_missing_directory_succeeds() {
        let (_directory, parent) = parent();
        let child = parent.create("child").unwrap();
        parent.remove(&child).unwrap();
        assert!(!child.path().exists());
        parent.remove(&child).unwrap();
        let one = parent.create_unique("x-").unwrap();
        let other = parent.create_unique("x-").unwrap();
        assert_ne!(one.path(), other.path());
    }

    #[test]
    fn a_replacement_of_a_directory_is_kept_and_named() {
        let (directory, parent) = parent();
        let precious = directory.path().join("precious");
        std::fs::create_dir(&precious).unwrap();
        std::fs::write(precious.join("test_file.0"), b"wbench\x00\x01").unwrap();
        let replaced = |replace: &dyn Fn(&Path)| {
            let child = parent.create("child").unwrap();
            std::fs::remove_dir(child.path()).unwrap();
            replace(child.path());
            parent.remove(&child).unwrap_err().to_string()
        };
        let path = directory.path().join("child");
        let link = replaced(&|path| symlink(&precious, path).unwrap());
        assert!(
            link.contains("child was not removed: it is now a symbolic link"),
            "{link}"
        );
        std::fs::remove_file(&path).unwrap();
        let file = replaced(&|path| std::fs::write(path, "").unwrap());
        assert!(file.contains("not a directory"), "{file}");
        std::fs::remove_file(&path).unwrap();
        // The first directory is still open, so its inode number is not reused.
        let other = replaced(&|path| std::fs::rename(&precious, path).unwrap());
        assert!(other.contains("another directory"), "{other}");
        assert!(path.join("test_file.0").exists());
    }

    #[test]
    fn other_entries_of_a_directory_are_kept_and_listed() {
        let (_directory, parent) = parent();
        let child = parent.create("child").unwrap();
        for name in ["a", "b\x1b", "c", "d", "e"] {
            std::fs::write(child.path().join(name), "").unwrap();
        }
        let error = parent.remove(&child).unwrap_err().to_string();
        assert!(
            error.contains("it contains a, b\\u{1b}, c and 2 more"),
            "{error}"
        );
        assert_eq!(std::fs::read_dir(child.path()).unwrap().count(), 5);
    }
}
