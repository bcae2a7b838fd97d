//! Space on a disk that is kept free for a document, whatever else fills the disk meanwhile.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::target::directory_of;

/// Bytes: enough for a result with a thousand intervals, or else for any usual one.
const SIZES: [usize; 2] = [256 << 10, 32 << 10];

/// Space that is given back when this is dropped. It has no name, so that nothing is left of it
/// after a SIGKILL.
#[derive(Debug)]
pub(crate) struct Reserve {
    _file: File,
}

impl Reserve {
    /// Reserves space on the disk of a file to be.
    ///
    /// Fails where the disk is full already; None where it can't be reserved for another reason.
    pub(crate) fn beside(path: &Path) -> Result<Option<Self>> {
        let mut refused = None;
        for size in SIZES {
            match Self::of(path, size) {
                Ok(reserve) => return Ok(Some(reserve)),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if is_out_of_space(&error) => Err(Error::new(error).context(format!(
                "no space for {}; make room, or name a file on another disk",
                path.display()
            ))),
            Some(error) if error.kind() == ErrorKind::FileTooLarge => Err(Error::new(error)
                .context(format!(
                    "no space for {} within the file size limit; raise it (ulimit -f)",
                    path.display()
                ))),
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
            // A file system without preallocation: what is written has its space.
            Err(_) => {
                file.write_all_at(&vec![0; size], 0)?;
                file.sync_data()?;
            }
        }
        Ok(Self { _file: file })
    }
}

/// Tells whether a call failed for want of space.
pub(crate) fn is_out_of_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}
