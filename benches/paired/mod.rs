//! Alternating runs of two measurements, so that other load on the machine affects both.

use std::fmt;

/// A comparison of two measurements and the target for their ratio.
pub struct Comparison {
    /// What is compared.
    pub name: &'static str,
    /// The unit of both values.
    pub unit: &'static str,
    /// The range of ratios that meets the target.
    pub target: (f64, f64),
}

/// The medians of both sides and of the pairwise ratios, with their range.
pub struct Outcome {
    comparison: Comparison,
    ours: f64,
    theirs: f64,
    ratio: f64,
    range: (f64, f64),
    pairs: usize,
}

impl Comparison {
    /// Runs both sides alternately, after one discarded pair, and prints the outcome.
    pub fn run(
        self,
        pairs: usize,
        mut ours: impl FnMut() -> f64,
        mut theirs: impl FnMut() -> f64,
    ) -> Outcome {
        ours();
        theirs();
        let samples: Vec<(f64, f64)> = (0..pairs).map(|_| (ours(), theirs())).collect();
        let ratios: Vec<f64> = samples.iter().map(|(a, b)| a / b).collect();
        let extreme = |pick: fn(f64, f64) -> f64| ratios.iter().copied().reduce(pick);
        let outcome = Outcome {
            comparison: self,
            ours: median(samples.iter().map(|s| s.0)),
            theirs: median(samples.iter().map(|s| s.1)),
            ratio: median(ratios.iter().copied()),
            range: (
                extreme(f64::min).unwrap_or(f64::NAN),
                extreme(f64::max).unwrap_or(f64::NAN),
            ),
            pairs,
        };
        println!("{outcome}");
        outcome
    }
}

impl Outcome {
    /// Whether the median ratio meets the target.
    pub fn meets_target(&self) -> bool {
        (self.comparison.target.0..=self.comparison.target.1).contains(&self.ratio)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { name, unit, target } = &self.comparison;
        let target = match target.1.is_finite() {
            true => format!("{} to {}", target.0, target.1),
            false => format!("at least {}", target.0),
        };
        write!(
            f,
            "{name:<58} {:>12.1} : {:>12.1} {unit:<9} ratio {:.3} ({:.3} to {:.3}, n = {}), target {target}: {}",
            self.ours,
            self.theirs,
            self.ratio,
            self.range.0,
            self.range.1,
            self.pairs,
            if self.meets_target() { "met" } else { "MISSED" }
        )
    }
}

/// Returns the median, or NaN without values.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
