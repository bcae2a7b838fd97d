//! The file I/O test: reads, writes and fsyncs of a set of files.

mod direct;
pub mod files;
mod pattern;
mod prepare;
pub mod requests;

use std::hint;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Error, Result};
use memmap2::MmapMut;
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{fdatasync, fsync};

use crate::clock::Clock;
use crate::engine::{Lane, Progress, Worker, Workload};
use crate::measure::Transfer;
use crate::plan::{FileioParams, FsyncMode, Seed};

pub use direct::is_supported_in as direct_io_in;

use files::{TestFiles, TransferError, retry};
use requests::{Extent, Held, Request, Requests};

/// Requests to the files of a set.
#[derive(Debug)]
pub struct Fileio {
    params: FileioParams,
    requests: Requests,
    test_files: Arc<TestFiles>,
    files: Vec<OwnedFd>,
    /// Writes that have ended: the final fsyncs wait for all that were given out.
    writes_done: AtomicU64,
}

impl Fileio {
    /// Opens the files; in the mode that creates them, makes them anew.
    pub fn open(
        params: &FileioParams,
        seed: Seed,
        max_requests: Option<u64>,
        test_files: Arc<TestFiles>,
    ) -> Result<Self> {
        let files = match params.mode.creates_files() {
            true => test_files.create(params)?,
            false => test_files.open(params)?,
        };
        Ok(Self {
            requests: Requests::new(params, test_files.set(), seed, max_requests),
            params: params.clone(),
            test_files,
            files,
            writes_done: AtomicU64::new(0),
        })
    }

    fn flush(&self, file: u32) -> Result<()> {
        let descriptor = &self.files[file as usize];
        let (call, done) = match self.params.fsync_mode {
            FsyncMode::Fsync => ("fsync", retry(|| fsync(descriptor))),
            FsyncMode::Fdatasync => ("fdatasync", retry(|| fdatasync(descriptor))),
        };
        done.with_context(|| format!("{call} of {}", self.test_files.path_of(file).display()))
    }

    #[cold]
    fn failed(&self, doing: &'static str, extent: Extent, moved: nix::Result<usize>) -> Error {
        TransferError {
            doing,
            path: self.test_files.path_of(extent.file),
            offset: extent.offset,
            len: extent.len,
            moved,
        }
        .into()
    }
}

impl Workload for Fileio {
    type Worker = SyncWorker;

    fn worker(self: Arc<Self>, thread: usize) -> Result<SyncWorker> {
        let request = usize::try_from(self.params.request_size())?;
        Ok(SyncWorker {
            source: match self.params.mode.writes() {
                true => Some(Source::new(request, thread)?),
                false => None,
            },
            target: touched(request)?,
            held: Held::default(),
            shared: self,
        })
    }

    fn progress(&self) -> Progress {
        self.requests.progress()
    }
}

/// One thread's part: pread(2) and pwrite(2), one request at a time.
#[derive(Debug)]
pub struct SyncWorker {
    shared: Arc<Fileio>,
    /// Where reads go; page-aligned, as O_DIRECT demands.
    target: MmapMut,
    /// What writes take; only where the mode writes.
    source: Option<Source>,
    held: Held,
}

impl Worker for SyncWorker {
    fn run<C: Clock>(&mut self, lane: &mut Lane<C>) -> Result<()> {
        while lane.is_open() {
            match self.shared.requests.next(&mut self.held) {
                Some(Request::Read(extent)) => self.read(lane, extent)?,
                Some(Request::Write(extent)) => self.write(lane, extent)?,
                Some(Request::Fsync(file)) => self.fsync(lane, file)?,
                Some(Request::FinalFsync(file)) => {
                    if self.all_writes_done(lane) {
                        self.fsync(lane, file)?;
                    }
                }
                None => break,
            }
        }
        Ok(())
    }
}

impl SyncWorker {
    fn read<C: Clock>(&mut self, lane: &mut Lane<C>, extent: Extent) -> Result<()> {
        let fileio = &*self.shared;
        let target = &mut self.target[..extent.len];
        let file = &fileio.files[extent.file as usize];
        lane.event(Transfer::Read(extent.len as u64), || {
            match retry(|| pread(file, target, extent.offset as i64)) {
                Ok(moved) if moved == extent.len => Ok(()),
                moved => Err(fileio.failed("reading", extent, moved)),
            }
        })
    }

    fn write<C: Clock>(&mut self, lane: &mut Lane<C>, extent: Extent) -> Result<()> {
        let fileio = &*self.shared;
        let source = self
            .source
            .as_mut()
            .context("a request to write in a mode that reads")?;
        let data = source.data_for(extent);
        let file = &fileio.files[extent.file as usize];
        let start = lane.start();
        match retry(|| pwrite(file, data, extent.offset as i64)) {
            Ok(moved) if moved == extent.len => {}
            moved => return Err(fileio.failed("writing", extent, moved)),
        }
        let written = lane.stop();
        let transfer = Transfer::Write(extent.len as u64);
        if fileio.params.fsync_all {
            fileio.flush(extent.file)?;
            let flushed = lane.stop();
            lane.record_event(start, flushed, transfer);
            lane.record_fsync(written, flushed);
        } else {
            lane.record_event(start, written, transfer);
        }
        fileio.writes_done.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn fsync<C: Clock>(&self, lane: &mut Lane<C>, file: u32) -> Result<()> {
        let start = lane.start();
        self.shared.flush(file)?;
        let end = lane.stop();
        lane.record_fsync(start, end);
        Ok(())
    }

    /// Waits for the writes that other threads have in hand, so that the fsyncs cover them;
    /// false where the run ends meanwhile.
    fn all_writes_done<C: Clock>(&self, lane: &Lane<C>) -> bool {
        while self.shared.writes_done.load(Ordering::Acquire) < self.shared.requests.writes_given()
        {
            if !lane.is_open() {
                return false;
            }
            std::thread::yield_now();
            hint::spin_loop();
        }
        true
    }
}

/// Data to write: a pool of random bytes that each request takes the next part of, stamped anew.
#[derive(Debug)]
struct Source {
    pool: MmapMut,
    next: usize,
    serial: u64,
}

impl Source {
    fn new(request: usize, thread: usize) -> Result<Self> {
        let mut pool =
            MmapMut::map_anon(pattern::pool_size(request)).context("mapping a buffer")?;
        // Streams of threads are kept from those that prepare has for its files.
        pattern::fill(&mut pool, u64::MAX - thread as u64);
        Ok(Self {
            pool,
            next: 0,
            serial: (thread as u64 + 1) << 32,
        })
    }

    #[inline]
    fn data_for(&mut self, extent: Extent) -> &[u8] {
        if self.next + extent.len > self.pool.len() {
            self.next = 0;
        }
        let data = &mut self.pool[self.next..self.next + extent.len];
        self.next += extent.len;
        self.serial += 1;
        pattern::stamp(data, extent.file, extent.offset, self.serial);
        data
    }
}

/// A page-aligned buffer whose pages are there already.
fn touched(len: usize) -> Result<MmapMut> {
    let mut buffer = MmapMut::map_anon(len).context("mapping a buffer")?;
    buffer.fill(1);
    Ok(buffer)
}
