//! Writing one file from start to end.

use std::fs::File;

use anyhow::{Context, Error, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::uio::pwrite;

use super::content::Chunk;
use crate::workload::fileio::files::{TestFiles, switch_direct};
use crate::workload::fileio::transfer::{OUT_OF_SPACE, TOO_LARGE, TransferError, retry};

/// O_DIRECT is used only for whole multiples of this; the end of a file may be shorter.
const DIRECT_UNIT: usize = 4096;

/// A file that is being filled.
pub(super) struct FileWriter<'a> {
    files: &'a TestFiles,
    number: u32,
    file: File,
    direct: bool,
}

impl<'a> FileWriter<'a> {
    /// Creates the file empty.
    pub fn create(files: &'a TestFiles, number: u32) -> Result<Self> {
        let (file, direct) = files.create_to_fill(number)?;
        let writer = Self {
            files,
            number,
            file,
            direct,
        };
        if direct {
            writer.reserve()?;
        }
        Ok(writer)
    }

    /// Reserves the file's space at once, so that files written concurrently are not interleaved on
    /// the disk. All of it is written afterward.
    fn reserve(&self) -> Result<()> {
        let size = i64::try_from(self.files.set().file_size)?;
        let why =
            match retry(|| fallocate(&self.file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, size)) {
                Err(Errno::ENOSPC) => OUT_OF_SPACE,
                Err(Errno::EFBIG) => TOO_LARGE,
                // A file system that cannot reserve space can still write.
                _ => return Ok(()),
            };
        let path = self.files.path_of(self.number);
        bail!("reserving {size} bytes for {}: {why}", path.display())
    }

    /// Writes the next chunk.
    pub fn write(&mut self, chunk: &Chunk) -> Result<()> {
        let data = chunk.data();
        let mut done = 0;
        while done < data.len() {
            let rest = &data[done..];
            let part = match rest.len() / DIRECT_UNIT * DIRECT_UNIT {
                whole if self.direct && whole > 0 => &rest[..whole],
                _ => {
                    self.leave_direct_io()?;
                    rest
                }
            };
            let offset = chunk.offset + done as u64;
            let moved = retry(|| pwrite(&self.file, part, offset as i64));
            match moved {
                Ok(0) => return Err(self.write_error(chunk, moved)),
                Ok(n) => done += n,
                Err(Errno::EINVAL) if self.direct => self.leave_direct_io()?,
                Err(_) => return Err(self.write_error(chunk, moved)),
            }
        }
        Ok(())
    }

    /// Flushes the file to its device.
    pub fn sync(&self) -> Result<()> {
        self.file
            .sync_all()
            .with_context(|| format!("syncing {}", self.files.path_of(self.number).display()))
    }

    /// Switches the following writes to the page cache.
    fn leave_direct_io(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.direct, false) {
            switch_direct(&self.file, false).context("switching O_DIRECT off")?;
        }
        Ok(())
    }

    fn write_error(&self, chunk: &Chunk, moved: nix::Result<usize>) -> Error {
        TransferError {
            doing: "writing",
            path: self.files.path_of(self.number),
            offset: chunk.offset,
            len: chunk.data().len(),
            moved,
        }
        .into()
    }
}
