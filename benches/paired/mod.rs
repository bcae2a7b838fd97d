//! Two measurements in turns in one run, so that what else the machine does meets both.

use std::fmt;

/// One line of the table: what was compared, and the ratio that is wanted.
pub struct Comparison {
    /// What.
    pub name: &'static str,
    /// The unit of both figures.
    pub unit: &'static str,
    /// The ratio that is wanted, from and to.
    pub target: (f64, f64),
}

/// Medians of both, and of the ratio pair by pair.
pub struct Outcome {
    comparison: Comparison,
    ours: f64,
    theirs: f64,
    ratio: f64,
    spread: (f64, f64),
    pairs: usize,
}

impl Comparison {
    /// Measures both in turns after one pair that doesn't count.
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
            spread: (
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
    /// The median ratio lies where it is wanted.
    pub fn is_reached(&self) -> bool {
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
            "{name:<58} {:>12.1} : {:>12.1} {unit:<9} ratio {:.3} ({:.3} to {:.3}, n = {}), wanted {target}: {}",
            self.ours,
            self.theirs,
            self.ratio,
            self.spread.0,
            self.spread.1,
            self.pairs,
            if self.is_reached() {
                "reached"
            } else {
                "NOT REACHED"
            }
        )
    }
}

/// The middle of some figures.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
