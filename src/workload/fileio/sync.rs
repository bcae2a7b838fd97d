//! pread(2) and pwrite(2).

use anyhow::Result;
use nix::sys::uio::{pread, pwrite};

use super::Fileio;
use super::one_by_one::Access;
use super::requests::Extent;
use super::transfer::retry;

/// Blocking system calls.
#[derive(Debug)]
pub struct Calls;

impl Access for Calls {
    #[inline(always)]
    fn read(&self, fileio: &Fileio, extent: Extent, target: &mut [u8]) -> Result<()> {
        let file = &fileio.files[extent.file as usize];
        match retry(|| pread(file, target, extent.offset as i64)) {
            Ok(moved) if moved == extent.len => Ok(()),
            moved => Err(fileio.failed("reading", extent, moved)),
        }
    }

    #[inline(always)]
    fn write(&self, fileio: &Fileio, extent: Extent, source: &[u8]) -> Result<()> {
        let file = &fileio.files[extent.file as usize];
        match retry(|| pwrite(file, source, extent.offset as i64)) {
            Ok(moved) if moved == extent.len => Ok(()),
            moved => Err(fileio.failed("writing", extent, moved)),
        }
    }

    fn flush(&self, fileio: &Fileio, file: u32) -> Result<()> {
        fileio.flush(file)
    }
}
