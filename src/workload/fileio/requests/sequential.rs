//! Sequential requests through the files.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Extent, Request};
use crate::engine::{Phase, Progress};
use crate::plan::{FileSet, FileioParams};

/// All files from the first byte to the last, once.
#[derive(Debug)]
pub struct Sequential {
    files: FileSet,
    writes: bool,
    step: u64,
    requests_per_file: u64,
    data_requests: u64,
    fsyncs: u64,
    /// Whether the requests begin again after the last.
    is_warm_up: AtomicBool,
    next: AtomicU64,
}

impl Sequential {
    pub(super) fn new(params: &FileioParams, files: FileSet, max_requests: Option<u64>) -> Self {
        let step = params.request_size();
        let requests_per_file = files.file_size.div_ceil(step);
        let count = u64::from(files.files.get());
        let writes = params.mode.writes();
        Self {
            files,
            writes,
            step,
            requests_per_file,
            data_requests: (requests_per_file * count).min(max_requests.unwrap_or(u64::MAX)),
            fsyncs: if writes && params.fsync_end { count } else { 0 },
            is_warm_up: AtomicBool::new(false),
            next: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn next(&self) -> Option<Request> {
        let mut number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.data_requests && self.is_warm_up.load(Ordering::Relaxed) {
            number %= self.data_requests.max(1);
        } else if number >= self.data_requests {
            let file = number - self.data_requests;
            return (file < self.fsyncs).then_some(Request::FinalFsync(file as u32));
        }
        let offset = number % self.requests_per_file * self.step;
        let extent = Extent {
            file: (number / self.requests_per_file) as u32,
            offset,
            len: self.step.min(self.files.file_size - offset) as usize,
        };
        Some(match self.writes {
            true => Request::Write(extent),
            false => Request::Read(extent),
        })
    }

    pub(super) fn begin(&self, phase: Phase) {
        self.is_warm_up
            .store(phase == Phase::WarmUp, Ordering::Relaxed);
        self.next.store(0, Ordering::Relaxed);
    }

    /// Returns the number of writes before the final fsyncs.
    pub(super) fn writes_issued(&self) -> u64 {
        self.data_requests
    }

    pub(super) fn progress(&self) -> Progress {
        let issued = self.next.load(Ordering::Relaxed);
        Progress {
            done: issued.min(self.data_requests),
            total: Some(self.data_requests),
        }
    }
}
