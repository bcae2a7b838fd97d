//! A worker thread that keeps several requests in flight in a kernel queue.
//!
//! It draws from the request stream whenever there is room, so requests are submitted in stream
//! order. A request is timed from just before it is submitted until its completion is seen. Each is
//! submitted separately: with a batch, the device would wait for the last request, and the
//! completions would come as a batch. An fsync of the stream has the same place as for a thread
//! that waits for each request: all that the thread has in flight completes first, so that the
//! fsync covers the writes before it, and no request's time includes an fsync that it did not wait
//! for. The fsync that follows each write under fsync-all goes through the queue itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Error, Result, ensure};
use memmap2::MmapMut;
use nix::errno::Errno;

use super::Fileio;
use super::pattern;
use super::requests::{Drawn, Extent, Request};
use super::source::{Stamper, map, stream_of};
use super::validate::Claim;
use crate::clock::{Clock, Ticks};
use crate::engine::Transfer;
use crate::engine::{Events, Issued, Recorder};

/// A kernel operation.
#[derive(Debug, Clone, Copy)]
pub enum Operation {
    /// Read the extent into memory.
    Read(Extent, *mut u8),
    /// Write memory to the extent.
    Write(Extent, *const u8),
    /// Flush this file.
    Flush(u32),
}

/// A completed operation.
#[derive(Debug, Clone, Copy)]
pub struct Completion {
    /// The token that it was pushed with.
    pub token: u32,
    /// Bytes moved.
    pub moved: nix::Result<usize>,
}

/// A kernel queue.
///
/// Dropping it waits until the kernel no longer uses the memory of any operation.
pub trait Queue {
    /// Adds an operation for the next [`Queue::submit`].
    ///
    /// # Safety
    ///
    /// The operation's memory must be valid for its length, and used by nothing else, until its
    /// completion was returned or the queue was dropped.
    unsafe fn push(&mut self, token: u32, operation: Operation);

    /// Returns the number of operations pushed whose completion was not returned yet.
    fn in_flight(&self) -> usize;

    /// Submits the pushed operations, as many as the kernel accepts now.
    ///
    /// An error concerns the queue, not an operation: what was not submitted is then dropped.
    fn submit(&mut self) -> nix::Result<()>;

    /// Submits the rest, waits for at least one completion, and returns all that are available.
    ///
    /// Returns without any after `timeout`, if given and if the kernel supports such a wait. Errors
    /// are those of [`Queue::submit`].
    fn wait(&mut self, done: &mut Vec<Completion>, timeout: Option<Duration>) -> nix::Result<()>;
}

/// One worker thread.
#[derive(Debug)]
pub struct Queued<Q> {
    /// Declared before the memory, so that it is dropped first.
    queue: Q,
    memory: Memory,
    fileio: Arc<Fileio>,
    drawn: Drawn,
    /// Requests in flight, by token.
    flights: Vec<Option<Flight>>,
    free: Vec<u32>,
    done: Vec<Completion>,
}

/// A request in flight.
#[derive(Debug)]
struct Flight {
    extent: Extent,
    start: Ticks,
    stage: Stage,
    claim: Option<Claim>,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Reading,
    /// The source is this part of the write memory.
    Writing(u32),
    /// Written at this time; the fsync that belongs to it is in flight.
    Flushing(Ticks),
}

impl<Q: Queue> Queued<Q> {
    /// Creates the worker of a thread, with a queue over its memory.
    pub(super) fn new(
        fileio: Arc<Fileio>,
        thread: usize,
        queue: impl FnOnce(&Fileio, &mut [u8]) -> Result<Q>,
    ) -> Result<Self> {
        let depth = fileio.params.depth.get();
        let mut memory = Memory::new(&fileio, thread)?;
        Ok(Self {
            queue: queue(&fileio, &mut memory.bytes)?,
            memory,
            fileio,
            drawn: Drawn::default(),
            flights: (0..depth).map(|_| None).collect(),
            free: (0..depth).rev().collect(),
            done: Vec::with_capacity(depth as usize),
        })
    }

    fn read<C: Clock>(&mut self, recorder: &mut Recorder<C>, extent: Extent) -> Result<Issued> {
        let mut claim = None;
        if self.fileio.validator.is_some() {
            claim = self.claim(recorder, |fileio| {
                fileio.validator.as_ref()?.claim_read(extent)
            })?;
            if claim.is_none() {
                return Ok(Issued::Exhausted);
            }
        }
        let token = self.take_token();
        let target = self.memory.target(token, extent.len).as_mut_ptr();
        let start = recorder.begin_event();
        self.takes_off(token, extent, start, Stage::Reading, claim);
        // SAFETY: the token's part of the memory belongs to this request until it completes.
        unsafe { self.queue.push(token, Operation::Read(extent, target)) };
        self.queue.submit().map_err(queue_failed)?;
        Ok(Issued::Pending)
    }

    fn write<C: Clock>(&mut self, recorder: &mut Recorder<C>, extent: Extent) -> Result<Issued> {
        let mut claim = None;
        if self.fileio.validator.is_some() {
            claim = self.claim(recorder, |fileio| {
                fileio.validator.as_ref()?.claim_write(extent)
            })?;
            if claim.is_none() {
                return Ok(Issued::Exhausted);
            }
        }
        let (part, data) = self.memory.next_source(extent);
        if let (Some(validator), Some(claim)) = (&self.fileio.validator, &claim) {
            validator.seal(claim, data);
        }
        let source = data.as_ptr();
        let token = self.take_token();
        let start = recorder.begin_event();
        self.takes_off(token, extent, start, Stage::Writing(part), claim);
        // SAFETY: the part is taken from the free ones, and returned on completion.
        unsafe { self.queue.push(token, Operation::Write(extent, source)) };
        self.queue.submit().map_err(queue_failed)?;
        Ok(Issued::Pending)
    }

    /// Takes a token for a request; one is free whenever a request is drawn from the stream.
    fn take_token(&mut self) -> u32 {
        self.free
            .pop()
            .expect("a request is drawn where there is room")
    }

    fn takes_off(
        &mut self,
        token: u32,
        extent: Extent,
        start: Ticks,
        stage: Stage,
        claim: Option<Claim>,
    ) {
        self.flights[token as usize] = Some(Flight {
            extent,
            start,
            stage,
            claim,
        });
    }

    /// Claims blocks for validation; `None` if the run ends before they are free.
    fn claim<C: Clock>(
        &mut self,
        recorder: &mut Recorder<C>,
        claim: impl Fn(&Fileio) -> Option<Claim>,
    ) -> Result<Option<Claim>> {
        if let Some(claim) = claim(&self.fileio) {
            return Ok(Some(claim));
        }
        // A waiting thread holds no claims, so that no two wait for each other.
        self.complete_all(recorder)?;
        Ok(super::wait_for(recorder, || claim(&self.fileio)))
    }

    /// Waits for at least one completion, or until the timeout, and records all that are available.
    /// Returns the time when the wait ended.
    fn wait<C: Clock>(
        &mut self,
        recorder: &mut Recorder<C>,
        timeout: Option<Duration>,
    ) -> Result<Ticks> {
        let mut done = std::mem::take(&mut self.done);
        let waited = self.queue.wait(&mut done, timeout);
        let end = recorder.now();
        let mut result = waited.map_err(queue_failed);
        for completion in done.drain(..) {
            result = result.and(self.complete(recorder, completion, end));
        }
        self.done = done;
        result.map(|()| end)
    }

    fn complete<C: Clock>(
        &mut self,
        recorder: &mut Recorder<C>,
        Completion { token, moved }: Completion,
        end: Ticks,
    ) -> Result<()> {
        let flight = self.flights.get_mut(token as usize).and_then(Option::take);
        let Some(flight) = flight else {
            anyhow::bail!("the kernel completed request {token}, which is not in flight");
        };
        let Flight { extent, start, .. } = flight;
        let fileio = &*self.fileio;
        match flight.stage {
            Stage::Reading => {
                self.free.push(token);
                if moved != Ok(extent.len) {
                    return Err(fileio.failed("reading", extent, moved));
                }
                recorder.record_event(start, end, Transfer::Read(extent.len as u64));
                if let Some(claim) = flight.claim {
                    fileio.check(&claim, self.memory.target(token, extent.len))?;
                    fileio.release(claim);
                }
            }
            Stage::Writing(part) => {
                self.memory.give_back(part);
                if moved != Ok(extent.len) {
                    self.free.push(token);
                    return Err(fileio.failed("writing", extent, moved));
                }
                if fileio.params.fsync_all {
                    self.flights[token as usize] = Some(Flight {
                        stage: Stage::Flushing(end),
                        ..flight
                    });
                    // SAFETY: a flush has no memory.
                    unsafe { self.queue.push(token, Operation::Flush(extent.file)) };
                } else {
                    self.free.push(token);
                    recorder.record_event(start, end, Transfer::Write(extent.len as u64));
                    fileio.write_ended(flight.claim);
                }
            }
            Stage::Flushing(written) => {
                self.free.push(token);
                moved.map_err(|errno| self.flush_failed(extent.file, errno))?;
                recorder.record_event(start, end, Transfer::Write(extent.len as u64));
                recorder.record_fsync(written, end);
                fileio.write_ended(flight.claim);
            }
        }
        Ok(())
    }

    #[cold]
    fn flush_failed(&self, file: u32, errno: Errno) -> Error {
        let error = self.fileio.flush_failed(file, errno);
        match errno {
            Errno::EINVAL => error.context(
                "this kernel has no asynchronous fsync (Linux has it since 4.18): take --io sync, \
                 or no --fsync-all",
            ),
            _ => error,
        }
    }

    fn complete_all<C: Clock>(&mut self, recorder: &mut Recorder<C>) -> Result<()> {
        while self.queue.in_flight() > 0 {
            self.wait(recorder, None)?;
        }
        Ok(())
    }

    fn flush<C: Clock>(&self, recorder: &mut Recorder<C>, file: u32) -> Result<Issued> {
        recorder.begin_event();
        self.fileio.flush(file)?;
        Ok(Issued::Flushed)
    }
}

impl<Q: Queue> Events for Queued<Q> {
    fn issue<C: Clock>(&mut self, recorder: &mut Recorder<C>) -> Result<Issued> {
        if self.free.is_empty() {
            return Ok(Issued::Full);
        }
        match self.fileio.requests.next(&mut self.drawn) {
            Some(Request::Read(extent)) => self.read(recorder, extent),
            Some(Request::Write(extent)) => self.write(recorder, extent),
            Some(Request::Fsync(file)) => {
                self.complete_all(recorder)?;
                self.flush(recorder, file)
            }
            Some(Request::FinalFsync(file)) => {
                self.complete_all(recorder)?;
                match self.fileio.all_writes_done(recorder) {
                    true => self.flush(recorder, file),
                    false => Ok(Issued::Exhausted),
                }
            }
            None => Ok(Issued::Exhausted),
        }
    }

    fn reap<C: Clock>(&mut self, recorder: &mut Recorder<C>) -> Result<Ticks> {
        let timeout = recorder.until_checkpoint();
        self.wait(recorder, timeout)
    }

    fn drain<C: Clock>(&mut self, recorder: &mut Recorder<C>) -> Result<()> {
        let drained = self.complete_all(recorder);
        // An error may precede the last completion. A second one means that the queue returns
        // nothing more; dropping it waits then.
        let rest = match drained.is_err() {
            true => self.complete_all(recorder),
            false => Ok(()),
        };
        drained.and(rest)
    }
}

#[cold]
fn queue_failed(errno: Errno) -> Error {
    Error::new(errno).context("the kernel's queue of requests (see --io) failed")
}

/// The memory of one thread's requests: a part for each read in flight, and random bytes for
/// writes, in parts that are used in turn.
#[derive(Debug)]
struct Memory {
    /// Page-aligned, as O_DIRECT requires: the parts for reads, then those for writes.
    bytes: MmapMut,
    part: usize,
    reads: usize,
    free_sources: VecDeque<u32>,
    stamper: Stamper,
}

impl Memory {
    fn new(fileio: &Fileio, thread: usize) -> Result<Self> {
        let params = &fileio.params;
        let part = usize::try_from(params.request_size())?;
        let depth = params.depth.get() as usize;
        let reads = if params.mode.reads() { depth } else { 0 };
        let writes = match params.mode.writes() {
            true => depth.max(pattern::pool_size(part) / part),
            false => 0,
        };
        ensure!(part > 0, "a request moves a byte at least");
        let mut bytes = map((reads + writes) * part)?;
        let (targets, sources) = bytes.split_at_mut(reads * part);
        targets.fill(1);
        pattern::fill(sources, stream_of(thread));
        Ok(Self {
            bytes,
            part,
            reads,
            free_sources: (0..writes as u32).collect(),
            stamper: Stamper::new(thread),
        })
    }

    /// Returns the target of a token's read.
    fn target(&mut self, token: u32, len: usize) -> &mut [u8] {
        let at = token as usize * self.part;
        &mut self.bytes[at..at + len]
    }

    /// Returns stamped data for a write, and the number of its part.
    ///
    /// There are at least as many parts as tokens, so a free token implies a free part.
    fn next_source(&mut self, extent: Extent) -> (u32, &mut [u8]) {
        let part = self
            .free_sources
            .pop_front()
            .expect("as many parts as tokens");
        let at = (self.reads + part as usize) * self.part;
        let data = &mut self.bytes[at..at + extent.len];
        self.stamper.stamp(data, extent);
        (part, data)
    }

    fn give_back(&mut self, part: u32) {
        self.free_sources.push_back(part);
    }
}
