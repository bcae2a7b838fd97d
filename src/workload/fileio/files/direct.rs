//! O_DIRECT and its alignment, as the kernel reports it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use anyhow::{Result, bail, ensure};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;

use super::open_error::no_direct;
use crate::plan::FileioParams;
use crate::size::Size;

/// Alignment in bytes that O_DIRECT requires, as statx(2) reports it since Linux 6.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alignment {
    /// The kernel or the file system does not report it.
    Unknown,
    /// The file cannot be opened with O_DIRECT.
    Unsupported,
    /// Multiples of this many bytes.
    Bytes(u64),
}

/// Fails if requests would not be aligned as O_DIRECT requires for this file, in this directory.
pub(super) fn check_alignment(
    file: BorrowedFd<'_>,
    dir: &Path,
    params: &FileioParams,
) -> Result<()> {
    let unit = match alignment(file) {
        Alignment::Unsupported => bail!(no_direct(dir)),
        Alignment::Bytes(unit) => unit,
        // No device has blocks smaller than 512 bytes.
        Alignment::Unknown => logical_block_size(file).unwrap_or(512),
    };
    ensure!(
        params.block_size_bytes.is_multiple_of(unit),
        "invalid block size {}: this device requires multiples of {} bytes; choose such a \
         --block-size ({}, {}, ...), or use --flags none",
        params.block_size_bytes,
        unit,
        Size(unit),
        Size(unit * 2)
    );
    Ok(())
}

/// Tests whether files in a directory support O_DIRECT; `None` if none can be created.
pub fn is_supported_in(dir: &Path) -> Option<bool> {
    let file = tempfile::tempfile_in(dir).ok()?;
    Some(switch(&file, true).is_ok())
}

/// Turns O_DIRECT on or off for an open file.
pub fn switch(file: impl AsFd, on: bool) -> nix::Result<()> {
    let mut flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_DIRECT, on);
    fcntl(&file, FcntlArg::F_SETFL(flags)).map(drop)
}

/// A file that is read without leaving pages in the page cache, if O_DIRECT works, because the
/// cache contents belong to the measurement.
#[derive(Debug)]
pub(super) struct Uncached<'a>(&'a File);

impl<'a> Uncached<'a> {
    /// Turns O_DIRECT on until this is dropped.
    pub fn new(file: &'a File) -> Self {
        // Without O_DIRECT the reads go through the page cache.
        let _ = switch(file, true);
        Self(file)
    }

    /// Returns the file itself.
    pub fn file(&self) -> &File {
        self.0
    }

    /// Fills memory aligned for O_DIRECT, at most to the end of the file; returns the number of
    /// bytes read.
    pub fn read_at(&self, memory: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut file = self.0;
        let mut done = 0;
        while done < memory.len() {
            file.seek(SeekFrom::Start(offset + done as u64))?;
            match file.read(&mut memory[done..]) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Not aligned: the device has larger blocks, or the file ended earlier.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && self.is_on()? => {
                    switch(file, false)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn is_on(&self) -> nix::Result<bool> {
        let flags = OFlag::from_bits_retain(fcntl(self.0, FcntlArg::F_GETFL)?);
        Ok(flags.contains(OFlag::O_DIRECT))
    }
}

impl Drop for Uncached<'_> {
    fn drop(&mut self) {
        // It was off before, or could not be turned on.
        let _ = switch(self.0, false);
    }
}

/// Returns the logical block size of the device below a file, in bytes, from sysfs; `None` if the
/// file system has no single device with its own number.
fn logical_block_size(file: BorrowedFd<'_>) -> Option<u64> {
    let device = fstat(file).ok()?.st_dev;
    let number = format!("{}:{}", libc::major(device), libc::minor(device));
    let dir = Path::new("/sys/dev/block")
        .join(number)
        .canonicalize()
        .ok()?;
    // A partition has no queue; its disk, one directory up, has one.
    [Some(dir.as_path()), dir.parent()]
        .into_iter()
        .flatten()
        .find_map(|dir| std::fs::read_to_string(dir.join("queue/logical_block_size")).ok())?
        .trim()
        .parse()
        .ok()
}

fn alignment(file: BorrowedFd<'_>) -> Alignment {
    // SAFETY: all zeros are a valid statx.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    // By number: the standard library declares the C function as one that may be missing, and in a
    // static program it is.
    // SAFETY: the path is an empty C string, for which AT_EMPTY_PATH selects the descriptor itself,
    // and the kernel writes one statx.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_statx,
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_DIOALIGN,
            &raw mut found,
        )
    } != 0;
    if failed || found.stx_mask & libc::STATX_DIOALIGN == 0 {
        return Alignment::Unknown;
    }
    match found.stx_dio_offset_align {
        0 => Alignment::Unsupported,
        unit => Alignment::Bytes(unit.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_size_of_a_device_is_a_power_of_two_of_at_least_512_bytes() {
        let file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        // Some file systems have no device of their own; the size is unknown then.
        if let Some(unit) = logical_block_size(file.as_fd()) {
            assert!(unit >= 512 && unit.is_power_of_two(), "{unit}");
        }
        let memory = tempfile::tempfile_in("/dev/shm").unwrap();
        assert_eq!(logical_block_size(memory.as_fd()), None);
    }
}
