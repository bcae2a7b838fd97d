//! One run, with the preparation and cleanup of its files.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;

use super::PREFIX;
use super::progress::preparing;
use crate::engine::Observer;
use crate::plan::{FileHandling, FileioParams, RunPlan};
use crate::result::RunResult;
use crate::run::Run;
use crate::terminal::message;
use crate::workload::fileio::files::{FileLock, Ownership, TestFiles};
use crate::workload::fileio::prepare;

/// Prepares the files if necessary, then runs the test.
///
/// Failures are recorded in the result and reported on standard error; this fails only if no result
/// can be built. The files remain until [`Measured::clean_up`].
pub fn measure<'a>(
    plan: &'a RunPlan,
    handling: FileHandling,
    quiet: bool,
    observer: &mut dyn Observer,
) -> Result<Measured<'a>> {
    let (result, job) = match Run::begin(plan) {
        Ok(run) => match FileJob::of(plan, handling) {
            Ok(job) => (run_with(run, job.as_ref(), quiet, observer), job),
            Err(error) => (run.not_run(&error), None),
        },
        Err(error) => (Run::refused(plan, &error)?, None),
    };
    if let Some(error) = &result.error {
        message!("{PREFIX}{error}");
    }
    Ok(Measured { result, job })
}

fn run_with(
    run: Run,
    job: Option<&FileJob>,
    quiet: bool,
    observer: &mut dyn Observer,
) -> RunResult {
    if let Some(warning) = run.memory_warning() {
        message!("{PREFIX}{warning}");
    }
    match job.map_or(Ok(()), |job| job.prepare(quiet)) {
        Ok(()) => run.measure(job.map(|job| Arc::clone(&job.files)), observer),
        Err(error) => run.not_run(&error),
    }
}

/// A finished run whose files may still exist. Drop removes the files that are not to be kept.
pub struct Measured<'a> {
    /// Result of the run.
    pub result: RunResult,
    job: Option<FileJob<'a>>,
}

impl Measured<'_> {
    /// Removes the files that are not to be kept.
    pub fn clean_up(&self) -> Result<()> {
        self.job.as_ref().map_or(Ok(()), FileJob::finish)
    }
}

/// Preparation and cleanup of a run's files. The files are locked throughout.
struct FileJob<'a> {
    files: Arc<TestFiles>,
    params: &'a FileioParams,
    handling: FileHandling,
    /// Files that existed before, and are kept even if this job rewrites them.
    present: BTreeSet<u32>,
    /// Files that must be written before the run.
    needed: Vec<u32>,
}

impl<'a> FileJob<'a> {
    /// Returns None for a test without files. Fails if another process uses the files, or if they
    /// are unsuitable for the run and it may not write them.
    fn of(plan: &'a RunPlan, handling: FileHandling) -> Result<Option<Self>> {
        let Some((params, files)) = plan.fileio() else {
            return Ok(None);
        };
        let files = TestFiles::of(files, Ownership::Mark)?;
        let file_lock = match files.recreate() {
            true => FileLock::Exclusive,
            false => FileLock::of(params.mode),
        };
        lock(&files, file_lock)?;
        let mut needed = needed(&files, params, handling)?;
        if file_lock == FileLock::Shared && !needed.is_empty() {
            lock(&files, FileLock::Exclusive)?;
            // Another process may have changed the files between the two locks.
            needed = self::needed(&files, params, handling)?;
        }
        Ok(Some(Self {
            present: files.present()?,
            files: Arc::new(files),
            params,
            handling,
            needed,
        }))
    }

    fn prepare(&self, quiet: bool) -> Result<()> {
        if self.needed.is_empty() {
            return Ok(());
        }
        self.files.check_directory(self.params)?;
        let prepared = with_bar(&self.files, quiet, |written| {
            prepare::write(&self.files, &self.needed, written)
        });
        if prepared.is_err() {
            // Partially written files are useless. Report the first error, not this one.
            let _ = self.files.remove_created();
        }
        prepared
    }

    fn finish(&self) -> Result<()> {
        match self.handling {
            FileHandling::AsTheyAre | FileHandling::MakeAndKeep => self.files.keep_created(),
            FileHandling::Whole => self.files.keep(&self.present),
        }
        self.files.remove_created()
    }
}

impl Drop for FileJob<'_> {
    fn drop(&mut self) {
        // For panics; otherwise `clean_up` has removed the files and reported errors.
        let _ = self.files.remove_created();
    }
}

/// Returns the files that the job must write before its run.
fn needed(files: &TestFiles, params: &FileioParams, handling: FileHandling) -> Result<Vec<u32>> {
    if params.mode.creates_files() {
        return Ok(Vec::new());
    }
    match handling {
        FileHandling::AsTheyAre => files.check().map(|()| Vec::new()),
        FileHandling::Whole | FileHandling::MakeAndKeep => files.files_to_complete(),
    }
}

/// Locks the files, or warns that they cannot be locked.
pub fn lock(files: &TestFiles, lock: FileLock) -> Result<()> {
    if let Some(unlocked) = files.lock(lock)? {
        message!("{PREFIX}{unlocked}");
    }
    Ok(())
}

/// Writes the incomplete files of a set, with a progress bar on a terminal.
pub fn prepare(files: &TestFiles, quiet: bool) -> Result<()> {
    with_bar(files, quiet, |written| prepare::prepare(files, written))
}

fn with_bar(
    files: &TestFiles,
    quiet: bool,
    write: impl FnOnce(&mut dyn FnMut(u64)) -> Result<()>,
) -> Result<()> {
    let bar = preparing(files.set().total_size(), quiet);
    let written = write(&mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    written
}
