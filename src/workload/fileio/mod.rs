//! The file I/O test: reads, writes and fsyncs of a set of files.

mod aio;
mod birth;
mod cache;
mod content;
mod direct;
pub mod files;
mod holes;
pub mod leftover;
mod lock;
mod mark;
mod mmap;
mod one_by_one;
mod pattern;
pub mod prepare;
mod queued;
mod refusal;
pub mod requests;
mod seal;
mod sigbus;
mod source;
mod sync;
mod transfer;
mod uring;
pub mod validate;

use std::hint;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Error, Result};
use nix::errno::Errno;
use nix::unistd::{fdatasync, fsync};

use crate::clock::Clock;
use crate::engine::{EventLoop, EventSource, Progress, Recorder, Worker};
use crate::plan::{FileioParams, FsyncMode, IoMode, Seed};

pub use direct::is_supported_in as direct_io_in;
pub use lock::Access;

use aio::Aio;
use files::TestFiles;
use mmap::{Mapped, Mappings};
use one_by_one::OneByOne;
use queued::Queued;
use requests::{Extent, Requests};
use sync::Calls;
use transfer::{TransferError, retry};
use uring::Uring;
use validate::{Claim, Validator};

/// Requests to a set of files.
#[derive(Debug)]
pub struct Fileio {
    params: FileioParams,
    requests: Requests,
    test_files: Arc<TestFiles>,
    files: Vec<OwnedFd>,
    backend: Backend,
    /// Expected block contents, under `--validate`.
    validator: Option<Arc<Validator>>,
    /// Completed writes: the final fsyncs wait for all writes handed out.
    writes_done: AtomicU64,
}

/// The access method, with the state that all threads share.
#[derive(Debug)]
enum Backend {
    Sync,
    Aio,
    Uring,
    Mmap(Arc<Mappings>),
}

impl Fileio {
    /// Opens the files; in the mode that creates them, creates them anew.
    pub fn open(
        params: &FileioParams,
        seed: Seed,
        max_requests: Option<u64>,
        test_files: Arc<TestFiles>,
        validator: Option<Arc<Validator>>,
    ) -> Result<Self> {
        let files = match params.mode.creates_files() {
            true => test_files.create(params)?,
            false => test_files.open(params)?,
        };
        let backend = match params.io_mode {
            IoMode::Sync => Backend::Sync,
            IoMode::Aio => Backend::Aio,
            IoMode::Uring => Backend::Uring,
            IoMode::Mmap => {
                let writable = params.mode.writes();
                Backend::Mmap(Arc::new(Mappings::of(&test_files, &files, writable)?))
            }
        };
        Ok(Self {
            requests: Requests::new(params, test_files.set(), seed, max_requests),
            params: params.clone(),
            test_files,
            files,
            backend,
            validator,
            writes_done: AtomicU64::new(0),
        })
    }

    fn flush(&self, file: u32) -> Result<()> {
        let descriptor = &self.files[file as usize];
        let flushed = match self.params.fsync_mode {
            FsyncMode::Fsync => retry(|| fsync(descriptor)),
            FsyncMode::Fdatasync => retry(|| fdatasync(descriptor)),
        };
        flushed.map_err(|errno| self.flush_failed(file, errno))
    }

    #[cold]
    fn flush_failed(&self, file: u32, errno: Errno) -> Error {
        let call = match self.params.fsync_mode {
            FsyncMode::Fsync => "fsync",
            FsyncMode::Fdatasync => "fdatasync",
        };
        let path = self.test_files.path_of(file);
        Error::new(errno).context(format!("{call} of {}", path.display()))
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

    /// Compares the data read with the expected content.
    fn check(&self, claim: &Claim, data: &[u8]) -> Result<()> {
        let Some(validator) = &self.validator else {
            return Ok(());
        };
        validator
            .check(claim, data)
            .map_err(|mismatch| mismatch.at(self.test_files.path_of(mismatch.file())).into())
    }

    fn release(&self, claim: Claim) {
        if let Some(validator) = &self.validator {
            validator.release(claim);
        }
    }

    /// Notes that a write was acknowledged.
    #[inline]
    fn write_ended(&self, claim: Option<Claim>) {
        if let Some(claim) = claim {
            self.release(claim);
        }
        self.writes_done.fetch_add(1, Ordering::Release);
    }

    /// Waits for the writes of other threads, so that the fsyncs cover them; returns false if the
    /// run ends first.
    fn all_writes_done<C: Clock>(&self, recorder: &Recorder<C>) -> bool {
        let done = || self.writes_done.load(Ordering::Acquire) >= self.requests.writes_given();
        wait_for(recorder, || done().then_some(())).is_some()
    }
}

/// Polls until there is an answer; `None` if the run ends first.
fn wait_for<C: Clock, T>(recorder: &Recorder<C>, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if !recorder.is_open() {
            return None;
        }
        std::thread::yield_now();
        hint::spin_loop();
    }
}

impl EventSource for Fileio {
    type Worker = FileioWorker;

    fn worker(self: Arc<Self>, thread: usize) -> Result<FileioWorker> {
        Ok(match &self.backend {
            Backend::Sync => FileioWorker::Sync(OneByOne::new(self, Calls, thread)?),
            Backend::Mmap(mappings) => {
                let mapped = Mapped(mappings.clone());
                FileioWorker::Mmap(OneByOne::new(self, mapped, thread)?)
            }
            Backend::Aio => {
                let queue = |fileio: &Fileio, _: &mut [u8]| Aio::new(fileio);
                FileioWorker::Aio(Queued::new(self, thread, queue)?)
            }
            Backend::Uring => FileioWorker::Uring(Queued::new(self, thread, Uring::new)?),
        })
    }

    fn progress(&self) -> Progress {
        self.requests.progress()
    }
}

/// One worker thread. The loop is compiled for each access method.
#[derive(Debug)]
pub enum FileioWorker {
    /// Blocking system calls.
    Sync(OneByOne<Calls>),
    /// Native AIO.
    Aio(Queued<Aio>),
    /// io_uring.
    Uring(Queued<Uring>),
    /// Memory mappings.
    Mmap(OneByOne<Mapped>),
}

impl Worker for FileioWorker {
    fn run<C: Clock>(&mut self, events: EventLoop<'_, C>) -> Result<()> {
        match self {
            Self::Sync(worker) => events.run(worker),
            Self::Aio(worker) => events.run(worker),
            Self::Uring(worker) => events.run(worker),
            Self::Mmap(worker) => events.run(worker),
        }
    }
}
