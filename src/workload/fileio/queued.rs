//! A worker thread that keeps several requests in flight in a kernel queue.
//!
//! It draws from the request stream whenever a tag is free, so requests are submitted in stream
//! order. A request is timed from just before it is submitted until its completion is seen. Each is
//! submitted separately: with a batch, the device would wait for the last request, and the
//! completions would come as a batch. An fsync of the stream has the same place as for a thread
//! that waits for each request: all that the thread has in flight completes first, so that the
//! fsync covers the writes before it, and no request's time includes an fsync that it did not wait
//! for. The fsync that follows each write under fsync-all goes through the queue itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Error, Result};
use nix::errno::Errno;

use super::io_engine::{Completion, Operation, QueuedEngine};
use super::job::{Job, wait_for};
use super::request_memory::RequestMemory;
use super::requests::{Extent, ReadBatch, Request};
use super::validate::{BlockLock, Validator};
use crate::clock::Ticks;
use crate::engine::{EventStart, Events, Issued, Recorder, Timing, Transfer, Upcoming};

/// One worker thread.
#[derive(Debug)]
pub struct Queued<E> {
    /// Declared before the memory, so that it is dropped first.
    engine: E,
    memory: RequestMemory,
    batch: ReadBatch,
    /// Requests in flight, by tag.
    in_flight: Vec<Option<IoUnit>>,
    free_tags: Vec<u32>,
    completions: Vec<Completion>,
    job: Arc<Job>,
}

/// A request in flight.
#[derive(Debug)]
struct IoUnit {
    extent: Extent,
    start: EventStart,
    stage: Stage,
    lock: Option<BlockLock>,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Read,
    Write {
        /// Number of the write buffer.
        buffer: u32,
    },
    /// The fsync that belongs to a write.
    Flush {
        /// When the write completed.
        written: Ticks,
    },
}

impl<E: QueuedEngine> Queued<E> {
    /// Creates the worker of a thread.
    pub fn new(job: Arc<Job>, engine: &E::Shared, thread: usize) -> Result<Self> {
        let depth = job.params.depth.get();
        let mut memory = RequestMemory::new(&job.params, thread)?;
        Ok(Self {
            // SAFETY: the memory is dropped after the engine.
            engine: unsafe { E::new(engine, memory.bytes()) }?,
            memory,
            batch: job.requests.batch(thread),
            in_flight: (0..depth).map(|_| None).collect(),
            free_tags: (0..depth).rev().collect(),
            completions: Vec::with_capacity(depth as usize),
            job,
        })
    }

    fn read<T: Timing>(&mut self, recorder: &mut Recorder<T>, extent: Extent) -> Result<Issued> {
        let mut lock = None;
        if self.job.validator.is_some() {
            lock = self.lock(recorder, |validator| validator.try_lock_for_read(extent))?;
            if lock.is_none() {
                return Ok(Issued::Exhausted);
            }
        }
        let tag = self.take_tag();
        let buffer = self.memory.read_buffer(tag, extent.len).as_mut_ptr();
        let start = recorder.begin_event();
        self.in_flight[tag as usize] = Some(IoUnit {
            extent,
            start,
            stage: Stage::Read,
            lock,
        });
        // SAFETY: the tag's read buffer belongs to this request until it completes.
        unsafe { self.engine.push(tag, Operation::Read(extent, buffer)) };
        self.engine.submit().map_err(queue_error)?;
        Ok(Issued::Pending)
    }

    fn write<T: Timing>(&mut self, recorder: &mut Recorder<T>, extent: Extent) -> Result<Issued> {
        let mut lock = None;
        if self.job.validator.is_some() {
            lock = self.lock(recorder, |validator| validator.try_lock_for_write(extent))?;
            if lock.is_none() {
                return Ok(Issued::Exhausted);
            }
        }
        let (buffer, data) = self.memory.take_write_buffer(extent);
        if let (Some(validator), Some(lock)) = (&self.job.validator, &lock) {
            validator.write_headers(lock, data);
        }
        let data = data.as_ptr();
        let tag = self.take_tag();
        let start = recorder.begin_event();
        self.in_flight[tag as usize] = Some(IoUnit {
            extent,
            start,
            stage: Stage::Write { buffer },
            lock,
        });
        // SAFETY: the write buffer was free, and is freed on completion.
        unsafe { self.engine.push(tag, Operation::Write(extent, data)) };
        self.engine.submit().map_err(queue_error)?;
        Ok(Issued::Pending)
    }

    /// Takes a tag for a request; one is free whenever a request is drawn from the stream.
    fn take_tag(&mut self) -> u32 {
        self.free_tags
            .pop()
            .expect("a request is drawn only if a tag is free")
    }

    /// Locks blocks for validation; `None` if the run ends before they are free.
    fn lock<T: Timing>(
        &mut self,
        recorder: &mut Recorder<T>,
        try_lock: impl Fn(&Validator) -> Option<BlockLock>,
    ) -> Result<Option<BlockLock>> {
        let job = self.job.clone();
        let try_lock = || job.validator.as_deref().and_then(&try_lock);
        if let Some(lock) = try_lock() {
            return Ok(Some(lock));
        }
        // A waiting thread holds no locks, so that no two wait for each other.
        self.complete_all(recorder)?;
        Ok(wait_for(recorder, try_lock))
    }

    /// Waits for at least one completion, or until the timeout, and records all that are available.
    /// Returns the time when the wait ended.
    fn wait<T: Timing>(
        &mut self,
        recorder: &mut Recorder<T>,
        timeout: Option<Duration>,
    ) -> Result<Ticks> {
        let mut completions = std::mem::take(&mut self.completions);
        let waited = self.engine.wait(&mut completions, timeout);
        let end = recorder.now();
        let mut result = waited.map_err(queue_error);
        for completion in completions.drain(..) {
            result = result.and(self.complete(recorder, completion, end));
        }
        self.completions = completions;
        result.map(|()| end)
    }

    fn complete<T: Timing>(
        &mut self,
        recorder: &mut Recorder<T>,
        Completion { tag, moved }: Completion,
        end: Ticks,
    ) -> Result<()> {
        let unit = self.in_flight.get_mut(tag as usize).and_then(Option::take);
        let Some(unit) = unit else {
            anyhow::bail!("the kernel completed request {tag}, which is not in flight");
        };
        let IoUnit { extent, start, .. } = unit;
        let job = &*self.job;
        match unit.stage {
            Stage::Read => {
                self.free_tags.push(tag);
                if moved != Ok(extent.len) {
                    return Err(job.files.transfer_error("reading", extent, moved));
                }
                recorder.record_event(start, end, Transfer::Read(extent.len as u64));
                if let (Some(validator), Some(lock)) = (&job.validator, unit.lock) {
                    let data = self.memory.read_buffer(tag, extent.len);
                    job.end_validated_read(validator, lock, data)?;
                }
            }
            Stage::Write { buffer } => {
                self.memory.free_write_buffer(buffer);
                if moved != Ok(extent.len) {
                    self.free_tags.push(tag);
                    return Err(job.files.transfer_error("writing", extent, moved));
                }
                if job.params.fsync_all {
                    self.in_flight[tag as usize] = Some(IoUnit {
                        stage: Stage::Flush { written: end },
                        ..unit
                    });
                    // SAFETY: a flush has no memory.
                    unsafe { self.engine.push(tag, Operation::Flush(extent.file)) };
                } else {
                    self.free_tags.push(tag);
                    recorder.record_event(start, end, Transfer::Write(extent.len as u64));
                    job.end_write(unit.lock);
                }
            }
            Stage::Flush { written } => {
                self.free_tags.push(tag);
                moved.map_err(|errno| self.flush_error(extent.file, errno))?;
                recorder.record_event(start, end, Transfer::Write(extent.len as u64));
                recorder.record_fsync(written, end);
                job.end_write(unit.lock);
            }
        }
        Ok(())
    }

    #[cold]
    fn flush_error(&self, file: u32, errno: Errno) -> Error {
        let fsync_mode = self.job.params.fsync_mode;
        let error = self.job.files.flush_error(file, fsync_mode, errno);
        match errno {
            Errno::EINVAL => error.context(
                "this kernel has no asynchronous fsync (Linux has it since 4.18): use --io sync, \
                 or no --fsync-all",
            ),
            _ => error,
        }
    }

    fn complete_all<T: Timing>(&mut self, recorder: &mut Recorder<T>) -> Result<()> {
        while self.engine.in_flight() > 0 {
            self.wait(recorder, None)?;
        }
        Ok(())
    }

    fn flush<T: Timing>(&self, recorder: &mut Recorder<T>, file: u32) -> Result<Issued> {
        recorder.begin_event();
        self.job.files.flush(file, self.job.params.fsync_mode)?;
        Ok(Issued::Flushed)
    }
}

impl<E: QueuedEngine> Events for Queued<E> {
    fn issue<T: Timing>(&mut self, recorder: &mut Recorder<T>) -> Result<Issued> {
        if self.free_tags.is_empty() {
            return Ok(Issued::Full);
        }
        match self.job.requests.next(&mut self.batch) {
            Some(Request::Read(extent)) => self.read(recorder, extent),
            Some(Request::Write(extent)) => self.write(recorder, extent),
            Some(Request::Fsync(file)) => {
                self.complete_all(recorder)?;
                self.flush(recorder, file)
            }
            Some(Request::FsyncEvent(file)) => {
                self.complete_all(recorder)?;
                self.flush(recorder, file)?;
                Ok(Issued::FlushEvent)
            }
            Some(Request::FinalFsync(file)) => {
                self.complete_all(recorder)?;
                match self.job.wait_for_writes(recorder) {
                    true => self.flush(recorder, file),
                    false => Ok(Issued::Exhausted),
                }
            }
            None => Ok(Issued::Exhausted),
        }
    }

    fn upcoming(&mut self) -> Upcoming {
        match self.free_tags.is_empty() {
            true => Upcoming::Full,
            false => self.job.requests.upcoming(&mut self.batch),
        }
    }

    fn reap<T: Timing>(&mut self, recorder: &mut Recorder<T>, until: Ticks) -> Result<Ticks> {
        if until == Ticks::NEVER {
            let timeout = recorder.until_checkpoint();
            return self.wait(recorder, timeout);
        }
        if self.engine.in_flight() == 0 {
            return Ok(recorder.wait_until(until));
        }
        let timeout = recorder.time_to_sleep(recorder.now(), until);
        let ended = self.wait(recorder, Some(timeout))?;
        if timeout.is_zero() {
            recorder.pause();
        }
        Ok(ended)
    }

    fn drain<T: Timing>(&mut self, recorder: &mut Recorder<T>) -> Result<()> {
        self.batch.clear();
        let drained = self.complete_all(recorder);
        // An error may precede the last completion. A second one means that the queue returns
        // nothing more; dropping it waits then.
        let rest = match drained.is_err() {
            true => self.complete_all(recorder),
            false => Ok(()),
        };
        drained.and(rest)?;
        let fsync_mode = self.job.params.fsync_mode;
        self.job
            .flush_at_end(recorder, |file| self.job.files.flush(file, fsync_mode))
    }
}

#[cold]
fn queue_error(errno: Errno) -> Error {
    Error::new(errno).context("the kernel's queue of requests (see --io) failed")
}
