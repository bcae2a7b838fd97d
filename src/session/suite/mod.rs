//! Runs `wbench suite`.

mod files;
mod progress;

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};

use super::{PREFIX, remark};
use crate::cli::native::SuiteJob;
use crate::exit::Exit;
use crate::host::{self, Root};
use crate::journal::Journal;
use crate::output::{Destination, print};
use crate::plan::RunPlan;
use crate::report::ReportFormat;
use crate::report::format::count;
use crate::report::suite::table;
use crate::result::{RunResult, Status, SuiteRun};
use crate::run::Run;
use crate::signal::{self, Interrupted};
use crate::suite::profile::Source;
use crate::suite::resume::{Scene, counting};
use crate::suite::{Member, members};
use crate::terminal::message;
use files::SharedFiles;
use progress::Overall;

/// Runs all measurements of the profile that have no result yet.
pub fn run(job: &SuiteJob) -> Result<Exit> {
    let source = Source::find(&job.profile)?;
    let profile = source.profile()?;
    if job.show {
        return print(&source.text).map(|()| Exit::Success);
    }
    // Must precede anything that a signal would leave behind.
    signal::watch()?;
    let members = members(&profile, &job.changes, job.rounds)?;
    let (journal, found) = journal(job, &members)?;
    if let Some(remark) = journal.remark() {
        message!("{PREFIX}{remark}");
    }
    let missing = missing(&members, &found);
    if job.resume && !job.quiet {
        let (there, all) = (found.len(), found.len() + missing.len());
        message!("{PREFIX}{} there already", of_results(there, all));
    }
    let mut suite = Suite {
        job,
        files: SharedFiles::new(job.keep),
        journal,
        progress: Overall::new(&missing, &found, job.quiet),
        results: found,
    };
    let measured = suite.measure(&missing);
    suite.end(&members, measured)
}

/// Opens the journal and returns the results already in it. Creates the journal only after the
/// files of all missing measurements have been checked.
fn journal(job: &SuiteJob, members: &[Member]) -> Result<(Journal, Vec<RunResult>)> {
    if !job.resume {
        Journal::check(&job.json, false)?;
        check_files(&missing(members, &[]))?;
        return Ok((Journal::begin(&job.json)?, Vec::new()));
    }
    ensure!(
        job.json != Destination::Stdout,
        "--resume goes on with a result file: name it with --json"
    );
    let scene = Scene {
        host: host::fingerprint(&Root::default()),
        folder: host::storage(&Root::default(), &job.changes.dir).path,
    };
    Journal::resume_with(&job.json, |found| {
        let found = counting(found, members, &scene)?;
        check_files(&missing(members, &found))?;
        Ok(found)
    })
}

fn missing<'a>(members: &'a [Member], found: &[RunResult]) -> Vec<&'a Member> {
    // All results belong to this suite: measurement and round identify a run.
    let place = |place: &'_ SuiteRun| (place.measurement.clone(), place.round);
    let there = found.iter().filter_map(|result| result.suite.as_ref());
    let there: HashSet<_> = there.map(place).collect();
    let is_there = |member: &&Member| there.contains(&place(&member.place));
    members.iter().filter(|member| !is_there(member)).collect()
}

/// Checks the files of each measurement once; they are the same in all rounds.
fn check_files(missing: &[&Member]) -> Result<()> {
    let mut checked = HashSet::new();
    let mut first = missing
        .iter()
        .filter(|member| checked.insert(&member.place.measurement));
    first.try_for_each(|member| {
        SharedFiles::check(&member.plan).with_context(|| member.place.measurement.clone())
    })
}

/// State of a running suite.
struct Suite<'a> {
    job: &'a SuiteJob,
    files: SharedFiles,
    journal: Journal,
    progress: Overall,
    results: Vec<RunResult>,
}

impl Suite<'_> {
    /// Runs the measurements in order until a signal arrives or a result cannot be stored. A failed
    /// measurement does not stop the others.
    fn measure(&mut self, missing: &[&Member]) -> Result<()> {
        for (i, member) in missing.iter().enumerate() {
            signal::go_on()?;
            let plan = RunPlan {
                start_at: self.job.start_at.filter(|_| i == 0),
                ..member.plan.clone()
            };
            let Some(mut result) = self.one(&plan)? else {
                continue;
            };
            member.sign(&mut result);
            self.progress.ended(&result);
            let left = self.files.after(&plan, &result);
            self.results.push(result.clone());
            self.journal.add(result)?;
            left?;
        }
        signal::go_on().map_err(Into::into)
    }

    /// Runs one measurement; None if a signal arrived before it started.
    fn one(&mut self, plan: &RunPlan) -> Result<Option<RunResult>> {
        let files = plan.files.as_ref();
        let size = files.map_or(0, |files| files.set.total_size());
        let mut done = 0;
        let (files, progress) = (&mut self.files, &mut self.progress);
        progress.begins();
        let ready = files.ready(plan, &mut |bytes| {
            done += bytes;
            progress.prepared(done, size);
        });
        if signal::is_caught() {
            return Ok(None);
        }
        let run = Run::begin(plan)?;
        Ok(Some(match ready {
            Ok(files) => run.measure(files, &mut self.progress),
            Err(error) => run.not_run(&error),
        }))
    }

    /// Cleans up, whatever ended the suite, and reports the results.
    fn end(mut self, members: &[Member], measured: Result<()>) -> Result<Exit> {
        let cleaned = self.files.finish();
        drop(self.progress);
        let finished = self.journal.finish();
        // Print the table even if a file could not be written: the suite may have taken long.
        match self.job.report {
            Some(ReportFormat::Text) => print(&table(members, &self.results))?,
            Some(format) => print(&format.of(&self.results)?)?,
            None => {}
        }
        tell_failures(&self.results);
        let interrupted = match measured {
            Err(error) if error.is::<Interrupted>() => Some(error),
            other => other.map(|()| None)?,
        };
        remark(&finished?);
        cleaned?;
        let with = |status| {
            self.results
                .iter()
                .filter(move |r| r.status == status)
                .count()
        };
        let (there, all) = (with(Status::Complete), members.len());
        if let (true, Destination::File(path)) = (there < all, &self.job.json) {
            let (told, path) = (of_results(there, all), path.display());
            message!("{PREFIX}{told} in {path}; --resume goes on with the others");
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

fn tell_failures(results: &[RunResult]) {
    for result in results {
        if let (Some(place), Some(error)) = (&result.suite, &result.error) {
            message!("{PREFIX}{}: {error}", place.measurement);
        }
    }
}

fn of_results(some: usize, all: usize) -> String {
    let are = if some == 1 { "is" } else { "are" };
    format!("{some} of {} {are}", count(all as u64, "measurement"))
}
