//! A worker thread that issues one request at a time and waits for it.

use std::sync::Arc;

use anyhow::{Context, Result};
use memmap2::MmapMut;

use super::Fileio;
use super::requests::{Drawn, Extent, Request};
use super::source::{Source, map_touched};
use crate::clock::Clock;
use crate::engine::Transfer;
use crate::engine::{Events, Issued, Recorder};

/// An access method that returns when the request is done.
pub trait Access {
    /// Fills the target, which is as long as the extent.
    fn read(&self, fileio: &Fileio, extent: Extent, target: &mut [u8]) -> Result<()>;

    /// Writes the source, which is as long as the extent.
    fn write(&self, fileio: &Fileio, extent: Extent, source: &[u8]) -> Result<()>;

    /// Flushes everything written to a file to its device.
    fn flush(&self, fileio: &Fileio, file: u32) -> Result<()>;
}

/// One worker thread.
#[derive(Debug)]
pub struct OneByOne<A> {
    fileio: Arc<Fileio>,
    access: A,
    /// Target of reads; page-aligned, as O_DIRECT requires.
    target: MmapMut,
    /// Data for writes; only if the mode writes.
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

    fn read<C: Clock>(&mut self, recorder: &mut Recorder<C>, extent: Extent) -> Result<Issued> {
        let fileio = &*self.fileio;
        let target = &mut self.target[..extent.len];
        let transfer = Transfer::Read(extent.len as u64);
        let Some(validator) = &fileio.validator else {
            self.access.read(fileio, extent, target)?;
            return Ok(Issued::Done(transfer));
        };
        let Some(claim) = super::wait_for(recorder, || validator.claim_read(extent)) else {
            return Ok(Issued::Exhausted);
        };
        let start = recorder.begin_event();
        self.access.read(fileio, extent, target)?;
        recorder.record_event(start, recorder.now(), transfer);
        fileio.check(&claim, target)?;
        validator.release(claim);
        Ok(Issued::Recorded)
    }

    fn write<C: Clock>(&mut self, recorder: &mut Recorder<C>, extent: Extent) -> Result<Issued> {
        let fileio = &*self.fileio;
        let source = self
            .source
            .as_mut()
            .context("a request to write in a mode that reads")?;
        let data = source.data_for(extent);
        let mut claim = None;
        if let Some(validator) = &fileio.validator {
            let Some(granted) = super::wait_for(recorder, || validator.claim_write(extent)) else {
                return Ok(Issued::Exhausted);
            };
            validator.seal(&granted, data);
            claim = Some(granted);
        }
        // Generating the data is not part of the write.
        recorder.begin_event();
        self.access.write(fileio, extent, data)?;
        if fileio.params.fsync_all {
            let written = recorder.now();
            self.access.flush(fileio, extent.file)?;
            recorder.record_fsync(written, recorder.now());
        }
        fileio.write_ended(claim);
        Ok(Issued::Done(Transfer::Write(extent.len as u64)))
    }
}

impl<A: Access> Events for OneByOne<A> {
    fn issue<C: Clock>(&mut self, recorder: &mut Recorder<C>) -> Result<Issued> {
        match self.fileio.requests.next(&mut self.drawn) {
            Some(Request::Read(extent)) => self.read(recorder, extent),
            Some(Request::Write(extent)) => self.write(recorder, extent),
            Some(Request::Fsync(file)) => {
                self.access.flush(&self.fileio, file)?;
                Ok(Issued::Flushed)
            }
            Some(Request::FinalFsync(file)) => {
                if !self.fileio.all_writes_done(recorder) {
                    return Ok(Issued::Exhausted);
                }
                recorder.begin_event();
                self.access.flush(&self.fileio, file)?;
                Ok(Issued::Flushed)
            }
            None => Ok(Issued::Exhausted),
        }
    }
}
