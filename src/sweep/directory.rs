//! Directories that a sweep creates, held open from creation to removal.
//!
//! A launcher gets the path of a directory and may replace it with anything: a symbolic link, a
//! mount, another directory. Removal therefore goes through the descriptor, and only if the path
//! still leads to the directory that was created.

use std::ffi::CString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::token;
use crate::beneath;
use crate::workload::fileio::leftover::remove_test_files;

/// Maximum number of entries listed when a directory is not removed.
const NAMES: usize = 3;

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    handle: OwnedFd,
    path: PathBuf,
    /// Name in its parent directory.
    name: CString,
}

/// Why a directory was not removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stays {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    /// Its path now leads to something else.
    Replaced(&'static str),
    /// It has entries that this program did not create.
    HasOther(Vec<String>),
    /// A system call failed.
    Refused(Errno),
}

impl Directory {
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

    /// Creates a subdirectory with the permissions that the umask leaves.
    pub fn create(&self, name: &str) -> Result<Self> {
        self.create_for(name, Mode::from_bits_retain(0o777))
    }

    fn create_for(&self, name: &str, mode: Mode) -> Result<Self> {
        let path = self.path.join(name);
        self.make(name, path.clone(), mode)
            .with_context(|| format!("cannot create the directory {}", path.display()))
    }

    /// Creates a subdirectory with a unique name that starts with `prefix`. Other users may not
    /// replace its entries.
    pub fn create_unique(&self, prefix: &str) -> Result<Self> {
        loop {
            let made = self.create_for(
                &format!("{prefix}{}", token()),
                Mode::from_bits_retain(0o755),
            );
            match made {
                Err(error) if error.downcast_ref() == Some(&Errno::EEXIST) => {}
                made => return made,
            }
        }
    }

    fn make(&self, name: &str, path: PathBuf, mode: Mode) -> Result<Self> {
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
    /// not belong to this program stays.
    pub fn remove(&self, child: &Directory) -> Result<(), Stays> {
        self.try_remove(child).map_err(|reason| Stays {
            path: child.path.clone(),
            reason,
        })
    }

    fn try_remove(&self, child: &Directory) -> Result<(), Reason> {
        match self.is_still_there(child) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(reason) => return Err(reason),
        }
        let left = remove_test_files(&child.handle).map_err(Reason::Refused)?;
        if !left.is_empty() {
            return Err(Reason::HasOther(left));
        }
        match unlinkat(
            &self.handle,
            child.name.as_c_str(),
            UnlinkatFlags::RemoveDir,
        ) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Reason::Refused(errno)),
        }
    }

    /// Whether the path leads to the directory that was created; false if it does not exist.
    fn is_still_there(&self, child: &Directory) -> Result<bool, Reason> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let found = match beneath::open(&self.handle, &child.name, flags) {
            Ok(found) => found,
            Err(Errno::ENOENT) => return Ok(false),
            Err(Errno::EXDEV) => return Err(Reason::Replaced("a mount point")),
            Err(Errno::ENOTSUP) => {
                return Err(Reason::Replaced(
                    "possibly a mount point (the kernel does not report it)",
                ));
            }
            Err(Errno::ELOOP | Errno::ENOTDIR) => return Err(Reason::Replaced(self.kind(child))),
            Err(errno) => return Err(Reason::Refused(errno)),
        };
        let identity = |file: &OwnedFd| fstat(file).map(|stat| (stat.st_dev, stat.st_ino));
        let created = identity(&child.handle).map_err(Reason::Refused)?;
        match identity(&found).map_err(Reason::Refused)? == created {
            true => Ok(true),
            false => Err(Reason::Replaced("another directory")),
        }
    }

    fn kind(&self, child: &Directory) -> &'static str {
        let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
        let stat = fstatat(&self.handle, child.name.as_c_str(), flags);
        let kind = stat.map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
        match kind {
            Ok(SFlag::S_IFLNK) => "a symbolic link",
            _ => "not a directory",
        }
    }
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the directory {} was not removed: ", self.path.display())?;
        match &self.reason {
            Reason::Replaced(kind) => write!(f, "it is now {kind}"),
            Reason::HasOther(names) => {
                let listed: Vec<_> = names
                    .iter()
                    .take(NAMES)
                    .map(|name| name.escape_debug())
                    .map(|name| name.to_string())
                    .collect();
                write!(f, "it contains {}", listed.join(", "))?;
                match names.len().saturating_sub(NAMES) {
                    0 => {}
                    more => write!(f, " and {more} more")?,
                }
                f.write_str(", not created by wbench")
            }
            Reason::Refused(errno) => f.write_str(errno.desc()),
        }?;
        f.write_str("; remove what is yours, then the directory")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn place() -> (tempfile::TempDir, Directory) {
        let place = tempfile::tempdir().unwrap();
        let opened = Directory::open(place.path()).unwrap();
        (place, opened)
    }

    #[test]
    fn removing_an_empty_or_missing_directory_succeeds() {
        let (_place, opened) = place();
        let child = opened.create("child").unwrap();
        opened.remove(&child).unwrap();
        assert!(!child.path().exists());
        opened.remove(&child).unwrap();
        let one = opened.create_unique("x-").unwrap();
        let other = opened.create_unique("x-").unwrap();
        assert_ne!(one.path(), other.path());
    }

    #[test]
    fn a_replacement_of_a_directory_is_kept_and_named() {
        let (place, opened) = place();
        let precious = place.path().join("precious");
        std::fs::create_dir(&precious).unwrap();
        std::fs::write(precious.join("test_file.0"), b"wbench\x00\x01").unwrap();
        let replaced = |replace: &dyn Fn(&Path)| {
            let child = opened.create("child").unwrap();
            std::fs::remove_dir(child.path()).unwrap();
            replace(child.path());
            opened.remove(&child).unwrap_err().to_string()
        };
        let path = place.path().join("child");
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
        let (_place, opened) = place();
        let child = opened.create("child").unwrap();
        for name in ["a", "b\x1b", "c", "d", "e"] {
            std::fs::write(child.path().join(name), "").unwrap();
        }
        let stays = opened.remove(&child).unwrap_err().to_string();
        assert!(
            stays.contains("it contains a, b\\u{1b}, c and 2 more"),
            "{stays}"
        );
        assert_eq!(std::fs::read_dir(child.path()).unwrap().count(), 5);
    }
}
