//! Progress of a trial, on standard error.

use std::time::Duration;

use anyhow::Result;
use indicatif::{HumanDuration, ProgressBar};

use crate::report::trial::line;
use crate::result::RunResult;
use crate::session::PREFIX;
use crate::session::progress::bar;
use crate::sweep::Instance;
use crate::sweep::directory::NotRemoved;
use crate::sweep::scheduler::SweepObserver;
use crate::terminal::message;
use crate::trial::Trial;
use crate::trial::analysis::Decision;
use crate::trial::assessment::Assessment;
use crate::trial::observations::Observations;

/// Number of blocks between two lines about the state of the trial.
const REPORT_EVERY: u32 = 10;

/// Shows the progress of a trial: a bar on a terminal, a line per decision, and a line every
/// [`REPORT_EVERY`] blocks.
pub struct TrialProgress<'a> {
    trial: &'a Trial,
    bar: ProgressBar,
    quiet: bool,
    /// The last reported decision of each comparison.
    decisions: Vec<Decision>,
}

impl<'a> TrialProgress<'a> {
    pub fn new(trial: &'a Trial, quiet: bool) -> Self {
        let template = "block {pos} {wide_bar} {elapsed} {msg}";
        Self {
            trial,
            bar: bar(trial.limits.blocks.into(), template, quiet),
            quiet,
            decisions: Vec::new(),
        }
    }

    /// Reports what is decided after a block that took `took`, with `left` until the time limit.
    pub fn block_ended(
        &mut self,
        observations: &Observations,
        assessment: &Assessment,
        took: Duration,
        left: Duration,
    ) {
        let block = observations.last_block();
        self.report_failure(observations, block);
        self.report_decisions(assessment, block);
        let session = observations.last_session();
        let of_session = observations.of_session(session).len() as u32;
        let sessions_left = self.trial.sessions.saturating_sub(session);
        let permitted = self.trial.limits.blocks.saturating_sub(of_session)
            + sessions_left.saturating_mul(self.trial.limits.blocks);
        let needed = match self.trial.sessions {
            1 => assessment.blocks_left(&self.trial.question),
            _ => None,
        };
        let rest = (took * needed.unwrap_or(permitted).min(permitted)).min(left);
        let bound = match needed {
            Some(needed) if needed <= permitted && rest < left => "about",
            _ => "up to",
        };
        let of_sessions = match self.trial.sessions {
            1 => String::new(),
            all => format!("session {session} of {all}, "),
        };
        let state = format!(
            "{of_sessions}{} of {} decided, {bound} {} left",
            assessment.decided(),
            assessment.comparisons.len(),
            HumanDuration(rest)
        );
        if block.is_multiple_of(REPORT_EVERY) && !assessment.is_decided() {
            self.print(&format!("block {block}: {state}"));
        }
        self.bar.set_position(block.into());
        self.bar.set_message(state);
    }

    fn report_failure(&self, observations: &Observations, block: u32) {
        if let Some((number, failure)) = observations.failures().last()
            && number == block
        {
            let env = &self.trial.sweep.environments[failure.env].name;
            let reason = failure.reason.lines().next().unwrap_or_default();
            self.print(&format!("block {block}: dropped, {env} failed: {reason}"));
        }
    }

    fn report_decisions(&mut self, assessment: &Assessment, block: u32) {
        let decisions: Vec<_> = assessment
            .comparisons
            .iter()
            .map(|it| it.decision)
            .collect();
        for (i, comparison) in assessment.comparisons.iter().enumerate() {
            let before = self
                .decisions
                .get(i)
                .copied()
                .unwrap_or(Decision::Undecided);
            if comparison.decision != before {
                self.print(&format!("block {block}: {}", line(self.trial, comparison)));
            }
        }
        self.decisions = decisions;
    }

    fn print(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| message!("{PREFIX}{text}"));
        }
    }
}

impl Drop for TrialProgress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Collects the results of a block, which is stored only as a whole.
pub struct BlockCollector<'a> {
    pub results: Vec<(Instance, RunResult)>,
    bar: &'a ProgressBar,
}

impl<'a> BlockCollector<'a> {
    pub fn new(progress: &'a TrialProgress<'_>) -> Self {
        Self {
            results: Vec::new(),
            bar: &progress.bar,
        }
    }
}

impl SweepObserver for BlockCollector<'_> {
    fn instance_ended(&mut self, instance: Instance, result: RunResult) -> Result<()> {
        self.results.push((instance, result));
        Ok(())
    }

    fn not_removed(&mut self, error: &NotRemoved) {
        self.bar.suspend(|| message!("{PREFIX}warning: {error}"));
    }

    fn tick(&mut self) {
        self.bar.tick();
    }
}
