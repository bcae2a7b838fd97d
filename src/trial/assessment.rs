//! What a trial has decided after the blocks so far.

use super::Trial;
use super::analysis::{Decision, PairedRatio};
use super::observations::Observations;
use crate::compare::metric::Metric;

/// Largest share of blocks that may be dropped because a run failed.
pub const MAX_FAILED: f64 = 0.1;

/// Fewest failed blocks that end a trial early; without any complete block, two are enough.
const FEWEST_FAILED: usize = 3;

/// State of all comparisons of a trial.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// One comparison per environment and metric, without the baseline.
    pub comparisons: Vec<TrialComparison>,
    /// Number of complete blocks.
    pub complete: usize,
    /// Number of dropped blocks.
    pub failed: usize,
}

/// An environment compared with the baseline by one metric.
#[derive(Debug, Clone)]
pub struct TrialComparison {
    /// Index of the environment.
    pub env: usize,
    /// Index of the metric.
    pub metric: usize,
    /// Ratio to the baseline; None before the first block.
    pub ratio: Option<PairedRatio>,
    /// What the ratio means for the margin.
    pub decision: Decision,
}

impl Assessment {
    /// Compares all environments with the baseline.
    pub fn of(trial: &Trial, observations: &Observations) -> Self {
        let environments = trial.sweep.environments.len();
        let candidates = (0..environments).filter(|env| *env != trial.baseline);
        let metrics = &trial.question.metrics;
        let family = (environments - 1) * metrics.len();
        let sessions = trial.ended_sessions(observations);
        let compare = |env, metric: usize| {
            let log_ratios = |of: &Observations| of.log_ratios(env, trial.baseline, metric);
            let ratio = match trial.sessions {
                1 => PairedRatio::of(&log_ratios(observations), family),
                _ => {
                    let sessions: Vec<_> = sessions.iter().map(log_ratios).collect();
                    PairedRatio::of_sessions(&sessions, family)
                }
            };
            TrialComparison {
                env,
                metric,
                decision: trial.question.decide(metrics[metric], ratio.as_ref()),
                ratio,
            }
        };
        Self {
            comparisons: candidates
                .flat_map(|env| (0..metrics.len()).map(move |metric| (env, metric)))
                .map(|(env, metric)| compare(env, metric))
                .collect(),
            complete: observations.complete(),
            failed: observations.failures().count(),
        }
    }

    /// Whether nothing is undecided and few enough blocks have failed.
    pub fn is_decided(&self) -> bool {
        self.decided() == self.comparisons.len() && !self.exceeds_failures()
    }

    /// Returns the number of decided comparisons.
    pub fn decided(&self) -> usize {
        let decided = self
            .comparisons
            .iter()
            .filter(|it| it.decision != Decision::Undecided);
        decided.count()
    }

    /// Whether more than [`MAX_FAILED`] of the blocks have failed.
    pub fn exceeds_failures(&self) -> bool {
        let all = self.complete + self.failed;
        self.failed as f64 > MAX_FAILED * all as f64
    }

    /// Whether too many blocks have failed for more blocks to help.
    pub fn is_hopeless(&self) -> bool {
        let fewest = match self.complete {
            0 => FEWEST_FAILED - 1,
            _ => FEWEST_FAILED,
        };
        self.failed >= fewest && self.exceeds_failures()
    }

    /// Whether a comparison has this decision.
    pub fn has(&self, decision: Decision) -> bool {
        self.comparisons.iter().any(|it| it.decision == decision)
    }

    /// Returns the comparisons of one environment.
    pub fn of_env(&self, env: usize) -> impl Iterator<Item = &TrialComparison> {
        self.comparisons.iter().filter(move |it| it.env == env)
    }

    /// Estimates how many more complete blocks decide everything; None if that is unknown.
    ///
    /// The width of an interval is taken to fall with the square root of the number of blocks.
    pub fn blocks_left(&self, question: &super::Question) -> Option<u32> {
        let left = |it: &TrialComparison| {
            let ratio = it.ratio.as_ref()?;
            Some(ratio.blocks_until_decided(question.margin)? - self.complete as f64)
        };
        let undecided = self.comparisons.iter();
        let undecided = undecided.filter(|it| it.decision == Decision::Undecided);
        let most = undecided
            .map(left)
            .try_fold(1.0f64, |most, left| Some(most.max(left?)))?;
        Some(most.ceil().min(f64::from(u32::MAX)) as u32)
    }
}

impl Trial {
    /// Whether a session needs no further block: it has all blocks, or, if it is the only one,
    /// everything is decided; one of several, if its own intervals are as narrow as the margin. That
    /// does not depend on the ratios, as a decision would.
    pub fn session_ends(&self, observations: &Observations, session: u32) -> bool {
        let of_session = observations.of_session(session);
        if of_session.len() >= self.blocks_per_session() {
            return true;
        }
        let single = Self {
            sessions: 1,
            ..self.clone()
        };
        let assessment = Assessment::of(&single, &of_session);
        match self.sessions {
            1 => assessment.is_decided(),
            _ => assessment.comparisons.iter().all(|it| {
                let ratio = it.ratio.as_ref();
                ratio.is_some_and(|ratio| ratio.is_precise(self.question.margin))
            }),
        }
    }

    fn blocks_per_session(&self) -> usize {
        self.limits.blocks as usize
    }

    /// Returns the blocks of each session that has ended.
    fn ended_sessions(&self, observations: &Observations) -> Vec<Observations> {
        if self.sessions == 1 {
            return Vec::new();
        }
        let last = observations.last_session();
        let ended = (1..=last)
            .filter(|&session| session < last || self.session_ends(observations, session));
        ended
            .map(|session| observations.of_session(session))
            .collect()
    }
}

impl super::Question {
    /// Returns what a ratio means for a metric.
    pub fn decide(&self, metric: Metric, ratio: Option<&PairedRatio>) -> Decision {
        match ratio {
            Some(ratio) => ratio.decide(self.margin, metric.more_is_better()),
            None => Decision::Undecided,
        }
    }
}
