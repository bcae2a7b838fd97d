//! The file I/O test: reads, writes and fsyncs of a set of files.

mod data;
pub mod files;
mod io_engine;
mod job;
pub mod prepare;
mod queued;
mod request_memory;
pub mod requests;
mod synchronous;
mod transfer;
pub mod validate;

use std::sync::Arc;

use anyhow::Result;

use crate::engine::{EventLoop, EventSource, Phase, Progress, Timing, Worker};
use crate::plan::{FileioParams, IoMode, Seed};

use files::{OpenFiles, TestFiles};
use io_engine::{Aio, EngineSetup, IoEngine, Mmap, Psync, Uring};
use job::Job;
use queued::Queued;
use requests::Requests;
use synchronous::Synchronous;
use validate::Validator;

/// Defines, for each I/O engine, the state that its threads share and its worker.
macro_rules! io_engines {
    ($($mode:ident => $worker:ident<$engine:ty>,)+) => {
        /// State of the I/O engine that all threads share.
        #[derive(Debug)]
        enum SharedEngine {
            $($mode(<$engine as IoEngine>::Shared),)+
        }

        impl SharedEngine {
            fn new(mode: IoMode, setup: EngineSetup) -> Result<Self> {
                Ok(match mode {
                    $(IoMode::$mode => Self::$mode(<$engine>::share(setup)?),)+
                })
            }
        }

        /// One worker thread. The event loop is compiled for each I/O engine.
        #[derive(Debug)]
        #[allow(missing_docs, reason = "the variants are those of `IoMode`")]
        pub enum FileioWorker {
            $($mode($worker<$engine>),)+
        }

        impl FileioWorker {
            fn new(job: Arc<Job>, engine: &SharedEngine, thread: usize) -> Result<Self> {
                Ok(match engine {
                    $(SharedEngine::$mode(shared) => {
                        Self::$mode($worker::new(job, shared, thread)?)
                    })+
                })
            }
        }

        impl Worker for FileioWorker {
            fn run<T: Timing>(&mut self, events: EventLoop<'_, T>) -> Result<()> {
                match self {
                    $(Self::$mode(worker) => events.run(worker),)+
                }
            }
        }
    };
}

io_engines! {
    Sync => Synchronous<Psync>,
    Aio => Queued<Aio>,
    Uring => Queued<Uring>,
    Mmap => Synchronous<Mmap>,
}

/// Requests to a set of files.
#[derive(Debug)]
pub struct Fileio {
    job: Arc<Job>,
    engine: SharedEngine,
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
        let requests = Requests::new(params, test_files.set(), seed, max_requests);
        let files = Arc::new(OpenFiles::open(test_files, params)?);
        let setup = EngineSetup {
            files: files.clone(),
            writes: params.mode.writes(),
            fsync_mode: params.fsync_mode,
            depth: params.depth.get(),
        };
        Ok(Self {
            engine: SharedEngine::new(params.io_mode, setup)?,
            job: Arc::new(Job::new(params.clone(), requests, files, validator)),
        })
    }
}

impl EventSource for Fileio {
    type Worker = FileioWorker;

    fn worker(self: Arc<Self>, thread: usize) -> Result<FileioWorker> {
        FileioWorker::new(self.job.clone(), &self.engine, thread)
    }

    fn progress(&self) -> Progress {
        self.job.requests.progress()
    }

    fn begin(&self, phase: Phase) -> Result<()> {
        self.job.begin(phase)
    }
}
