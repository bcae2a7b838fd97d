//! What the worker threads of a run share.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use super::files::OpenFiles;
use super::requests::Requests;
use super::validate::{BlockLock, Validator};
use crate::engine::{Phase, Recorder, Timing};
use crate::plan::{FileioParams, RequestStream};

/// The job of a run.
#[derive(Debug)]
pub struct Job {
    /// Parameters of the run.
    pub params: FileioParams,
    /// The request stream.
    pub requests: Requests,
    /// The open files.
    pub files: Arc<OpenFiles>,
    /// Expected block contents, under `--validate`.
    pub validator: Option<Arc<Validator>>,
    /// Completed writes: the final fsyncs wait for all writes issued.
    writes_done: AtomicU64,
}

impl Job {
    /// Creates a job that has not begun.
    pub fn new(
        params: FileioParams,
        requests: Requests,
        files: Arc<OpenFiles>,
        validator: Option<Arc<Validator>>,
    ) -> Self {
        Self {
            params,
            requests,
            files,
            validator,
            writes_done: AtomicU64::new(0),
        }
    }

    /// Begins a phase of a run with a warm-up: the requests begin anew, to empty files in a mode that
    /// creates them.
    pub fn begin(&self, phase: Phase) -> Result<()> {
        self.requests.begin(phase);
        self.writes_done.store(0, Ordering::Release);
        match self.params.mode.creates_files() && phase == Phase::Measured {
            true => self.files.empty(&self.params),
            false => Ok(()),
        }
    }

    /// Ends a read under `--validate`: compares the data with the expected content.
    pub fn end_validated_read(
        &self,
        validator: &Validator,
        lock: BlockLock,
        data: &[u8],
    ) -> Result<()> {
        validator
            .check(&lock, data)
            .map_err(|mismatch| mismatch.in_file(self.files.path_of(mismatch.block.file)))?;
        validator.unlock(lock);
        Ok(())
    }

    /// Counts a write that was acknowledged.
    #[inline]
    pub fn end_write(&self, lock: Option<BlockLock>) {
        if let (Some(validator), Some(lock)) = (&self.validator, lock) {
            validator.unlock(lock);
        }
        self.writes_done.fetch_add(1, Ordering::Release);
    }

    /// Flushes every file at the end of a thread's part of the run, if the stream is that of
    /// sysbench 1.0: also if a time limit ended the run.
    pub fn flush_at_end<T: Timing>(
        &self,
        recorder: &mut Recorder<T>,
        flush: impl Fn(u32) -> Result<()>,
    ) -> Result<()> {
        let params = &self.params;
        let flushes = params.stream == RequestStream::V1_0 && params.mode.writes();
        if !(flushes && params.fsync_end) {
            return Ok(());
        }
        for file in 0..params.files.get() {
            if recorder.is_stopped() {
                break;
            }
            let start = recorder.begin_event().began;
            flush(file)?;
            recorder.record_fsync(start, recorder.now());
        }
        Ok(())
    }

    /// Waits for the writes of all threads, so that the fsyncs cover them; returns false if the run
    /// ends first.
    pub fn wait_for_writes<T: Timing>(&self, recorder: &Recorder<T>) -> bool {
        let done = || self.writes_done.load(Ordering::Acquire) >= self.requests.writes_issued();
        wait_for(recorder, || done().then_some(())).is_some()
    }
}

/// Polls until there is a value; `None` if the run ends first.
pub fn wait_for<T: Timing, V>(
    recorder: &Recorder<T>,
    mut poll: impl FnMut() -> Option<V>,
) -> Option<V> {
    loop {
        if let Some(value) = poll() {
            return Some(value);
        }
        if !recorder.is_open() {
            return None;
        }
        std::thread::yield_now();
        hint::spin_loop();
    }
}
