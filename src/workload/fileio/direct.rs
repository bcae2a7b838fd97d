//! O_DIRECT by the book: what the kernel says of its alignment.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use anyhow::{Result, bail, ensure};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;

use super::refusal::no_direct;
use crate::plan::FileioParams;
use crate::size::Size;

/// What O_DIRECT demands of offsets and lengths, in bytes, as statx(2) tells it since Linux 6.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alignment {
    /// The kernel or the file system doesn't tell.
    Unknown,
    /// The file can't be opened so.
    Unsupported,
    /// Multiples of this.
    Bytes(u64),
}

/// Fails where a request would not be aligned as O_DIRECT demands in the place of this file, in
/// this folder.
pub(super) fn check_fit(file: BorrowedFd<'_>, folder: &Path, params: &FileioParams) -> Result<()> {
    let unit = match alignment(file) {
        Alignment::Unsupported => bail!(no_direct(folder)),
        Alignment::Bytes(unit) => unit,
        // No device has smaller blocks than 512 bytes.
        Alignment::Unknown => logical_block_size(file).unwrap_or(512),
    };
    ensure!(
        params.block_size_bytes.is_multiple_of(unit),
        "blocks of {} bytes don't fit: this device takes multiples of {} bytes ({}, {}, ...); take \
         such a --block-size, or --flags none",
        params.block_size_bytes,
        unit,
        Size(unit),
        Size(unit * 2)
    );
    Ok(())
}

/// Tells by trying whether files in a folder can be opened so; None where none can be made.
pub fn is_supported_in(folder: &Path) -> Option<bool> {
    let file = tempfile::tempfile_in(folder).ok()?;
    Some(switch(&file, true).is_ok())
}

/// Switches O_DIRECT for an open file.
pub(super) fn switch(file: impl AsFd, on: bool) -> nix::Result<()> {
    let mut flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_DIRECT, on);
    fcntl(&file, FcntlArg::F_SETFL(flags)).map(drop)
}

/// A file that is read without leaving its pages in the page cache where O_DIRECT works, as what
/// is in the cache belongs to the measurement.
#[derive(Debug)]
pub(super) struct Uncached<'a>(&'a File);

impl<'a> Uncached<'a> {
    /// Switches O_DIRECT on as long as this lives.
    pub fn new(file: &'a File) -> Self {
        // Without O_DIRECT the reads go through the page cache.
        let _ = switch(file, true);
        Self(file)
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        self.0
    }

    /// Fills the memory, aligned as O_DIRECT needs it, as far as the file goes; returns the bytes
    /// read.
    pub fn read_at(&self, memory: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut file = self.0;
        let mut done = 0;
        while done < memory.len() {
            file.seek(SeekFrom::Start(offset + done as u64))?;
            match file.read(&mut memory[done..]) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Not aligned: the device has larger blocks, or the file ended before.
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
        // It was off before, or could not be switched on.
        let _ = switch(self.0, false);
    }
}

/// The unit of the block device below a file, in bytes, as sysfs tells it; None where the file
/// system has no one device of its own number.
fn logical_block_size(file: BorrowedFd<'_>) -> Option<u64> {
    let device = fstat(file).ok()?.st_dev;
    let number = format!("{}:{}", libc::major(device), libc::minor(device));
    let folder = Path::new("/sys/dev/block")
        .join(number)
        .canonicalize()
        .ok()?;
    // A partition has no queue; its disk, one folder above, has.
    [Some(folder.as_path()), folder.parent()]
        .into_iter()
        .flatten()
        .find_map(|folder| std::fs::read_to_string(folder.join("queue/logical_block_size")).ok())?
        .trim()
        .parse()
        .ok()
}

fn alignment(file: BorrowedFd<'_>) -> Alignment {
    // SAFETY: all zeros are a valid statx.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    // By its number: the standard library declares the C function as one that may be missing,
    // and a static program gets the missing one then.
    // SAFETY: the path is an empty C string, which AT_EMPTY_PATH takes for the descriptor itself,
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
    fn the_unit_of_a_device_is_a_power_of_two_of_at_least_512_bytes() {
        let file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        // Some file systems have no device of their own; then nothing is known.
        if let Some(unit) = logical_block_size(file.as_fd()) {
            assert!(unit >= 512 && unit.is_power_of_two(), "{unit}");
        }
        let memory = tempfile::tempfile_in("/dev/shm").unwrap();
        assert_eq!(logical_block_size(memory.as_fd()), None);
    }
}
