//! Runs `wbench sweep`.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::progress::bar;
use super::{PREFIX, remark};
use crate::cli::native::SweepJob;
use crate::descriptors::{DescriptorLimit, OTHER_DESCRIPTORS, raise_limit};
use crate::exit::Exit;
use crate::host::{self, Root};
use crate::journal::Journal;
use crate::output::{self, Destination};
use crate::report::sweep::{failures, line, table};
use crate::result::RunResult;
use crate::signal;
use crate::start;
use crate::sweep::digest::Digests;
use crate::sweep::directory::Stays;
use crate::sweep::folders::Folders;
use crate::sweep::pool::{self, Listener, Setup};
use crate::sweep::space::{Need, Room};
use crate::sweep::{Batch, Instance, Sweep};
use crate::terminal::{self, message};
use crate::warning::LATE_S;

/// File descriptors per instance: its directory and two output pipes.
const DESCRIPTORS_EACH: u64 = 3;

/// Runs all instances, or those missing from an earlier part, and reports the outcome.
pub fn run(job: &SweepJob) -> Result<Exit> {
    signal::watch()?;
    Journal::check(&job.json, job.resume)?;
    let sweep = &Sweep {
        dir: job.sweep.dir.canonicalize().with_context(|| {
            format!(
                "cannot use the directory {}; name another with --dir",
                job.sweep.dir.display()
            )
        })?,
        host: host::fingerprint(&Root::default()),
        ..job.sweep.clone()
    };
    let descriptors = raise_descriptor_limit(sweep)?;
    let folders = folders(sweep)?;
    let prepared = need(job, sweep, &folders).and_then(|need| Ok((need, open(job, sweep)?)));
    let (need, (journal, done)) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            if let Err(stays) = folders.finish() {
                message!("{PREFIX}warning: {stays}");
            }
            return Err(error);
        }
    };
    if let Some(remark) = journal.remark() {
        message!("{PREFIX}{remark}");
    }
    let mut teller = Teller::new(job, sweep, journal, &done);
    let work = Work {
        job,
        sweep,
        folders: &folders,
        descriptors,
        need: &need,
        done: &done.iter().map(|(instance, _)| *instance).collect(),
    };
    drop(done);
    let end = work.all(&mut teller);
    if let Err(stays) = folders.finish() {
        teller.left_behind(&stays);
    }
    teller.bar.finish_and_clear();
    teller.finish(job, sweep, end)
}

/// Raises the descriptor limit for all concurrent instances. Returns the previous limit, which the
/// instances get.
fn raise_descriptor_limit(sweep: &Sweep) -> Result<DescriptorLimit> {
    let most = sweep.most_concurrent();
    let needed = u64::from(most) * DESCRIPTORS_EACH + OTHER_DESCRIPTORS;
    let what = format_args!("{most} concurrent instances");
    raise_limit(needed, what, "lower --concurrency")
}

fn folders(sweep: &Sweep) -> Result<Folders> {
    if !sweep.needs_folders() {
        return Ok(Folders::none());
    }
    for other in Folders::of_others(&sweep.dir) {
        message!(
            "{PREFIX}warning: {} belongs to another sweep, which is running or was killed; if it was \
             killed, remove the directory",
            other.display()
        );
    }
    Folders::in_folder(&sweep.dir)
}

/// Determines and reports what the instances need; fails if it does not fit.
fn need(job: &SweepJob, sweep: &Sweep, folders: &Folders) -> Result<Need> {
    let need = Need::of(sweep, folders)?;
    signal::go_on()?;
    let room = Room::now(&sweep.dir);
    let most = sweep.most_concurrent();
    if !job.quiet {
        message!("{PREFIX}{}", need.told(most, &room));
    }
    if !job.overcommit {
        need.check(most, &room, &sweep.dir)?;
    }
    Ok(need)
}

/// Opens the journal and returns the results already in it.
fn open(job: &SweepJob, sweep: &Sweep) -> Result<(Journal, Vec<(Instance, RunResult)>)> {
    if !job.resume {
        return Ok((Journal::begin(&job.json)?, Vec::new()));
    }
    let (journal, found) = Journal::resume_with(&job.json, |found| sweep.done_before(found))?;
    let done = found
        .into_iter()
        .map(|result| Ok((sweep.instance_of(&result)?, result)));
    Ok((journal, done.collect::<Result<_>>()?))
}

/// Work of a sweep.
struct Work<'a> {
    job: &'a SweepJob,
    sweep: &'a Sweep,
    folders: &'a Folders,
    descriptors: DescriptorLimit,
    need: &'a Need,
    /// Instances that already have results.
    done: &'a HashSet<Instance>,
}

impl Work<'_> {
    /// Runs the missing instances, batch by batch.
    fn all(&self, teller: &mut Teller<'_>) -> Result<()> {
        // Largest delay beyond the estimate so far.
        let mut late = Duration::ZERO;
        for batch in self.sweep.batches() {
            let together = self.missing(batch).take(batch.concurrency as usize).count();
            if together == 0 {
                continue;
            }
            let setup = Setup {
                sweep: self.sweep,
                folders: self.folders,
                descriptors: self.descriptors,
                concurrency: batch.concurrency,
                lead: self.lead(together as u32, late),
            };
            teller.begin(batch, setup.lead);
            pool::run(setup, self.missing(batch), teller)?;
            teller.end(batch);
            let latest = teller.digests.of(batch).and_then(|digest| digest.latest);
            if let Some((_, latest_s)) = latest.filter(|(_, late_s)| *late_s > LATE_S) {
                late = late.max(Duration::from_secs_f64(latest_s));
            }
            if signal::is_caught() {
                break;
            }
        }
        Ok(())
    }

    /// Iterates over the instances of a batch that have no result yet.
    fn missing(&self, batch: Batch) -> impl Iterator<Item = Instance> {
        let instances = self.sweep.instances(batch);
        instances.filter(|instance| !self.done.contains(instance))
    }

    fn lead(&self, instances: u32, late: Duration) -> Duration {
        let estimate = || self.need.lead(instances, self.sweep.host.cpus) + 2 * late;
        // Instances reject a start that is further ahead.
        self.job.lead.unwrap_or_else(estimate).min(start::FURTHEST)
    }
}

/// Stores results and reports progress.
struct Teller<'a> {
    sweep: &'a Sweep,
    journal: Journal,
    digests: Digests,
    bar: ProgressBar,
    quiet: bool,
}

impl<'a> Teller<'a> {
    fn new(
        job: &SweepJob,
        sweep: &'a Sweep,
        journal: Journal,
        done: &[(Instance, RunResult)],
    ) -> Self {
        let template = "{msg} {wide_bar} {pos}/{len} {elapsed}";
        let bar = bar(sweep.size(), template, job.quiet);
        bar.set_position(done.len() as u64);
        let mut digests = Digests::default();
        for (instance, result) in done {
            digests.add(*instance, result);
        }
        Self {
            sweep,
            journal,
            digests,
            bar,
            quiet: job.quiet,
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| message!("{PREFIX}{text}"));
        }
    }

    fn begin(&mut self, batch: Batch, lead: Duration) {
        let env = &self.sweep.environments[batch.env].name;
        let place = format!("{env} at {}", batch.concurrency);
        if batch.concurrency > 1 {
            let lead = lead.as_secs_f64();
            self.say(&format!(
                "{place}: a common start {lead:.1} s after the launch"
            ));
        }
        self.bar.set_message(terminal::line(&place).into_owned());
    }

    fn end(&mut self, batch: Batch) {
        self.say(&line(self.sweep, batch, &self.digests));
    }

    /// Writes the array of results and reports the outcome.
    fn finish(self, job: &SweepJob, sweep: &Sweep, end: Result<()>) -> Result<Exit> {
        end?;
        remark(&self.journal.finish()?);
        if job.quiet {
            if let Some(failures) = failures(sweep, &self.digests) {
                message!("{PREFIX}{failures}");
            }
        } else if !self.digests.is_empty() {
            report(job, sweep, &self.digests)?;
        }
        if signal::is_caught() {
            message!("{PREFIX}interrupted; --resume runs what is missing");
            return Ok(Exit::interrupted());
        }
        match self.digests.failed() {
            0 => Ok(Exit::Success),
            _ => Ok(Exit::Failure),
        }
    }
}

/// Prints the table: on standard output, unless the results go there.
fn report(job: &SweepJob, sweep: &Sweep, digests: &Digests) -> Result<()> {
    let mut text = table(sweep, digests);
    let Destination::File(path) = &job.json else {
        terminal::print_report(&text);
        return Ok(());
    };
    let path = path.display().to_string();
    let path = shlex::try_quote(&path)?;
    text.push_str(&format!(
        "\nresults in {path}; to compare them:\n  \
         wbench compare {path} --by env --vary concurrency\n",
        path = terminal::line(&path)
    ));
    output::print(&text)
}

impl Listener for Teller<'_> {
    fn ended(&mut self, instance: Instance, result: RunResult) -> Result<()> {
        self.digests.add(instance, &result);
        self.bar.inc(1);
        self.journal.add(result)
    }

    fn left_behind(&mut self, stays: &Stays) {
        self.bar.suspend(|| message!("{PREFIX}warning: {stays}"));
    }

    fn tick(&mut self) {
        self.bar.tick();
    }
}
