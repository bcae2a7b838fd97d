//! Output of a process, read without blocking.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Read end of a pipe, and the output read so far.
#[derive(Debug)]
pub(super) struct Pipe<F> {
    source: Option<F>,
    pub(super) data: Vec<u8>,
}

impl<F: Read + AsFd + AsRawFd> Pipe<F> {
    pub(super) fn new(source: Option<F>) -> Self {
        Self {
            source,
            data: Vec::new(),
        }
    }

    /// Returns the descriptor to poll; None at the end of the output.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn make_nonblocking(&self) -> io::Result<()> {
        if let Some(source) = &self.source {
            fcntl(source, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(())
    }

    /// Reads available output up to a length of about `limit` bytes and closes the pipe at its end.
    /// Returns whether the limit was reached.
    pub(super) fn read(&mut self, limit: usize) -> bool {
        let mut chunk = [0; 16 << 10];
        while let Some(source) = &mut self.source {
            if self.data.len() >= limit {
                return true;
            }
            match source.read(&mut chunk) {
                Ok(n @ 1..) => self.data.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(0) | Err(_) => self.source = None,
            }
        }
        false
    }

    /// Reads and discards available output except for its last `kept` bytes.
    pub(super) fn read_tail(&mut self, kept: usize) {
        while self.read(2 * kept) {
            self.data.drain(..self.data.len() - kept);
        }
    }

    /// Returns the last lines, at most `kept` bytes, without a line truncated at the front.
    pub(super) fn tail(&self, kept: usize) -> String {
        let start = self.data.len().saturating_sub(kept);
        let text = String::from_utf8_lossy(&self.data[start..]);
        let lines = match (start, text.split_once('\n')) {
            (1.., Some((_, rest))) if !rest.is_empty() => rest,
            _ => &text,
        };
        lines.trim().to_owned()
    }
}
