//! What is kept in mind of each result: the whole has its histograms, and there may be many.

use std::collections::BTreeMap;

use super::Instance;
use crate::report::text::moves_bytes;
use crate::result::{RunResult, Status};

/// A result in short.
#[derive(Debug, Clone)]
pub struct Digest {
    /// The instance.
    pub instance: Instance,
    /// It came to its own end.
    pub complete: bool,
    /// Why it did not.
    pub error: Option<String>,
    /// MiB in a second where the events move bytes, else events.
    pub rate: f64,
    /// How long it took.
    pub wall_s: f64,
    start: Option<Start>,
}

/// A start together with others.
#[derive(Debug, Clone)]
struct Start {
    asked_at: String,
    late_s: f64,
}

impl Digest {
    /// Of the result of an instance.
    pub fn of(instance: Instance, result: &RunResult) -> Self {
        let start = result.start.as_ref();
        Self {
            instance,
            complete: result.status == Status::Complete,
            error: result.error.clone(),
            rate: match moves_bytes(&result.workload) {
                true => result.rates.mib_per_s,
                false => result.rates.events_per_s,
            },
            wall_s: result.totals.wall_s,
            start: start.and_then(|start| {
                Some(Start {
                    asked_at: start.asked_at.clone(),
                    late_s: start.late_s?,
                })
            }),
        }
    }

    /// How late it started, in seconds; None where it was to start with no others, or did not.
    pub fn late_s(&self) -> Option<f64> {
        self.start.as_ref().map(|start| start.late_s)
    }
}

/// How far apart the real starts of each wave were, in seconds, wave by wave. One alone makes none.
pub fn spreads<'a>(digests: impl Iterator<Item = &'a Digest>) -> Vec<f64> {
    let mut waves = BTreeMap::<&str, Vec<f64>>::new();
    for start in digests.filter_map(|digest| digest.start.as_ref()) {
        waves.entry(&start.asked_at).or_default().push(start.late_s);
    }
    let several = waves.into_values().filter(|wave| wave.len() > 1);
    several
        .map(|wave| {
            let first = wave.iter().copied().fold(f64::INFINITY, f64::min);
            wave.into_iter().fold(0.0, f64::max) - first
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(start: (&str, f64)) -> Digest {
        Digest {
            instance: Instance {
                env: 0,
                concurrency: 2,
                number: 1,
            },
            complete: true,
            error: None,
            rate: 1.0,
            wall_s: 1.0,
            start: Some(Start {
                asked_at: start.0.to_owned(),
                late_s: start.1,
            }),
        }
    }

    #[test]
    fn a_spread_is_that_of_the_starts_of_one_wave() {
        let starts = [
            ("a", 0.001),
            ("b", 5.0),
            ("a", 0.004),
            ("b", 5.5),
            ("c", 9.0),
        ];
        let all = starts.map(digest);
        let spreads = spreads(all.iter());
        assert_eq!(spreads.len(), 2, "one alone has no spread");
        assert!((spreads[0] - 0.003).abs() < 1e-12, "{spreads:?}");
        assert!((spreads[1] - 0.5).abs() < 1e-12, "{spreads:?}");
    }
}
