//! The target of a path: how it is written, and whether it can be.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};

use crate::error::describe_io;
use crate::host::is_mount_point;

/// How a path is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A pipe or device, written sequentially.
    Special(PathBuf),
    /// A file that is a mount point, which a rename cannot replace.
    InPlace(PathBuf),
    /// An existing or future file, replaced atomically. Never a symbolic link.
    Replace(PathBuf),
}

impl Target {
    /// Returns the target of a path, following symbolic links.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(metadata) => return Self::special(path, &metadata),
            // A missing file, a link to one, or a missing directory: distinguished below.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self::Replace(resolved(path)?));
            }
            Err(error) => return Err(unusable(path, error)),
        };
        let path = resolved(path)?;
        Ok(match metadata.is_file() && is_mount_point(&path) {
            true => Self::InPlace(path),
            false => Self::Replace(path),
        })
    }

    /// Returns the path of the file or device.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Special(path) | Self::InPlace(path) | Self::Replace(path) => path,
        }
    }

    fn special(path: &Path, metadata: &Metadata) -> Result<Self> {
        let kind = metadata.file_type();
        let name = path.display();
        if kind.is_dir() {
            bail!("cannot write {name}: it is a directory; name a file in it");
        }
        if kind.is_block_device() {
            bail!(
                "cannot write {name}: it is a block device, whose data would be lost; name a file"
            );
        }
        Ok(Self::Special(path.to_owned()))
    }

    /// Fails if writing would fail, as far as that can be checked without writing.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            // Only a write shows whether it accepts data.
            Self::Special(_) => Ok(()),
            Self::InPlace(path) => OpenOptions::new()
                .write(true)
                .open(path)
                .map(drop)
                .map_err(|error| unusable(path, error)),
            Self::Replace(path) => tempfile::tempfile_in(directory_of(path))
                .and_then(|_| check_replaceable(path))
                .map_err(|error| unusable(path, error)),
        }
    }
}

fn unusable(path: &Path, error: io::Error) -> Error {
    anyhow!(
        "cannot write {}: {}; name another file",
        path.display(),
        describe_io(&error)
    )
}

/// Fails if a file must not be replaced by another: it is immutable or append-only, or belongs to
/// another user in a sticky directory.
fn check_replaceable(path: &Path) -> io::Result<()> {
    // rmdir(2) checks all permissions to remove the name before it fails with ENOTDIR, and so
    // removes nothing.
    match fs::remove_dir(path) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Err(error),
        _ => Ok(()),
    }
}

/// Returns the target of a symbolic link, or the path itself.
///
/// The kernel follows the links, so that its protection of links in sticky directories applies.
fn resolved(path: &Path) -> Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => {}
        _ => return Ok(path.to_owned()),
    }
    let name = path.display();
    let opened = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(io::Error::from)
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!(
                "{name} is a symbolic link to a missing file; name the file itself, or remove the \
                 link"
            ),
            _ => unusable(path, error),
        })?;
    let about = || format!("cannot follow the symbolic link {name}; name the file itself");
    let file =
        fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).with_context(about)?;
    let (led_to, found) = (
        fstat(&opened).with_context(about)?,
        fs::symlink_metadata(&file).with_context(about)?,
    );
    match (found.dev(), found.ino()) == (led_to.st_dev, led_to.st_ino) {
        true => Ok(file),
        false => Err(anyhow!("its target changed").context(about())),
    }
}

/// Returns the directory of a file.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}
