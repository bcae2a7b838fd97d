//! Summary of results kept in memory while a sweep runs: a few numbers per instance, as there may
//! be many. The journal has the full results with their histograms.

use std::collections::BTreeMap;

use super::{Batch, Instance};
use crate::result::{RunResult, Status};
use crate::warning::LATE_S;

/// Maximum number of failures per batch whose reasons are kept.
const MAX_REASONS: usize = 3;

/// Summaries of all results so far, by batch.
#[derive(Debug, Clone, Default)]
pub struct SweepSummary(BTreeMap<Batch, BatchSummary>);

/// Summary of the results of a batch.
#[derive(Debug, Clone, Default)]
pub struct BatchSummary {
    /// Rate of each complete instance: MiB/s if its events move bytes, else events/s.
    pub rates: Vec<f64>,
    /// Wall times of the complete instances, in seconds.
    pub walls: Vec<f64>,
    /// Number of instances that did not complete.
    pub failed: u64,
    /// The first failures and their reasons.
    pub reasons: Vec<(Instance, String)>,
    /// Number of instances that had a common start with others.
    pub together: u64,
    /// Number of instances that started later than [`LATE_S`].
    pub late: u64,
    /// The instance that started last, and its delay in seconds.
    pub latest: Option<(Instance, f64)>,
    /// Starts of the complete instances by requested start time.
    waves: BTreeMap<String, Wave>,
}

/// Instances with a common start time.
#[derive(Debug, Clone, Copy)]
struct Wave {
    first_s: f64,
    last_s: f64,
    starts: u32,
}

impl SweepSummary {
    /// Adds the result of an instance.
    pub fn add(&mut self, instance: Instance, result: &RunResult) {
        let batch = self.0.entry(instance.batch()).or_default();
        batch.add(instance, result);
    }

    /// Returns the summary of a batch; None if it has no results.
    pub fn of(&self, batch: Batch) -> Option<&BatchSummary> {
        self.0.get(&batch)
    }

    /// Returns the number of instances that did not complete.
    pub fn failed(&self) -> u64 {
        self.all().map(|batch| batch.failed).sum()
    }

    /// Whether there are no results.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the summaries of all batches.
    pub fn all(&self) -> impl Iterator<Item = &BatchSummary> {
        self.0.values()
    }
}

impl BatchSummary {
    fn add(&mut self, instance: Instance, result: &RunResult) {
        let is_complete = result.status == Status::Complete;
        let start = result.start.as_ref();
        let start = start.and_then(|start| Some((&start.asked_at, start.late_s?)));
        if let Some((asked_at, late_s)) = start {
            self.add_start(instance, late_s);
            if is_complete {
                self.add_to_wave(asked_at, late_s);
            }
        }
        match is_complete {
            true => self.add_rate(result),
            false => self.add_failure(instance, result),
        }
    }

    fn add_rate(&mut self, result: &RunResult) {
        self.walls.push(result.totals.wall_s);
        self.rates
            .push(match result.workload.params.test.moves_bytes() {
                true => result.rates.mib_per_s,
                false => result.rates.events_per_s,
            });
    }

    fn add_failure(&mut self, instance: Instance, result: &RunResult) {
        self.failed += 1;
        if self.reasons.len() < MAX_REASONS {
            let error = result.error.as_deref().unwrap_or("interrupted");
            self.reasons.push((instance, error.to_owned()));
        }
    }

    fn add_start(&mut self, instance: Instance, late_s: f64) {
        self.together += 1;
        self.late += u64::from(late_s > LATE_S);
        if self.latest.is_none_or(|(_, latest)| late_s > latest) {
            self.latest = Some((instance, late_s));
        }
    }

    fn add_to_wave(&mut self, asked_at: &str, late_s: f64) {
        let wave = self.waves.entry(asked_at.to_owned()).or_insert(Wave {
            first_s: late_s,
            last_s: late_s,
            starts: 0,
        });
        wave.first_s = wave.first_s.min(late_s);
        wave.last_s = wave.last_s.max(late_s);
        wave.starts += 1;
    }

    /// Returns the time between the first and last start of each wave, in seconds, in the order of
    /// the waves. Single instances are omitted.
    pub fn spreads(&self) -> Vec<f64> {
        let several = self.waves.values().filter(|wave| wave.starts > 1);
        several.map(|wave| wave.last_s - wave.first_s).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Start;

    const BATCH: Batch = Batch {
        env: 0,
        concurrency: 2,
    };

    fn result(start: (&str, f64)) -> RunResult {
        let example = include_str!("../../docs/examples/quiet/1.json");
        let mut result: RunResult = serde_json::from_str(example).unwrap();
        result.start = Some(Start {
            asked_at: start.0.to_owned(),
            late_s: Some(start.1),
        });
        result
    }

    fn instance(number: u32) -> Instance {
        Instance {
            env: 0,
            concurrency: 2,
            number,
        }
    }

    #[test]
    fn a_spread_covers_the_starts_of_one_wave() {
        let mut summary = SweepSummary::default();
        let starts = [
            ("a", 0.001),
            ("b", 5.0),
            ("a", 0.004),
            ("b", 5.5),
            ("c", 9.0),
        ];
        for (number, start) in (1..).zip(starts) {
            summary.add(instance(number), &result(start));
        }
        let batch = summary.of(BATCH).unwrap();
        let spreads = batch.spreads();
        assert_eq!(spreads.len(), 2, "one alone has no spread");
        assert!((spreads[0] - 0.003).abs() < 1e-12, "{spreads:?}");
        assert!((spreads[1] - 0.5).abs() < 1e-12, "{spreads:?}");
        assert_eq!((batch.together, batch.late), (5, 3));
        assert_eq!(batch.latest, Some((instance(5), 9.0)));
    }

    #[test]
    fn failures_are_counted_and_the_first_reasons_are_kept() {
        let mut summary = SweepSummary::default();
        let mut failed = result(("a", 0.0));
        failed.status = Status::Failed;
        failed.error = Some("broken".into());
        for number in 1..=100 {
            summary.add(instance(number), &failed);
        }
        assert_eq!(summary.failed(), 100);
        let batch = summary.of(BATCH).unwrap();
        assert_eq!(batch.reasons.len(), MAX_REASONS);
        assert_eq!(batch.reasons[0], (instance(1), "broken".into()));
        assert!(batch.rates.is_empty() && batch.spreads().is_empty());
    }
}
