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

use super::Written;
use crate::signal::{self, Interrupted};

/// How long to wait for a reader after a termination signal.
const GRACE: Duration = Duration::from_secs(2);

/// Interval between attempts to open a pipe without a reader: no event announces one.
const PACE: Duration = Duration::from_millis(50);

/// Bytes per write: a writable pipe accepts this many without blocking (PIPE_BUF).
const PART: usize = 4096;

/// Writes all bytes to a pipe or device, once it has a reader.
pub(super) fn write_to(path: &Path, bytes: &[u8]) -> Result<Written> {
    let opened = open(path)?;
    write_all(opened.as_fd(), bytes).map(|()| Written::AsItIs)
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let mut patience = Patience::default();
    loop {
        match options.open(path) {
            Err(error) if waits_for_reader(path, &error) => {
                patience.check()?;
                thread::sleep(PACE);
            }
            opened => return Ok(opened?),
        }
    }
}

fn waits_for_reader(path: &Path, error: &io::Error) -> bool {
    let is_pipe = || fs::metadata(path).is_ok_and(|there| there.file_type().is_fifo());
    error.raw_os_error() == Some(libc::ENXIO) && is_pipe()
}

/// Writes all bytes to a descriptor, waiting for its reader if it has one.
pub(super) fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    let mut patience = Patience::default();
    while !bytes.is_empty() {
        if !is_ready(to)? {
            patience.check()?;
            continue;
        }
        match write(to, &bytes[..bytes.len().min(PART)]) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR | Errno::EAGAIN) => patience.check()?,
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
    }
    Ok(())
}

/// Waits briefly until a write would not block; that write may still fail.
fn is_ready(to: BorrowedFd<'_>) -> Result<bool> {
    let mut places = [PollFd::new(to, PollFlags::POLLOUT)];
    match poll(&mut places, PollTimeout::from(100u8)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(io::Error::from(errno).into()),
    }
}

/// The time left for a reader after a signal.
#[derive(Debug, Default)]
struct Patience {
    until: Option<Instant>,
}

impl Patience {
    /// Fails if a signal was caught and the grace period after it is over.
    fn check(&mut self) -> Result<(), Interrupted> {
        if !signal::is_caught() {
            return Ok(());
        }
        let now = Instant::now();
        match now < *self.until.get_or_insert(now + GRACE) {
            true => Ok(()),
            false => Err(Interrupted),
        }
    }
}
