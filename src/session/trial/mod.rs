//! Runs `wbench trial`.

mod between;
mod progress;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, ensure};

use super::launched::{create_directory, on_this_host, raise_descriptor_limit};
use super::{PREFIX, remark};
use crate::cli::native::TrialJob;
use crate::descriptors::DescriptorLimit;
use crate::error::describe;
use crate::exit::Exit;
use crate::host::CpuList;
use crate::journal::Journal;
use crate::output::{self, Destination};
use crate::report::trial::{failures, table};
use crate::result::{EndedBy, Host, RunResult, Status, TrialRun};
use crate::signal::{self, Interrupted};
use crate::sweep::directory::{DirectoryHandle, SweepDirectory};
use crate::sweep::resources::{AvailableResources, ResourceEstimate};
use crate::sweep::scheduler::{self, BatchParams, InstanceDirectories};
use crate::sweep::{Instance, Sweep};
use crate::terminal::{self, message};
use crate::trial::analysis::Decision;
use crate::trial::assessment::Assessment;
use crate::trial::observations::Observations;
use crate::trial::{CpuSets, Trial};
use progress::{BlockCollector, TrialProgress};

/// Runs the trial. Every error means "undecided": exit status 1 is reserved for a slower
/// environment.
pub fn run(job: &TrialJob) -> Exit {
    try_run(job).unwrap_or_else(|error| {
        message!("{PREFIX}{}", describe(&error));
        match error.is::<Interrupted>() {
            true => Exit::interrupted(),
            false => Exit::Inconclusive,
        }
    })
}

fn try_run(job: &TrialJob) -> Result<Exit> {
    signal::watch()?;
    Journal::check(&job.json, job.resume)?;
    let mut trial = Trial {
        sweep: on_this_host(&job.trial.sweep)?,
        ..job.trial.clone()
    };
    if job.is_duet {
        trial.cpu_sets = cpu_sets(&trial.sweep)?;
    }
    let descriptors = raise_descriptor_limit(&trial.sweep)?;
    let directory = create_directory(&trial.sweep, job.quiet)?;
    let checked = check_resources(job, &trial.sweep, &directory);
    let opened = checked.and_then(|lead| Ok((lead, open_journal(job, &trial)?)));
    let outcome = opened.and_then(|(lead, (journal, seed, observations))| {
        if let Some(remark) = journal.remark() {
            message!("{PREFIX}{remark}");
        }
        let mut running = RunningTrial {
            trial: &trial,
            seed,
            descriptors,
            lead,
            journal,
            observations,
            progress: TrialProgress::new(&trial, job.quiet),
        };
        let ran = running.run(&directory);
        running.finish(job, ran)
    });
    if let Err(error) = directory.finish() {
        message!("{PREFIX}warning: {error}");
    }
    outcome
}

/// Divides the CPUs of this host among the environments of a duet.
fn cpu_sets(sweep: &Sweep) -> Result<Vec<CpuList>> {
    let divided = CpuSets::of(&sweep.host.topology, sweep.environments.len())?;
    if divided.share_cores {
        message!(
            "{PREFIX}warning: the environments of a block share cores: one slows the other down by more \
             than on cores of its own"
        );
    }
    Ok(divided.sets)
}

/// Fails if the test files of all environments, or the memory of concurrent runs, do not fit.
/// Returns how long before their common start the runs of a duet are launched.
fn check_resources(job: &TrialJob, sweep: &Sweep, directory: &SweepDirectory) -> Result<Duration> {
    let estimate = ResourceEstimate::measure(sweep, directory)?;
    signal::go_on()?;
    let lead = job
        .lead
        .unwrap_or_else(|| estimate.lead(sweep.most_concurrent(), sweep.host.cpus));
    if job.overcommit {
        return Ok(lead);
    }
    let available = AvailableResources::now(&sweep.dir);
    let environments = sweep.environments.len() as u32;
    estimate.check_disk(environments, &available, &sweep.dir)?;
    estimate.check_memory(sweep.most_concurrent(), &available)?;
    Ok(lead)
}

/// Opens the journal, chooses or reads the seed, and returns the blocks already in the journal.
fn open_journal(job: &TrialJob, trial: &Trial) -> Result<(Journal, u32, Observations)> {
    let mut seed = trial.seed;
    if !job.resume {
        let seed = seed.unwrap_or_else(random_seed);
        return Ok((Journal::begin(&job.json)?, seed, Observations::default()));
    }
    ensure!(
        job.json != Destination::Stdout,
        "--resume requires a result file: name it with --json FILE"
    );
    let (journal, found) = Journal::resume_with(&job.json, |found| trial.whole_blocks(found))?;
    let first = found.first().and_then(|result| result.trial.as_ref());
    seed = first.map(|run| run.seed).or(seed);
    let mut observations = Observations::default();
    for results in found.chunks(trial.sweep.environments.len()) {
        observations.add(trial.block(results)?);
    }
    Ok((journal, seed.unwrap_or_else(random_seed), observations))
}

fn random_seed() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) as u32
}

/// A trial in progress.
struct RunningTrial<'a> {
    trial: &'a Trial,
    seed: u32,
    descriptors: DescriptorLimit,
    lead: Duration,
    journal: Journal,
    observations: Observations,
    progress: TrialProgress<'a>,
}

impl RunningTrial<'_> {
    /// Runs sessions until all have ended, time is over, too many runs failed or a signal arrives.
    fn run(&mut self, directory: &SweepDirectory) -> Result<()> {
        let ends_at = Instant::now() + self.trial.limits.time;
        loop {
            let last = self.observations.last_session();
            let has_ended = last == 0 || self.trial.session_ends(&self.observations, last);
            let session = last + u32::from(has_ended);
            let is_over = last > 0 && Instant::now() >= ends_at;
            if session > self.trial.sessions || is_over || self.is_hopeless() {
                return Ok(());
            }
            if has_ended && session > 1 {
                between::run(self.trial, session, self.descriptors)?;
            }
            self.run_session(session, directory, ends_at)?;
        }
    }

    fn run_session(
        &mut self,
        session: u32,
        directory: &SweepDirectory,
        ends_at: Instant,
    ) -> Result<()> {
        let directories = self.create_directories(directory)?;
        let ran = self
            .warm_up(&directories)
            .and_then(|()| self.run_blocks(session, &directories, ends_at));
        for of_environment in &directories {
            if let Err(error) = directory.remove(of_environment) {
                message!("{PREFIX}warning: {error}");
            }
        }
        ran
    }

    /// Creates the directory of each environment; none if they need none.
    fn create_directories(&self, directory: &SweepDirectory) -> Result<Vec<DirectoryHandle>> {
        let environments = self.trial.sweep.environments.iter();
        let created = environments.map(|env| directory.create(&env.name));
        Ok(created
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    /// Runs every environment as in a block, and drops the results.
    fn warm_up(&mut self, directories: &[DirectoryHandle]) -> Result<()> {
        for _ in 0..self.trial.limits.warmup {
            for (instance, result) in self.run_together(directories, 0)? {
                if let Some(error) = &result.error {
                    let env = self.trial.sweep.env(instance);
                    message!("{PREFIX}warm-up run of {env} failed: {error}");
                }
            }
            signal::go_on()?;
        }
        Ok(())
    }

    fn run_blocks(
        &mut self,
        session: u32,
        directories: &[DirectoryHandle],
        ends_at: Instant,
    ) -> Result<()> {
        loop {
            let began = Instant::now();
            let number = self.observations.last_block() + 1;
            let results = self.run_together(directories, number)?;
            signal::go_on()?;
            self.add_block(session, number, results)?;
            let assessment = Assessment::of(self.trial, &self.observations);
            let left = ends_at.saturating_duration_since(Instant::now());
            self.progress
                .block_ended(&self.observations, &assessment, began.elapsed(), left);
            let ends = self.trial.session_ends(&self.observations, session);
            if ends || assessment.is_hopeless() || left.is_zero() {
                return Ok(());
            }
        }
    }

    fn is_hopeless(&self) -> bool {
        Assessment::of(self.trial, &self.observations).is_hopeless()
    }

    /// Runs the environments of a block and returns their results, in the order in which they ran.
    /// After a signal, some are missing.
    fn run_together(
        &mut self,
        directories: &[DirectoryHandle],
        block: u32,
    ) -> Result<Vec<(Instance, RunResult)>> {
        let cpus = self.trial.cpus(self.seed, block);
        let params = BatchParams {
            sweep: &self.trial.sweep,
            directories: InstanceDirectories::OfEnvironments(directories),
            descriptors: self.descriptors,
            concurrency: self.trial.sweep.most_concurrent(),
            lead: self.lead,
            cpus: &cpus,
        };
        let mut collector = BlockCollector::new(&self.progress);
        scheduler::run(params, self.trial.runs(self.seed, block), &mut collector)?;
        Ok(collector.results)
    }

    /// Stores the results of a block.
    fn add_block(
        &mut self,
        session: u32,
        number: u32,
        results: Vec<(Instance, RunResult)>,
    ) -> Result<()> {
        let mut by_env = BTreeMap::new();
        for (instance, mut result) in results {
            let position = self.trial.position(self.seed, session, instance);
            self.check_cpus(&mut result, &position);
            result.trial = Some(position);
            by_env.insert(instance.env, result);
        }
        let results: Vec<RunResult> = by_env.into_values().collect();
        let block = self
            .trial
            .block(&results)
            .with_context(|| format!("block {number}"))?;
        self.observations.add(block);
        results
            .into_iter()
            .try_for_each(|result| self.journal.add(result))
    }

    /// Turns the result of a duet into a failed one if it ran on other CPUs than planned. A guest or
    /// another host has CPUs of its own, which are not compared.
    fn check_cpus(&self, result: &mut RunResult, position: &TrialRun) {
        let here = &self.trial.sweep.host;
        let is_same_kernel =
            |it: &Host| (&it.kernel, &it.virtualization) == (&here.kernel, &here.virtualization);
        let (Some(planned), Some(used)) = (&position.cpus, &result.host.topology.cpus) else {
            return;
        };
        if result.status == Status::Complete && is_same_kernel(&result.host) && planned != used {
            result.error = Some(format!(
                "it ran on CPUs {used}, not on {planned}: pass {{cpus}} on to the environment, as in \
                 docker run --cpuset-cpus {{cpus}}"
            ));
            result.status = Status::Failed;
            result.ended_by = EndedBy::Error;
        }
    }

    /// Writes the array of results and reports what is decided.
    fn finish(self, job: &TrialJob, ran: Result<()>) -> Result<Exit> {
        drop(self.progress);
        let interrupted = match ran {
            Err(error) if error.is::<Interrupted>() => Some(error),
            other => other.map(|()| None)?,
        };
        remark(&self.journal.finish()?);
        let assessment = Assessment::of(self.trial, &self.observations);
        if !job.quiet {
            print_report(job, &table(self.trial, &self.observations, &assessment))?;
        } else if let Some(failures) = failures(self.trial, &self.observations) {
            message!("{PREFIX}{failures}");
        }
        match interrupted {
            Some(error) => Ok(report_interruption(&error)),
            None => Ok(self.trial.exit(&assessment)),
        }
    }
}

fn report_interruption(error: &Error) -> Exit {
    message!("{PREFIX}{error}; --resume continues the trial");
    Exit::interrupted()
}

/// Prints the table: on standard output, unless the results go there.
fn print_report(job: &TrialJob, table: &str) -> Result<()> {
    let Destination::File(path) = &job.json else {
        terminal::print_report(table);
        return Ok(());
    };
    let path = path.display().to_string();
    let path = shlex::try_quote(&path)?;
    output::print(&format!(
        "{table}\nresults in {path}; for causes and what else differed:\n  wbench compare {path}\n",
        path = terminal::line(&path)
    ))
}

impl Trial {
    /// Returns the exit status of what is decided, with a message if nothing can be concluded.
    fn exit(&self, assessment: &Assessment) -> Exit {
        let differs = |decision| matches!(decision, Decision::Faster | Decision::Slower);
        let mut of_copy = self
            .copy
            .into_iter()
            .flat_map(|copy| assessment.of_env(copy));
        if assessment.exceeds_failures() {
            message!(
                "{PREFIX}the trial failed: {} of {} blocks were dropped, because a run failed",
                assessment.failed,
                assessment.failed + assessment.complete
            );
            return Exit::Inconclusive;
        }
        if of_copy.any(|it| differs(it.decision)) {
            return Exit::Inconclusive;
        }
        match (
            assessment.has(Decision::Slower),
            assessment.has(Decision::Undecided),
        ) {
            (true, _) => Exit::Failure,
            (false, true) => Exit::Inconclusive,
            (false, false) => Exit::Success,
        }
    }
}
