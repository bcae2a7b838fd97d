//! A thread that does one request after the other, and waits for each.

use std::sync::Arc;

use anyhow::{Context, Result};
use memmap2::MmapMut;

use super::Fileio;
use super::requests::{Drawn, Extent, Request};
use super::source::{Source, map_touched};
use crate::clock::Clock;
use crate::engine::{Lane, Worker};
use crate::measure::Transfer;

/// A way to the files that returns when the request is done.
pub trait Access {
    /// Fills the target, which is as long as the extent.
    fn read(&self, fileio: &Fileio, extent: Extent, target: &mut [u8]) -> Result<()>;

    /// Writes the source, which is as long as the extent.
    fn write(&self, fileio: &Fileio, extent: Extent, source: &[u8]) -> Result<()>;

    /// Has all that was written to a file reach its device.
    fn flush(&self, fileio: &Fileio, file: u32) -> Result<()>;
}

/// One thread's part.
#[derive(Debug)]
pub struct OneByOne<A> {
    fileio: Arc<Fileio>,
    access: A,
    /// Where reads go; page-aligned, as O_DIRECT demands.
    target: MmapMut,
    /// What writes take; only where the mode writes.
    source: Option<Source>,
    drawn: Drawn,
}

impl<A: Access> OneByOne<A> {
    pub(super) fn new(fileio: Arc<Fileio>, access: A, thread: usize) -> Result<Self> {
        let request = usize::try_from(fileio.params.request_size())?;
        Ok(Self {
            source: match fileio.params.mode.writes() {
                true => Some(Source::new(request, thread)?),
                false => None,
            },
            target: map_touched(request)?,
            drawn: Drawn::default(),
            access,
            fileio,
        })
    }

    fn read<C: Clock>(&mut self, lane: &mut Lane<C>, extent: Extent) -> Result<()> {
        let fileio = &*self.fileio;
        let target = &mut self.target[..extent.len];
        let transfer = Transfer::Read(extent.len as u64);
        let Some(validator) = &fileio.validator else {
            return lane.event(transfer, || self.access.read(fileio, extent, target));
        };
        let Some(claim) = super::wait_for(lane, || validator.claim_read(extent)) else {
            return Ok(());
        };
        lane.event(transfer, || self.access.read(fileio, extent, target))?;
        fileio.check(&claim, target)?;
        validator.release(claim);
        Ok(())
    }

    fn write<C: Clock>(&mut self, lane: &mut Lane<C>, extent: Extent) -> Result<()> {
        let fileio = &*self.fileio;
        let source = self
            .source
            .as_mut()
            .context("a request to write in a mode that reads")?;
        let data = source.data_for(extent);
        let mut claim = None;
        if let Some(validator) = &fileio.validator {
            let Some(granted) = super::wait_for(lane, || validator.claim_write(extent)) else {
                return Ok(());
            };
            validator.seal(&granted, data);
            claim = Some(granted);
        }
        let start = lane.start();
        self.access.write(fileio, extent, data)?;
        let written = lane.stop();
        let transfer = Transfer::Write(extent.len as u64);
        if fileio.params.fsync_all {
            self.access.flush(fileio, extent.file)?;
            let flushed = lane.stop();
            lane.record_event(start, flushed, transfer);
            lane.record_fsync(written, flushed);
        } else {
            lane.record_event(start, written, transfer);
        }
        fileio.write_ended(claim);
        Ok(())
    }

    fn fsync<C: Clock>(&self, lane: &mut Lane<C>, file: u32) -> Result<()> {
        let start = lane.start();
        self.access.flush(&self.fileio, file)?;
        let end = lane.stop();
        lane.record_fsync(start, end);
        Ok(())
    }
}

impl<A: Access> Worker for OneByOne<A> {
    fn run<C: Clock>(&mut self, lane: &mut Lane<C>) -> Result<()> {
        while lane.is_open() {
            match self.fileio.requests.next(&mut self.drawn) {
                Some(Request::Read(extent)) => self.read(lane, extent)?,
                Some(Request::Write(extent)) => self.write(lane, extent)?,
                Some(Request::Fsync(file)) => self.fsync(lane, file)?,
                Some(Request::FinalFsync(file)) => {
                    if self.fileio.all_writes_done(lane) {
                        self.fsync(lane, file)?;
                    }
                }
                None => break,
            }
        }
        Ok(())
    }
}
