//! Progress of a whole suite, on standard error.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar};

use crate::engine::{Observer, Progress};
use crate::report::suite::line;
use crate::result::{RunResult, Status};
use crate::session::PREFIX;
use crate::session::progress::{PACE, STEPS, bar};
use crate::suite::PlannedRun;
use crate::terminal::message;

/// Fraction of a step that must be done before its pace predicts its end.
const MIN_PART: f64 = 0.02;

/// Assumed write rate of a disk in bytes per second, until one is observed.
const WRITE_RATE: f64 = 200e6;

/// Shows the progress of a suite: a bar on a terminal, and a line per finished measurement.
pub struct SuiteProgress {
    bar: ProgressBar,
    quiet: bool,
    began: Instant,
    /// Remaining steps, the current measurement first.
    steps: VecDeque<Step>,
    /// Number of measurements in the suite, and how many have ended.
    total: usize,
    ended: usize,
    /// Duration of the last run of each measurement, by name.
    took: BTreeMap<String, Duration>,
    /// Start of the current measurement or of its file creation.
    since: Instant,
    /// Highest position shown, out of [`STEPS`]: the bar never moves backward.
    shown: u64,
}

struct Step {
    name: String,
    limit: Option<Duration>,
    /// Estimated time to create its files.
    making: Duration,
}

impl SuiteProgress {
    /// Creates the progress of the missing measurements, with durations from existing results.
    pub fn new(missing: &[&PlannedRun], found: &[RunResult], quiet: bool) -> Self {
        let steps = missing.iter().map(|run| Step {
            name: run.position.measurement.clone(),
            limit: run
                .plan
                .limits
                .max_time()
                .map(|limit| limit + run.plan.warmup.unwrap_or_default()),
            making: Duration::ZERO,
        });
        let mut steps: VecDeque<Step> = steps.collect();
        // Only the first measurement that needs the files creates them.
        let set = |run: &&PlannedRun| Some(run.plan.files.as_ref()?.set.total_size());
        if let Some((step, bytes)) = steps
            .iter_mut()
            .zip(missing.iter().map(set))
            .find_map(|(step, set)| Some((step, set?)))
        {
            step.making = making(bytes);
        }
        let now = Instant::now();
        let mut progress = Self {
            bar: bar(STEPS, "{prefix} {wide_bar} {percent}% {msg}", quiet),
            quiet,
            began: now,
            steps,
            total: missing.len() + found.len(),
            ended: found.len(),
            took: BTreeMap::new(),
            since: now,
            shown: 0,
        };
        found.iter().for_each(|result| progress.learn(result));
        progress
    }

    /// Starts the next measurement, beginning with its files.
    pub fn begins(&mut self) {
        self.since = Instant::now();
        let first = self.steps.front().map(|step| self.expected(step));
        self.show("", first.unwrap_or_default());
    }

    /// Reports how much of the files is written.
    pub fn prepared(&mut self, done_bytes: u64, total_bytes: u64) {
        let part = done_bytes as f64 / total_bytes.max(1) as f64;
        let rest = match part < MIN_PART {
            true => making(total_bytes),
            false => rest(self.since.elapsed(), part, None),
        };
        if let Some(step) = self.steps.front_mut() {
            step.making = Duration::ZERO;
        }
        let first = self.steps.front().map(|step| self.expected(step));
        self.show("files", rest + first.unwrap_or_default());
    }

    /// Records the end of a measurement.
    pub fn ended(&mut self, result: &RunResult) {
        self.learn(result);
        self.steps.pop_front();
        self.ended += 1;
        if !self.quiet {
            let (n, of, line) = (self.ended, self.total, line(result));
            self.bar.suspend(|| message!("{PREFIX}{n}/{of} {line}"));
        }
    }

    fn learn(&mut self, result: &RunResult) {
        if let (Some(suite), Status::Complete) = (&result.suite, result.status) {
            let took = Duration::try_from_secs_f64(result.totals.wall_s).unwrap_or_default();
            self.took.insert(suite.measurement.clone(), took);
        }
    }

    /// Upper bound of a measurement's duration including its files, as far as known.
    fn expected(&self, step: &Step) -> Duration {
        let took = self.took.get(&step.name).copied();
        step.making + took.or(step.limit).unwrap_or_default()
    }

    /// Shows the current activity and its remaining time.
    fn show(&mut self, what: &str, rest: Duration) {
        let later = self.steps.iter().skip(1);
        let rest = rest + later.map(|step| self.expected(step)).sum::<Duration>();
        let gone = self.began.elapsed().as_secs_f64();
        let part = gone / (gone + rest.as_secs_f64()).max(f64::MIN_POSITIVE);
        self.shown = self.shown.max((part * STEPS as f64) as u64);
        let name = self.steps.front().map_or("", |step| step.name.as_str());
        let what = match what {
            "" => name.to_owned(),
            what => format!("{name}, {what}"),
        };
        self.bar
            .set_prefix(format!("{}/{} {what}", self.ended + 1, self.total));
        self.bar.set_position(self.shown);
        self.bar
            .set_message(format!("up to {} left", HumanDuration(rest)));
    }
}

/// Estimates the time to create files of this size.
fn making(bytes: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / WRITE_RATE)
}

/// Remaining time by the pace so far, bounded by the time limit.
fn rest(elapsed: Duration, part: f64, limit: Option<Duration>) -> Duration {
    let by_pace = (part >= MIN_PART).then(|| elapsed.mul_f64((1.0 - part).max(0.0) / part));
    let by_limit = limit.map(|limit| limit.saturating_sub(elapsed));
    [by_pace, by_limit]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or_default()
}

impl Observer for SuiteProgress {
    fn progress_interval(&self) -> Option<Duration> {
        (!self.bar.is_hidden()).then_some(PACE)
    }

    fn progress(&mut self, elapsed: Duration, progress: Progress) {
        let of = progress.total.map(|total| total.max(1) as f64);
        let part = of.map_or(0.0, |of| (progress.done as f64 / of).min(1.0));
        let limit = self.steps.front().and_then(|step| step.limit);
        self.show("", rest(elapsed, part, limit));
    }
}

impl Drop for SuiteProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_follows_the_pace_up_to_the_limit() {
        let seconds = Duration::from_secs;
        assert_eq!(rest(seconds(10), 0.5, None), seconds(10));
        assert_eq!(rest(seconds(10), 0.25, Some(seconds(30))), seconds(20));
        assert_eq!(rest(seconds(10), 0.001, Some(seconds(300))), seconds(290));
        assert_eq!(rest(seconds(10), 0.0, None), Duration::ZERO);
        assert_eq!(rest(seconds(40), 0.5, Some(seconds(30))), Duration::ZERO);
    }
}
