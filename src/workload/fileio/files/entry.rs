//! What exists under the name of a test file.

use nix::sys::stat::{FileStat, SFlag};

/// A directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileEntry {
    Missing,
    Regular {
        /// Size in bytes.
        size: u64,
    },
    /// Anything else, described with its article.
    Other(&'static str),
}

impl FileEntry {
    /// Returns the entry of these attributes.
    pub fn of(stat: &FileStat) -> Self {
        match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFREG => Self::Regular {
                size: u64::try_from(stat.st_size).unwrap_or(0),
            },
            SFlag::S_IFDIR => Self::Other("a directory"),
            SFlag::S_IFLNK => Self::Other("a symbolic link"),
            SFlag::S_IFIFO => Self::Other("a pipe"),
            SFlag::S_IFSOCK => Self::Other("a socket"),
            _ => Self::Other("a device"),
        }
    }

    /// Returns whether this is a regular file.
    pub fn is_regular(self) -> bool {
        matches!(self, Self::Regular { .. })
    }
}

/// Identity of a file, independent of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl FileId {
    /// Returns the identity of the file with these attributes.
    pub fn of(stat: &FileStat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }
}
