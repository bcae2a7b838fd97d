//! `wbench sweep` at work.

use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::PREFIX;
use super::progress::bar;
use crate::cli::native::SweepJob;
use crate::exit::Exit;
use crate::host::{self, Root};
use crate::journal::Journal;
use crate::output::{self, Destination};
use crate::report::sweep::{line, table};
use crate::result::RunResult;
use crate::signal;
use crate::sweep::digest::Digest;
use crate::sweep::folders::Folders;
use crate::sweep::pool::{self, Listener};
use crate::sweep::space::{Need, Room};
use crate::sweep::{Batch, Instance, Sweep};
use crate::warning::LATE_S;

/// Runs all instances, or what is missing of them, and tells what came of it.
pub fn run(job: &SweepJob) -> Result<Exit> {
    signal::watch()?;
    let mut job_sweep = job.sweep.clone();
    job_sweep.dir = job.sweep.dir.canonicalize().with_context(|| {
        format!(
            "the folder {} can't be used; name another with --dir",
            job.sweep.dir.display()
        )
    })?;
    let sweep = &job_sweep;
    let folders = folders(sweep)?;
    let need = need(job, sweep)?;
    let (journal, done) = open(job, sweep)?;
    let mut teller = Teller::new(job, sweep, journal, done);
    let end = all(job, sweep, &folders, &need, &mut teller);
    drop(folders);
    teller.bar.finish_and_clear();
    teller.finish(job, sweep, end)
}

fn folders(sweep: &Sweep) -> Result<Folders> {
    if !sweep.needs_folders() {
        return Ok(Folders::none());
    }
    for other in Folders::of_others(&sweep.dir) {
        eprintln!(
            "{PREFIX}{} is of another sweep: one at work, or one that was killed; then remove it",
            other.display()
        );
    }
    Folders::in_folder(&sweep.dir)
}

/// Finds out what the instances need, says so, and refuses what does not fit.
fn need(job: &SweepJob, sweep: &Sweep) -> Result<Need> {
    let need = Need::of(sweep)?;
    signal::go_on()?;
    let room = Room::now(&sweep.dir);
    let most = sweep.concurrency.iter().copied().max().unwrap_or(1);
    if !job.quiet {
        eprintln!("{PREFIX}{}", need.told(most, &room));
    }
    if !job.overcommit {
        need.check(most, &room, &sweep.dir)?;
    }
    Ok(need)
}

fn open(job: &SweepJob, sweep: &Sweep) -> Result<(Journal, Vec<Digest>)> {
    if !job.resume {
        return Ok((Journal::begin(&job.json)?, Vec::new()));
    }
    let (journal, found) = Journal::resume_with(&job.json, |found| sweep.done_before(found))?;
    let digests = found
        .iter()
        .map(|result| Ok(Digest::of(sweep.instance_of(result)?, result)));
    Ok((journal, digests.collect::<Result<_>>()?))
}

/// Runs what is missing, batch by batch.
fn all(
    job: &SweepJob,
    sweep: &Sweep,
    folders: &Folders,
    need: &Need,
    teller: &mut Teller<'_>,
) -> Result<()> {
    let cpus = host::fingerprint(&Root::default()).cpus;
    // What instances turned out to need beyond what was expected.
    let mut late = Duration::ZERO;
    for batch in sweep.batches() {
        let missing = teller.missing(batch);
        if missing.instances.is_empty() {
            continue;
        }
        let together = missing.instances.len().min(missing.concurrency as usize);
        let estimate = || need.lead(together as u32, cpus) + 2 * late;
        let lead = job.lead.unwrap_or_else(estimate);
        teller.begin(&missing, lead);
        let before = teller.digests.len();
        pool::run(sweep, &missing, folders, lead, teller)?;
        teller.end(&missing);
        let new = teller.digests[before..].iter();
        let latest = new.filter_map(Digest::late_s).fold(0.0, f64::max);
        if latest > LATE_S {
            late = late.max(Duration::from_secs_f64(latest));
        }
        if signal::is_caught() {
            break;
        }
    }
    Ok(())
}

/// Keeps the results, and tells how it goes on.
struct Teller<'a> {
    sweep: &'a Sweep,
    journal: Journal,
    digests: Vec<Digest>,
    bar: ProgressBar,
    quiet: bool,
}

impl<'a> Teller<'a> {
    fn new(job: &SweepJob, sweep: &'a Sweep, journal: Journal, done: Vec<Digest>) -> Self {
        let batches = sweep.batches();
        let all = batches
            .iter()
            .map(|batch| batch.instances.len() as u64)
            .sum();
        let bar = bar(all, "{msg} {wide_bar} {pos}/{len} {elapsed}", job.quiet);
        bar.set_position(done.len() as u64);
        Self {
            sweep,
            journal,
            digests: done,
            bar,
            quiet: job.quiet,
        }
    }

    /// What of a batch has no result yet.
    fn missing(&self, batch: Batch) -> Batch {
        let is_done = |instance: &Instance| self.digests.iter().any(|it| it.instance == *instance);
        let instances = batch
            .instances
            .into_iter()
            .filter(|it| !is_done(it))
            .collect();
        Batch { instances, ..batch }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("{PREFIX}{text}"));
        }
    }

    fn begin(&mut self, batch: &Batch, lead: Duration) {
        let env = &self.sweep.environments[batch.env].name;
        let place = format!("{env} at {}", batch.concurrency);
        if batch.concurrency > 1 {
            let lead = lead.as_secs_f64();
            self.say(&format!(
                "{place}: a common start {lead:.1} s after the launch"
            ));
        }
        self.bar.set_message(place);
    }

    fn end(&mut self, batch: &Batch) {
        self.say(&line(self.sweep, batch, &self.digests));
    }

    /// Makes the array of what there is, and tells of it.
    fn finish(self, job: &SweepJob, sweep: &Sweep, end: Result<()>) -> Result<Exit> {
        end?;
        self.journal.finish()?;
        if !job.quiet && !self.digests.is_empty() {
            let mut text = table(sweep, &self.digests);
            if let Destination::File(path) = &job.json {
                let path = path.display().to_string();
                let path = shlex::try_quote(&path)?;
                text.push_str(&format!(
                    "\nresults in {path}; what the difference is:\n  \
                     wbench compare {path} --by env --vary concurrency\n"
                ));
                output::print(&text)?;
            } else {
                eprint!("{text}");
            }
        }
        if signal::is_caught() {
            eprintln!("{PREFIX}interrupted: --resume goes on with what is missing");
            return Ok(Exit::interrupted());
        }
        match self.digests.iter().all(|it| it.complete) {
            true => Ok(Exit::Success),
            false => Ok(Exit::Failure),
        }
    }
}

impl Listener for Teller<'_> {
    fn ended(&mut self, instance: Instance, result: RunResult) -> Result<()> {
        self.digests.push(Digest::of(instance, &result));
        self.bar.inc(1);
        self.journal.add(result)
    }

    fn left_behind(&mut self, sentence: &str) {
        self.bar.suspend(|| eprintln!("{PREFIX}{sentence}"));
    }

    fn tick(&mut self) {
        self.bar.tick();
    }
}
