//! Runs `wbench sweep`.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;

use super::launched::{create_directory, on_this_host, raise_descriptor_limit};
use super::progress::bar;
use super::{PREFIX, remark};
use crate::cli::native::SweepJob;
use crate::descriptors::DescriptorLimit;
use crate::exit::Exit;
use crate::journal::Journal;
use crate::output::{self, Destination};
use crate::report::sweep::{failures, line, table};
use crate::result::RunResult;
use crate::signal;
use crate::start;
use crate::sweep::directory::{NotRemoved, SweepDirectory};
use crate::sweep::resources::{AvailableResources, ResourceEstimate};
use crate::sweep::scheduler::{self, BatchParams, InstanceDirectories, SweepObserver};
use crate::sweep::summary::SweepSummary;
use crate::sweep::{Batch, Instance, Sweep};
use crate::terminal::{self, message};
use crate::warning::LATE_S;

/// Runs all instances, or those missing from an earlier part, and reports the outcome.
pub fn run(job: &SweepJob) -> Result<Exit> {
    signal::watch()?;
    Journal::check(&job.json, job.resume)?;
    let sweep = &on_this_host(&job.sweep)?;
    let descriptors = raise_descriptor_limit(sweep)?;
    let directory = create_directory(sweep, job.quiet)?;
    let prepared = estimate(job, sweep, &directory).and_then(|estimate| {
        let (journal, results) = open_journal(job, sweep)?;
        Ok((estimate, journal, results))
    });
    let (estimate, journal, results) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            if let Err(error) = directory.finish() {
                message!("{PREFIX}warning: {error}");
            }
            return Err(error);
        }
    };
    if let Some(remark) = journal.remark() {
        message!("{PREFIX}{remark}");
    }
    let mut progress = SweepProgress::new(job, sweep, journal, &results);
    let batches = Batches {
        job,
        sweep,
        directory: &directory,
        descriptors,
        estimate: &estimate,
        done: &results.iter().map(|(instance, _)| *instance).collect(),
    };
    drop(results);
    let outcome = batches.run(&mut progress);
    if let Err(error) = directory.finish() {
        progress.not_removed(&error);
    }
    progress.bar.finish_and_clear();
    outcome?;
    progress.finish(job)
}

/// Opens the journal and returns the results already in it.
fn open_journal(job: &SweepJob, sweep: &Sweep) -> Result<(Journal, Vec<(Instance, RunResult)>)> {
    if !job.resume {
        return Ok((Journal::begin(&job.json)?, Vec::new()));
    }
    let (journal, found) = Journal::resume_with(&job.json, |found| sweep.done_before(found))?;
    let results = found
        .into_iter()
        .map(|result| Ok((sweep.instance_of(&result)?, result)));
    Ok((journal, results.collect::<Result<_>>()?))
}

/// Estimates and reports what the instances need; fails if it is not available.
fn estimate(job: &SweepJob, sweep: &Sweep, directory: &SweepDirectory) -> Result<ResourceEstimate> {
    let estimate = ResourceEstimate::measure(sweep, directory)?;
    signal::go_on()?;
    let available = AvailableResources::now(&sweep.dir);
    let most = sweep.most_concurrent();
    if !job.quiet {
        message!("{PREFIX}{}", estimate.describe(most, &available));
    }
    if !job.overcommit {
        estimate.check(most, &available, &sweep.dir)?;
    }
    Ok(estimate)
}

/// The batches of a sweep, and what they need to run.
struct Batches<'a> {
    job: &'a SweepJob,
    sweep: &'a Sweep,
    directory: &'a SweepDirectory,
    descriptors: DescriptorLimit,
    estimate: &'a ResourceEstimate,
    /// Instances that already have results.
    done: &'a HashSet<Instance>,
}

impl Batches<'_> {
    /// Runs the missing instances, batch by batch.
    fn run(&self, progress: &mut SweepProgress<'_>) -> Result<()> {
        // Largest delay beyond the estimate so far.
        let mut latest = Duration::ZERO;
        for batch in self.sweep.batches() {
            let together = self.missing(batch).take(batch.concurrency as usize).count();
            if together == 0 {
                continue;
            }
            let params = BatchParams {
                sweep: self.sweep,
                directories: InstanceDirectories::Own(self.directory),
                descriptors: self.descriptors,
                concurrency: batch.concurrency,
                lead: self.lead(together as u32, latest),
                cpus: &[],
            };
            progress.batch_starts(batch, params.lead);
            scheduler::run(params, self.missing(batch), progress)?;
            progress.batch_ended(batch);
            latest = latest.max(progress.delay_of(batch));
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

    fn lead(&self, instances: u32, latest: Duration) -> Duration {
        let estimate = || self.estimate.lead(instances, self.sweep.host.cpus) + 2 * latest;
        // Instances reject a start that is further ahead.
        self.job.lead.unwrap_or_else(estimate).min(start::FURTHEST)
    }
}

/// Stores results and reports progress.
struct SweepProgress<'a> {
    sweep: &'a Sweep,
    journal: Journal,
    summary: SweepSummary,
    bar: ProgressBar,
    quiet: bool,
}

impl<'a> SweepProgress<'a> {
    fn new(
        job: &SweepJob,
        sweep: &'a Sweep,
        journal: Journal,
        results: &[(Instance, RunResult)],
    ) -> Self {
        let template = "{msg} {wide_bar} {pos}/{len} {elapsed}";
        let bar = bar(sweep.size(), template, job.quiet);
        bar.set_position(results.len() as u64);
        let mut summary = SweepSummary::default();
        for (instance, result) in results {
            summary.add(*instance, result);
        }
        Self {
            sweep,
            journal,
            summary,
            bar,
            quiet: job.quiet,
        }
    }

    fn print(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| message!("{PREFIX}{text}"));
        }
    }

    fn batch_starts(&mut self, batch: Batch, lead: Duration) {
        let env = &self.sweep.environments[batch.env].name;
        let name = format!("{env} at {}", batch.concurrency);
        if batch.concurrency > 1 {
            let lead_s = lead.as_secs_f64();
            self.print(&format!(
                "{name}: common start {lead_s:.1} s after the launch"
            ));
        }
        self.bar.set_message(terminal::line(&name).into_owned());
    }

    fn batch_ended(&mut self, batch: Batch) {
        self.print(&line(self.sweep, batch, &self.summary));
    }

    /// Returns the largest delay of a start in a batch, if above the threshold of a warning.
    fn delay_of(&self, batch: Batch) -> Duration {
        let latest = self.summary.of(batch).and_then(|batch| batch.latest);
        let late_s = latest.map_or(0.0, |(_, late_s)| late_s);
        match late_s > LATE_S {
            true => Duration::from_secs_f64(late_s),
            false => Duration::ZERO,
        }
    }

    /// Writes the array of results and reports the outcome.
    fn finish(self, job: &SweepJob) -> Result<Exit> {
        remark(&self.journal.finish()?);
        if job.quiet {
            if let Some(failures) = failures(self.sweep, &self.summary) {
                message!("{PREFIX}{failures}");
            }
        } else if !self.summary.is_empty() {
            print_report(job, self.sweep, &self.summary)?;
        }
        if signal::is_caught() {
            message!("{PREFIX}interrupted; --resume runs what is missing");
            return Ok(Exit::interrupted());
        }
        match self.summary.failed() {
            0 => Ok(Exit::Success),
            _ => Ok(Exit::Failure),
        }
    }
}

/// Prints the table: on standard output, unless the results go there.
fn print_report(job: &SweepJob, sweep: &Sweep, summary: &SweepSummary) -> Result<()> {
    let mut text = table(sweep, summary);
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

impl SweepObserver for SweepProgress<'_> {
    fn instance_ended(&mut self, instance: Instance, result: RunResult) -> Result<()> {
        self.summary.add(instance, &result);
        self.bar.inc(1);
        self.journal.add(result)
    }

    fn not_removed(&mut self, error: &NotRemoved) {
        self.bar.suspend(|| message!("{PREFIX}warning: {error}"));
    }

    fn tick(&mut self) {
        self.bar.tick();
    }
}
