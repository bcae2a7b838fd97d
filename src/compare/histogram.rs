//! Merged distributions of several runs.

use crate::histogram::{Merger, Percentile, Percentiles};

/// Points of a curve per decade of the share above.
const POINTS_PER_DECADE: i32 = 8;

/// Distribution of the durations of all events in several runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// Number of runs merged.
    pub runs: usize,
    /// Number of events merged.
    pub events: u64,
    /// Percentiles in nanoseconds, to 3 digits.
    pub percentiles: Percentiles<u64>,
    /// (Percent, nanoseconds), ascending, evenly spaced in the logarithm of the share above.
    pub curve: Vec<(f64, u64)>,
}

impl Merged {
    /// Returns the merged distribution, with durations capped at `max_ns`; `None` without events.
    pub fn of(merger: &Merger, max_ns: u64) -> Option<Self> {
        let events = merger.events();
        if events == 0 {
            return None;
        }
        let decades = (events as f64).log10().max(1.0);
        let shares = (0..=(decades * f64::from(POINTS_PER_DECADE)) as i32)
            .map(|i| 100.0 * (1.0 - 10f64.powf(-f64::from(i) / f64::from(POINTS_PER_DECADE))));
        let shares: Vec<f64> = shares.chain([100.0]).collect();
        let values = |shares: &[f64]| {
            let values = merger.values_at(shares).into_iter();
            values.map(|ns| ns.min(max_ns))
        };
        let mut percentiles = values(&Percentile::ALL.map(Percentile::percent));
        Some(Self {
            runs: merger.histograms(),
            events,
            percentiles: Percentiles::from_fn(|_| percentiles.next().unwrap_or_default()),
            curve: shares.iter().copied().zip(values(&shares)).collect(),
        })
    }

    /// The value of a percentile in nanoseconds.
    pub fn at(&self, percentile: Percentile) -> u64 {
        *self.percentiles.get(percentile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Nanoseconds;
    use crate::histogram::LatencyHistogram;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_curve_ascends_to_the_longest_duration(
            durations in prop::collection::vec(1u64..1 << 45, 1..200), max_ns in 1u64..1 << 46
        ) {
            let mut histogram = LatencyHistogram::default();
            durations.iter().for_each(|&ns| histogram.record(Nanoseconds(ns)));
            let mut merger = Merger::default();
            merger.add(&histogram.encode()).unwrap();
            let merged = Merged::of(&merger, max_ns).unwrap();
            prop_assert!(merged.curve.is_sorted());
            let longest = merger.values_at(&[100.0])[0].min(max_ns);
            prop_assert_eq!(*merged.curve.last().unwrap(), (100.0, longest));
            prop_assert!(merged.percentiles.iter().all(|(_, &ns)| ns <= longest));
        }
    }
}
