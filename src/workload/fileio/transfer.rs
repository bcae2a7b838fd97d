//! System calls on test files: retried after a signal, and reported when they fail.

use std::fmt;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::error::describe_errno;

/// Repeats a call that a signal interrupted.
pub(super) fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}

/// What ENOSPC means for a test file, and what to do about it.
pub(super) const OUT_OF_SPACE: &str =
    "no space left on the device; choose a smaller total size, or another directory with --dir";

/// What EFBIG means for a test file, and what to do about it.
pub(super) const TOO_LARGE: &str = "file too large for the file size limit (ulimit -f) or the file \
     system (EFBIG); raise the limit, or make the files smaller with a higher --files";

/// A failed or short transfer, and where it occurred.
#[derive(Debug)]
pub struct TransferError {
    /// "reading" or "writing".
    pub doing: &'static str,
    /// Path of the file.
    pub path: PathBuf,
    /// Offset in bytes.
    pub offset: u64,
    /// Bytes requested.
    pub len: usize,
    /// Bytes moved, or why none were.
    pub moved: nix::Result<usize>,
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            doing, offset, len, ..
        } = self;
        let path = self.path.display();
        write!(f, "{doing} {len} bytes at offset {offset} of {path}: ")?;
        match self.moved {
            Ok(moved) => write!(f, "only {moved} bytes were moved"),
            Err(Errno::ENOSPC) => f.write_str(OUT_OF_SPACE),
            Err(Errno::EFBIG) => f.write_str(TOO_LARGE),
            Err(errno) => f.write_str(&describe_errno(errno)),
        }
    }
}

impl std::error::Error for TransferError {}
