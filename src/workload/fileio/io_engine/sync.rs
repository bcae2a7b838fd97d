//! pread(2) and pwrite(2).

use std::sync::Arc;

use anyhow::Result;
use nix::sys::uio::{pread, pwrite};

use super::{EngineSetup, IoEngine, SynchronousEngine};
use crate::plan::FsyncMode;
use crate::workload::fileio::files::OpenFiles;
use crate::workload::fileio::requests::Extent;
use crate::workload::fileio::transfer::retry;

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
        match retry(|| pread(file, buffer, extent.offset as i64)) {
            Ok(moved) if moved == extent.len => Ok(()),
            moved => Err(self.files.transfer_error("reading", extent, moved)),
        }
    }

    #[inline(always)]
    fn write(&self, extent: Extent, data: &[u8]) -> Result<()> {
        let file = &self.files.descriptors()[extent.file as usize];
        match retry(|| pwrite(file, data, extent.offset as i64)) {
            Ok(moved) if moved == extent.len => Ok(()),
            moved => Err(self.files.transfer_error("writing", extent, moved)),
        }
    }

    fn flush(&self, file: u32) -> Result<()> {
        self.files.flush(file, self.fsync_mode)
    }
}
