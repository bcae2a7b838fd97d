//! pread(2) and pwrite(2).
//!
//! As system calls of their own: the functions of the C library are cancellation points, which cost
//! a thread two atomic operations per call.

use std::sync::Arc;

use anyhow::{Error, Result};
use nix::errno::Errno;
use rustix::io::{pread, pwrite, retry_on_intr};

use super::{EngineSetup, IoEngine, SynchronousEngine};
use crate::plan::FsyncMode;
use crate::workload::fileio::files::OpenFiles;
use crate::workload::fileio::requests::Extent;

/// Blocking system calls (fio: psync).
#[derive(Debug, Clone)]
pub struct Psync {
    files: Arc<OpenFiles>,
    fsync_mode: FsyncMode,
}

impl IoEngine for Psync {
    type Shared = Self;

    fn share(setup: EngineSetup) -> Result<Self> {
        Ok(Self {
            files: setup.files,
            fsync_mode: setup.fsync_mode,
        })
    }
}

impl SynchronousEngine for Psync {
    fn new(shared: &Self) -> Self {
        shared.clone()
    }

    #[inline(always)]
    fn read(&self, extent: Extent, buffer: &mut [u8]) -> Result<()> {
        let file = &self.files.descriptors()[extent.file as usize];
        match retry_on_intr(|| pread(file, &mut *buffer, extent.offset)) {
            Ok(moved) if moved == extent.len => Ok(()),
            moved => Err(self.transfer_error("reading", extent, moved)),
        }
    }

    #[inline(always)]
    fn write(&self, extent: Extent, data: &[u8]) -> Result<()> {
        let file = &self.files.descriptors()[extent.file as usize];
        match retry_on_intr(|| pwrite(file, data, extent.offset)) {
            Ok(moved) if moved == extent.len => Ok(()),
            moved => Err(self.transfer_error("writing", extent, moved)),
        }
    }

    fn flush(&self, file: u32) -> Result<()> {
        self.files.flush(file, self.fsync_mode)
    }
}

impl Psync {
    #[cold]
    fn transfer_error(
        &self,
        doing: &'static str,
        extent: Extent,
        moved: rustix::io::Result<usize>,
    ) -> Error {
        let moved = moved.map_err(|errno| Errno::from_raw(errno.raw_os_error()));
        self.files.transfer_error(doing, extent, moved)
    }
}
