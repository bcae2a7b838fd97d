//! Disk space reserved for a document, in case the disk fills up during the run.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::target::directory_of;
use super::{MAKE_ROOM, advise};

/// Sizes to try, in bytes: enough for a result with a thousand intervals, or for a typical one.
const SIZES: [usize; 2] = [256 << 10, 32 << 10];

/// Reserved space, released on drop. The file has no name, so a SIGKILL leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Reserve {
    _file: File,
}

impl Reserve {
    /// Reserves space on the disk of a future file.
    ///
    /// Fails if the disk is full already; None if space cannot be reserved for another reason.
    pub(crate) fn beside(path: &Path) -> Result<Option<Self>> {
        let mut refused = None;
        for size in SIZES {
            match Self::of(path, size) {
                Ok(reserve) => return Ok(Some(reserve)),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if is_out_of_space(&error) || error.kind() == ErrorKind::FileTooLarge => {
                Err(advise(error.into(), MAKE_ROOM)
                    .context(format!("cannot reserve space for {}", path.display())))
            }
            _ => Ok(None),
        }
    }

    fn of(path: &Path, size: usize) -> io::Result<Self> {
        let file = tempfile::tempfile_in(directory_of(path))?;
        match fallocate(&file, FallocateFlags::empty(), 0, size as i64) {
            Ok(()) => {}
            Err(errno @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG)) => {
                return Err(errno.into());
            }
            // The file system does not support preallocation: write zeros instead.
            Err(_) => {
                file.write_all_at(&vec![0; size], 0)?;
                file.sync_data()?;
            }
        }
        Ok(Self { _file: file })
    }
}

/// Returns whether a call failed because the disk or quota was full.
pub(crate) fn is_out_of_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}
