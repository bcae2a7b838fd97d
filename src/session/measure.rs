//! One measurement with what has to be done about its files before and after.

use std::sync::Arc;

use anyhow::Result;

use super::PREFIX;
use super::progress::preparing;
use crate::engine::Observer;
use crate::plan::{FileHandling, FileioParams, RunPlan, Test};
use crate::result::RunResult;
use crate::run::Run;
use crate::terminal::message;
use crate::workload::fileio::files::{Rule, TestFiles};
use crate::workload::fileio::prepare::prepare as fill;

/// Makes the files where they have to be made, and measures.
///
/// Whatever goes wrong is part of the result, and named on standard error; fails only where not
/// even that can be had. The files wait for [`Measured::clean_up`].
pub fn measure<'a>(
    plan: &'a RunPlan,
    handling: FileHandling,
    quiet: bool,
    observer: &mut dyn Observer,
) -> Result<Measured<'a>> {
    let (result, job) = match Run::begin(plan) {
        Ok(run) => match FileJob::of(plan, handling) {
            Ok(job) => (run_with(run, &job, quiet, observer), Some(job)),
            Err(error) => (run.not_run(&error), None),
        },
        Err(error) => (Run::refused(plan, &error)?, None),
    };
    if let Some(error) = &result.error {
        message!("{PREFIX}{error}");
    }
    Ok(Measured { result, job })
}

fn run_with(run: Run, job: &FileJob, quiet: bool, observer: &mut dyn Observer) -> RunResult {
    if let Some(warning) = run.memory_warning() {
        message!("{PREFIX}{warning}");
    }
    match job.prepare(quiet) {
        Ok(()) => run.measure(job.files(), observer),
        Err(error) => run.not_run(&error),
    }
}

/// A measurement whose files may still be there. Dropped, it removes those that are not to stay.
pub struct Measured<'a> {
    /// What came of it.
    pub result: RunResult,
    job: Option<FileJob<'a>>,
}

impl Measured<'_> {
    /// Removes the files where they have to be removed.
    pub fn clean_up(&self) -> Result<()> {
        self.job.as_ref().map_or(Ok(()), FileJob::finish)
    }
}

/// What has to be done about the files around a run.
struct FileJob<'a> {
    files: Option<(Arc<TestFiles>, &'a FileioParams)>,
    makes: bool,
    keeps: bool,
}

impl<'a> FileJob<'a> {
    /// Fails where the files are not as the run needs them, and it may not make them.
    fn of(plan: &'a RunPlan, handling: FileHandling) -> Result<Self> {
        let (Some(files), Test::Fileio(params)) = (&plan.files, &plan.test) else {
            return Ok(Self {
                files: None,
                makes: false,
                keeps: false,
            });
        };
        let files = TestFiles::of(files, Rule::Stamp)?;
        let creates = params.mode.creates_files();
        let whole = handling == FileHandling::Whole;
        let absent = files.are_absent()?;
        let may_make = (absent || files.recreate()) && handling != FileHandling::AsTheyAre;
        if !creates && !may_make {
            files.check()?;
        }
        Ok(Self {
            files: Some((Arc::new(files), params)),
            makes: may_make && !creates,
            // Files that were there before stay, even if the run makes them anew.
            keeps: !(whole && absent),
        })
    }

    fn files(&self) -> Option<Arc<TestFiles>> {
        self.files.as_ref().map(|(files, _)| Arc::clone(files))
    }

    fn prepare(&self, quiet: bool) -> Result<()> {
        match &self.files {
            Some((files, params)) if self.makes => {
                files.check_folder(params)?;
                prepare(files, quiet)
            }
            _ => Ok(()),
        }
    }

    fn finish(&self) -> Result<()> {
        match &self.files {
            Some((files, _)) if self.keeps => files.keep_made(),
            Some((files, _)) => files.remove_made()?,
            None => {}
        }
        Ok(())
    }
}

impl Drop for FileJob<'_> {
    fn drop(&mut self) {
        // In case of a panic; the orderly way cleans up before and reports errors.
        if let Some((files, _)) = &self.files {
            let _ = files.remove_made();
        }
    }
}

/// Makes files, with a bar where there is a terminal.
pub fn prepare(files: &TestFiles, quiet: bool) -> Result<()> {
    let bar = preparing(files.set().total_size(), quiet);
    let prepared = fill(files, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    prepared
}
