//! A worker thread that issues one request at a time and waits for it.

use std::sync::Arc;

use anyhow::{Context, Result};
use memmap2::MmapMut;

use super::data::{WriteBuffer, buffer};
use super::io_engine::SynchronousEngine;
use super::job::{Job, wait_for};
use super::requests::{Extent, ReadBatch, Request};
use super::validate::Validator;
use crate::engine::{Events, Issued, Recorder, Timing, Transfer, Upcoming};

/// One worker thread.
#[derive(Debug)]
pub struct Synchronous<E> {
    engine: E,
    /// Page-aligned, as O_DIRECT requires.
    read_buffer: MmapMut,
    /// Only if the mode writes.
    write_buffer: Option<WriteBuffer>,
    batch: ReadBatch,
    job: Arc<Job>,
}

impl<E: SynchronousEngine> Synchronous<E> {
    /// Creates the worker of a thread.
    pub fn new(job: Arc<Job>, engine: &E::Shared, thread: usize) -> Result<Self> {
        let request = usize::try_from(job.params.request_size())?;
        Ok(Self {
            engine: E::new(engine),
            read_buffer: buffer::map_populated(request)?,
            write_buffer: match job.params.mode.writes() {
                true => Some(WriteBuffer::new(request, thread)?),
                false => None,
            },
            batch: job.requests.batch(thread),
            job,
        })
    }

    #[inline(always)]
    fn read<T: Timing>(&mut self, recorder: &mut Recorder<T>, extent: Extent) -> Result<Issued> {
        if let Some(validator) = &self.job.validator {
            let validator = validator.clone();
            return self.read_and_validate(recorder, extent, &validator);
        }
        let buffer = &mut self.read_buffer[..extent.len];
        self.engine.read(extent, buffer)?;
        Ok(Issued::Done(Transfer::Read(extent.len as u64)))
    }

    #[inline(never)]
    fn read_and_validate<T: Timing>(
        &mut self,
        recorder: &mut Recorder<T>,
        extent: Extent,
        validator: &Validator,
    ) -> Result<Issued> {
        let Some(lock) = wait_for(recorder, || validator.try_lock_for_read(extent)) else {
            return Ok(Issued::Exhausted);
        };
        let buffer = &mut self.read_buffer[..extent.len];
        let start = recorder.begin_event();
        self.engine.read(extent, buffer)?;
        let end = recorder.now();
        recorder.record_event(start, end, Transfer::Read(extent.len as u64));
        self.job.end_validated_read(validator, lock, buffer)?;
        Ok(Issued::Recorded)
    }

    fn write<T: Timing>(&mut self, recorder: &mut Recorder<T>, extent: Extent) -> Result<Issued> {
        let job = &*self.job;
        let data = self
            .write_buffer
            .as_mut()
            .context("a request to write in a mode that reads")?
            .data_for(extent);
        let mut lock = None;
        if let Some(validator) = &job.validator {
            let Some(locked) = wait_for(recorder, || validator.try_lock_for_write(extent)) else {
                return Ok(Issued::Exhausted);
            };
            validator.write_headers(&locked, data);
            lock = Some(locked);
        }
        // Generating the data is not part of the write.
        let start = recorder.begin_event();
        self.engine.write(extent, data)?;
        let transfer = Transfer::Write(extent.len as u64);
        if !job.params.fsync_all {
            job.end_write(lock);
            return Ok(Issued::Done(transfer));
        }
        let written = recorder.now();
        self.engine.flush(extent.file)?;
        let end = recorder.now();
        job.end_write(lock);
        recorder.record_event(start, end, transfer);
        recorder.record_fsync(written, end);
        Ok(Issued::Recorded)
    }
}

impl<E: SynchronousEngine> Events for Synchronous<E> {
    #[inline(always)]
    fn issue<T: Timing>(&mut self, recorder: &mut Recorder<T>) -> Result<Issued> {
        // Most reads of a random mode: without the detour through a `Request` in memory.
        if let Some(extent) = self.batch.pop() {
            return self.read(recorder, extent);
        }
        self.issue_next(recorder)
    }

    fn upcoming(&mut self) -> Upcoming {
        self.job.requests.upcoming(&mut self.batch)
    }

    fn drain<T: Timing>(&mut self, recorder: &mut Recorder<T>) -> Result<()> {
        self.batch.clear();
        self.job
            .flush_at_end(recorder, |file| self.engine.flush(file))
    }
}

impl<E: SynchronousEngine> Synchronous<E> {
    /// Issues the next request of the stream.
    fn issue_next<T: Timing>(&mut self, recorder: &mut Recorder<T>) -> Result<Issued> {
        match self.job.requests.next(&mut self.batch) {
            Some(Request::Read(extent)) => self.read(recorder, extent),
            Some(Request::Write(extent)) => self.write(recorder, extent),
            Some(Request::Fsync(file)) => {
                self.engine.flush(file)?;
                Ok(Issued::Flushed)
            }
            Some(Request::FsyncEvent(file)) => {
                self.engine.flush(file)?;
                Ok(Issued::FlushEvent)
            }
            Some(Request::FinalFsync(file)) => {
                if !self.job.wait_for_writes(recorder) {
                    return Ok(Issued::Exhausted);
                }
                recorder.begin_event();
                self.engine.flush(file)?;
                Ok(Issued::Flushed)
            }
            None => Ok(Issued::Exhausted),
        }
    }
}
