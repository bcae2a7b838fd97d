//! Pipes and devices: a write may wait for a reader, and a signal ends the wait.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

use super::WriteMethod;
use crate::signal::{self, Interrupted};

/// How long to wait for a reader after a termination signal.
const GRACE: Duration = Duration::from_secs(2);

/// Interval between attempts to open a pipe without a reader: no event announces one.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Bytes per write: a writable pipe accepts this many without blocking (PIPE_BUF).
const CHUNK: usize = 4096;

/// Writes all bytes to a pipe or device, once it has a reader.
pub(super) fn write_to(path: &Path, bytes: &[u8]) -> Result<WriteMethod> {
    let opened = open(path)?;
    write_all(opened.as_fd(), bytes).map(|()| WriteMethod::Normal)
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let mut grace = GracePeriod::default();
    loop {
        match options.open(path) {
            Err(error) if waits_for_reader(path, &error) => {
                grace.check()?;
                thread::sleep(RETRY_INTERVAL);
            }
            opened => return Ok(opened?),
        }
    }
}

fn waits_for_reader(path: &Path, error: &io::Error) -> bool {
    let is_pipe = || fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
    error.raw_os_error() == Some(libc::ENXIO) && is_pipe()
}

/// Writes all bytes to a descriptor, waiting for its reader if it has one.
pub(super) fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    let mut grace = GracePeriod::default();
    while !bytes.is_empty() {
        if !is_ready(to)? {
            grace.check()?;
            continue;
        }
        match write(to, &bytes[..bytes.len().min(CHUNK)]) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR | Errno::EAGAIN) => grace.check()?,
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
    }
    Ok(())
}

/// Waits briefly until a write would not block; that write may still fail.
fn is_ready(to: BorrowedFd<'_>) -> Result<bool> {
    let mut descriptors = [PollFd::new(to, PollFlags::POLLOUT)];
    match poll(&mut descriptors, PollTimeout::from(100u8)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(io::Error::from(errno).into()),
    }
}

/// The time left for a reader after a signal.
#[derive(Debug, Default)]
struct GracePeriod {
    end: Option<Instant>,
}

impl GracePeriod {
    /// Fails if a signal was caught and the grace period after it is over.
    fn check(&mut self) -> Result<(), Interrupted> {
        if !signal::is_caught() {
            return Ok(());
        }
        let now = Instant::now();
        match now < *self.end.get_or_insert(now + GRACE) {
            true => Ok(()),
            false => Err(Interrupted),
        }
    }
}
