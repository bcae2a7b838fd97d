//! `wbench suite` at work.

mod files;
mod progress;

use anyhow::{Result, ensure};

use super::native::PREFIX;
use crate::cli::native::SuiteJob;
use crate::exit::Exit;
use crate::host::{self, Root};
use crate::journal::Journal;
use crate::output::{Destination, print};
use crate::plan::{OpenFlags, Test};
use crate::report::suite::table;
use crate::result::{RunResult, Status};
use crate::run::Run;
use crate::signal::{self, Interrupted};
use crate::suite::profile::Source;
use crate::suite::resume::{Scene, counting};
use crate::suite::{Member, members};
use crate::workload::fileio;
use files::SharedFiles;
use progress::Overall;

/// Measures all that the profile says and that is missing.
pub fn run(job: &SuiteJob) -> Result<Exit> {
    let source = Source::find(&job.profile)?;
    let profile = source.profile()?;
    if job.show {
        return print(&source.text).map(|()| Exit::Success);
    }
    let members = members(&profile, &job.changes, job.rounds)?;
    let (journal, found) = journal(job, &members)?;
    let missing: Vec<&Member> = members
        .iter()
        .filter(|member| {
            found
                .iter()
                .all(|r| r.suite.as_ref() != Some(&member.place))
        })
        .collect();
    check(&missing)?;
    if job.resume && !job.quiet {
        let (there, left) = (found.len(), missing.len());
        eprintln!("{PREFIX}{there} of the results are there, {left} are missing");
    }
    signal::watch()?;
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

/// The results so far, and where those to come are kept.
fn journal(job: &SuiteJob, members: &[Member]) -> Result<(Journal, Vec<RunResult>)> {
    if !job.resume {
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
    Journal::resume_with(&job.json, |found| counting(found, members, &scene))
}

/// Fails where the files of a measurement can't be made, or not be used so, before the others
/// have taken their time.
fn check(missing: &[&Member]) -> Result<()> {
    for member in missing {
        let (Test::Fileio(params), Some(files)) = (&member.plan.test, &member.plan.files) else {
            continue;
        };
        SharedFiles::check(files)?;
        ensure!(
            params.flags != OpenFlags::Direct || fileio::direct_io_in(&files.dir) != Some(false),
            "{} has no O_DIRECT, which {} takes: name another folder with --dir",
            files.dir.display(),
            member.place.measurement
        );
    }
    Ok(())
}

/// A suite at work.
struct Suite<'a> {
    job: &'a SuiteJob,
    files: SharedFiles,
    journal: Journal,
    progress: Overall,
    results: Vec<RunResult>,
}

impl Suite<'_> {
    /// Measures one after the other, until a signal comes or a result can't be kept. That a
    /// measurement fails is no reason not to make the others.
    fn measure(&mut self, missing: &[&Member]) -> Result<()> {
        for member in missing {
            signal::go_on()?;
            let Some(mut result) = self.one(member)? else {
                continue;
            };
            member.sign(&mut result);
            self.files.after(&member.plan, &result)?;
            self.progress.ended(&result);
            self.results.push(result.clone());
            self.journal.add(result)?;
        }
        signal::go_on().map_err(Into::into)
    }

    /// Makes one measurement; None where a signal came before it began.
    fn one(&mut self, member: &Member) -> Result<Option<RunResult>> {
        let plan = &member.plan;
        let size = plan
            .files
            .as_ref()
            .map_or(0, |files| files.set.total_size());
        let mut done = 0;
        let (files, progress) = (&mut self.files, &mut self.progress);
        progress.preparing(0, size);
        let ready = files.ready(plan, &mut |bytes| {
            done += bytes;
            progress.preparing(done, size);
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

    /// Puts all in order, whatever ended the suite, and tells what there is.
    fn end(mut self, members: &[Member], measured: Result<()>) -> Result<Exit> {
        let cleaned = self.files.finish();
        drop(self.progress);
        let finished = self.journal.finish();
        if !self.job.quiet && self.job.json != Destination::Stdout {
            print(&table(members, &self.results))?;
        }
        let failed: Vec<_> = self
            .results
            .iter()
            .filter(|result| result.status == Status::Failed)
            .collect();
        for result in &failed {
            let name = result.suite.as_ref().map_or("", |place| &place.measurement);
            let error = result.error.as_deref().unwrap_or("failed");
            eprintln!("{PREFIX}{name}: {error}");
        }
        let interrupted = match measured {
            Err(error) if error.is::<Interrupted>() => true,
            other => other.map(|()| false)?,
        };
        finished?;
        cleaned?;
        Ok(match (interrupted, failed.is_empty()) {
            (true, _) => Exit::interrupted(),
            (false, true) => Exit::Success,
            (false, false) => Exit::Failure,
        })
    }
}
