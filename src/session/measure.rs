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
use crate::workload::fileio::files::{CleanUp, Rule, TestFiles};
use crate::workload::fileio::prepare::prepare as fill;

/// Makes the files where they have to be made, measures, hands the result to `tell`, and removes
/// the files where they have to be removed.
///
/// The result is told before the files are removed, and whatever befalls the one, the other is
/// done. Fails where the run can't begin, and with the first error of telling and removing; an
/// error of the run itself is part of the result, and named on standard error.
pub fn measure(
    plan: &RunPlan,
    handling: FileHandling,
    quiet: bool,
    observer: &mut dyn Observer,
    tell: impl FnOnce(&RunResult) -> Result<()>,
) -> Result<()> {
    let files = plan.files.as_ref();
    let files = files
        .map(|files| TestFiles::of(files, Rule::Stamp))
        .transpose()?;
    let files = files.map(Arc::new);
    let job = FileJob::of(plan, handling, files.as_deref())?;
    let run = Run::begin(plan)?;
    if let Some(warning) = run.memory_warning() {
        message!("{PREFIX}{warning}");
    }
    let guard = files.as_deref().map(CleanUp);
    let result = match job.prepare(quiet) {
        Ok(()) => run.measure(files.clone(), observer),
        Err(error) => run.not_run(&error),
    };
    let told = tell(&result);
    let cleaned = job.finish();
    drop(guard);
    if let Some(error) = &result.error {
        message!("{PREFIX}{error}");
    }
    told.and(cleaned)
}

/// What has to be done about the files around a run.
struct FileJob<'a> {
    files: Option<(&'a TestFiles, &'a FileioParams)>,
    makes: bool,
    keeps: bool,
}

impl<'a> FileJob<'a> {
    /// Fails where the files are not as the run needs them, and it may not make them.
    fn of(plan: &'a RunPlan, handling: FileHandling, files: Option<&'a TestFiles>) -> Result<Self> {
        let (Some(files), Test::Fileio(params)) = (files, &plan.test) else {
            return Ok(Self {
                files: None,
                makes: false,
                keeps: false,
            });
        };
        let creates = params.mode.creates_files();
        let whole = handling == FileHandling::Whole;
        let absent = files.are_absent()?;
        let may_make = (absent || files.recreate()) && handling != FileHandling::AsTheyAre;
        if !creates && !may_make {
            files.check()?;
        }
        Ok(Self {
            files: Some((files, params)),
            makes: may_make && !creates,
            // Files that were there before stay, even if the run makes them anew.
            keeps: !(whole && absent),
        })
    }

    fn prepare(&self, quiet: bool) -> Result<()> {
        match self.files {
            Some((files, params)) if self.makes => {
                files.check_folder(params)?;
                prepare(files, quiet)
            }
            _ => Ok(()),
        }
    }

    fn finish(&self) -> Result<()> {
        match self.files {
            Some((files, _)) if self.keeps => files.keep_made(),
            Some((files, _)) => files.remove_made()?,
            None => {}
        }
        Ok(())
    }
}

/// Makes files, with a bar where there is a terminal.
pub fn prepare(files: &TestFiles, quiet: bool) -> Result<()> {
    let bar = preparing(files.set().total_size(), quiet);
    let prepared = fill(files, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    prepared
}
