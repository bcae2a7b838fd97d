//! Runs `wbench suite`.

mod files;
mod progress;

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};

use super::{PREFIX, remark};
use crate::cli::native::SuiteJob;
use crate::cli::profile::ProfileText;
use crate::exit::Exit;
use crate::format::count;
use crate::host::{self, SystemRoot};
use crate::journal::Journal;
use crate::output::{Destination, print};
use crate::plan::RunPlan;
use crate::report::ReportFormat;
use crate::report::suite::table;
use crate::result::{RunResult, Status, SuiteRun};
use crate::run::Run;
use crate::signal::{self, Interrupted};
use crate::suite::resume::CurrentSuite;
use crate::suite::{PlannedRun, planned_runs};
use crate::terminal::message;
use files::SuiteFiles;
use progress::SuiteProgress;

/// Runs all measurements of the profile that have no result yet.
pub fn run(job: &SuiteJob) -> Result<Exit> {
    let profile = ProfileText::find(&job.profile)?;
    let contents = profile.parse()?;
    if job.show {
        return print(&profile.text).map(|()| Exit::Success);
    }
    // Must precede anything that a signal would leave behind.
    signal::watch()?;
    let planned = planned_runs(&contents, &job.overrides, job.rounds)?;
    let (journal, found) = open_journal(job, &planned)?;
    if let Some(remark) = journal.remark() {
        message!("{PREFIX}{remark}");
    }
    let missing = missing(&planned, &found);
    if job.resume && !job.quiet {
        let complete = complete_of(found.len(), found.len() + missing.len());
        message!("{PREFIX}resuming: {complete}");
    }
    let mut suite = Suite {
        job,
        files: SuiteFiles::new(job.keep),
        journal,
        progress: SuiteProgress::new(&missing, &found, job.quiet),
        results: found,
    };
    let measured = suite.measure(&missing);
    suite.finish(planned, measured)
}

/// Opens the journal and returns the results already in it. Creates the journal only after the
/// files of all missing measurements have been checked.
fn open_journal(job: &SuiteJob, planned: &[PlannedRun]) -> Result<(Journal, Vec<RunResult>)> {
    if !job.resume {
        Journal::check(&job.json, false)?;
        check_files(&missing(planned, &[]))?;
        return Ok((Journal::begin(&job.json)?, Vec::new()));
    }
    ensure!(
        job.json != Destination::Stdout,
        "--resume requires a result file: name it with --json FILE"
    );
    let suite = CurrentSuite {
        runs: planned,
        host: &host::fingerprint(&SystemRoot::default()),
        dir: &host::storage(&SystemRoot::default(), &job.overrides.dir).path,
    };
    Journal::resume_with(&job.json, |found| {
        let kept = suite.keep_complete(found)?;
        check_files(&missing(planned, &kept))?;
        Ok(kept)
    })
}

/// Returns the runs without a result.
fn missing<'a>(planned: &'a [PlannedRun], found: &[RunResult]) -> Vec<&'a PlannedRun> {
    // All results belong to this suite: measurement and round identify a run.
    let key = |run: &'_ SuiteRun| (run.measurement.clone(), run.round);
    let found = found.iter().filter_map(|result| result.suite.as_ref());
    let found: HashSet<_> = found.map(key).collect();
    let is_missing = |run: &&PlannedRun| !found.contains(&key(&run.position));
    planned.iter().filter(is_missing).collect()
}

/// Checks the files of each measurement once; they are the same in all rounds.
fn check_files(missing: &[&PlannedRun]) -> Result<()> {
    let mut checked = HashSet::new();
    let mut first = missing
        .iter()
        .filter(|run| checked.insert(&run.position.measurement));
    first.try_for_each(|run| {
        SuiteFiles::check(&run.plan).with_context(|| run.position.measurement.clone())
    })
}

/// State of a running suite.
struct Suite<'a> {
    job: &'a SuiteJob,
    files: SuiteFiles,
    journal: Journal,
    progress: SuiteProgress,
    results: Vec<RunResult>,
}

impl Suite<'_> {
    /// Runs the measurements in order until a signal arrives or a result cannot be stored. A failed
    /// measurement does not stop the others.
    fn measure(&mut self, missing: &[&PlannedRun]) -> Result<()> {
        for (i, run) in missing.iter().enumerate() {
            signal::go_on()?;
            let plan = RunPlan {
                start_at: self.job.start_at.filter(|_| i == 0),
                ..run.plan.clone()
            };
            let Some(mut result) = self.measure_one(&plan)? else {
                continue;
            };
            run.record_in(&mut result);
            self.progress.ended(&result);
            let cleaned = self.files.after_run(&plan, &result);
            self.results.push(result.clone());
            self.journal.add(result)?;
            cleaned?;
        }
        signal::go_on().map_err(Into::into)
    }

    /// Runs one measurement; None if a signal arrived before it started.
    fn measure_one(&mut self, plan: &RunPlan) -> Result<Option<RunResult>> {
        let files = plan.files.as_ref();
        let size = files.map_or(0, |files| files.set.total_size());
        let mut done = 0;
        let (files, progress) = (&mut self.files, &mut self.progress);
        progress.begins();
        let prepared = files.prepare(plan, &mut |bytes| {
            done += bytes;
            progress.prepared(done, size);
        });
        if signal::is_caught() {
            return Ok(None);
        }
        let run = Run::begin(plan)?;
        Ok(Some(match prepared {
            Ok(files) => run.measure(files, &mut self.progress),
            Err(error) => run.not_run(&error),
        }))
    }

    /// Cleans up, whatever ended the suite, and reports the results.
    fn finish(mut self, planned: Vec<PlannedRun>, measured: Result<()>) -> Result<Exit> {
        let cleaned = self.files.finish();
        drop(self.progress);
        let finished = self.journal.finish();
        // Print the table even if a file could not be written: the suite may have taken long.
        match self.job.report {
            Some(ReportFormat::Text) => print(&table(&planned, &self.results))?,
            Some(format) => print(&format.of(&self.results)?)?,
            None => {}
        }
        print_errors(&self.results);
        let interrupted = match measured {
            Err(error) if error.is::<Interrupted>() => Some(error),
            other => other.map(|()| None)?,
        };
        remark(&finished?);
        cleaned?;
        let with = |status| {
            let same = |result: &&RunResult| result.status == status;
            self.results.iter().filter(same).count()
        };
        let (complete, all) = (with(Status::Complete), planned.len());
        if let (true, Destination::File(path)) = (complete < all, &self.job.json) {
            let (complete, path) = (complete_of(complete, all), path.display());
            message!("{PREFIX}{complete}, in {path}; --resume runs the others");
        }
        Ok(match (interrupted, with(Status::Failed)) {
            (Some(error), _) => {
                message!("{PREFIX}{error}");
                Exit::interrupted()
            }
            (None, 0) => Exit::Success,
            (None, _) => Exit::Failure,
        })
    }
}

fn print_errors(results: &[RunResult]) {
    for result in results {
        if let (Some(suite), Some(error)) = (&result.suite, &result.error) {
            message!("{PREFIX}{}: {error}", suite.measurement);
        }
    }
}

fn complete_of(complete: usize, all: usize) -> String {
    format!(
        "{complete} of {} complete",
        count(all as u64, "measurement")
    )
}
