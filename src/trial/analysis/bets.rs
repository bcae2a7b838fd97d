//! Confidence sequence for the center of paired differences, by betting.
//!
//! For each candidate center a gambler starts with a wealth of 1 and, in each block, bets a
//! fraction of it on the sign of the difference from that center. If the center is the true one, the
//! bets are fair and the wealth is a martingale: by Ville's inequality the probability that it ever
//! reaches 1/a is at most a, whatever the number of blocks and whoever decides when to stop. The
//! confidence interval contains all centers against which no gambler has become that rich. See
//! Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", Journal of
//! the Royal Statistical Society B 86 (2024).
//!
//! Why the bets are fair: within a block the order of two environments is a coin flip. If both are
//! equally fast, swapping them changes only the sign of the difference, so that, given all earlier
//! blocks and the size of this difference, its sign is as likely positive as negative. This needs
//! no assumption about the noise: it may drift, come in bursts or be correlated over any time.
//!
//! Differences are divided by a scale and limited to -1 to 1 (Huber's score), so that one outlier
//! counts no more than another large difference. The scale is that of the earlier blocks only: it is
//! known before the bet. The wealth is the mean over gamblers that bet fractions from 0 to 1 (Cover,
//! "Universal portfolios", Mathematical Finance 1, 1991).

use super::scale::scales;
use crate::compare::stats::ConfidenceInterval;

/// Number of gamblers, with fractions in the middle of equal parts of 0 to 1.
const GAMBLERS: usize = 20;

/// Number of bets that change a wealth by less than a number can hold, as the smallest factor of a
/// bet is 1/40.
const BETWEEN_LOGARITHMS: usize = 64;

/// Steps of a bisection: enough to reach neighboring numbers from any interval of plausible width.
const STEPS: usize = 64;

/// Differences in the order in which they were observed, with the scale before each.
#[derive(Debug)]
pub struct Bets<'a> {
    differences: &'a [f64],
    scales: Vec<f64>,
}

/// What a gambler bets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The true center is above the candidate.
    Above,
    /// The true center is below the candidate.
    Below,
}

impl<'a> Bets<'a> {
    /// Prepares bets on finite differences.
    pub fn on(differences: &'a [f64]) -> Self {
        Self {
            differences,
            scales: scales(differences),
        }
    }

    /// Returns the natural logarithm of the wealth from bets against a center.
    ///
    /// It falls as the center moves toward the side that is bet on.
    pub fn log_wealth(&self, center: f64, side: Side) -> f64 {
        let sign = match side {
            Side::Above => 1.0,
            Side::Below => -1.0,
        };
        let fractions: [f64; GAMBLERS] =
            std::array::from_fn(|gambler| sign * (gambler as f64 + 0.5) / GAMBLERS as f64);
        let mut log_wealths = [0.0; GAMBLERS];
        let mut scores = self.scores(center).peekable();
        while scores.peek().is_some() {
            let mut wealths = [1.0; GAMBLERS];
            for score in scores.by_ref().take(BETWEEN_LOGARITHMS) {
                for (wealth, fraction) in wealths.iter_mut().zip(fractions) {
                    *wealth *= 1.0 + fraction * score;
                }
            }
            for (log_wealth, wealth) in log_wealths.iter_mut().zip(wealths) {
                *log_wealth += wealth.ln();
            }
        }
        let largest = log_wealths.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let relative: f64 = log_wealths.iter().map(|log| (log - largest).exp()).sum();
        largest + (relative / GAMBLERS as f64).ln()
    }

    /// Returns the centers against which the wealth has not reached this limit, given as its
    /// natural logarithm. None if there are too few blocks for a bound on either side.
    pub fn interval(&self, log_limit: f64) -> Option<ConfidenceInterval> {
        let (least, most) = self.range()?;
        let is_rejected = |center, side| self.log_wealth(center, side) >= log_limit;
        let is_bounded = is_rejected(least, Side::Above) && is_rejected(most, Side::Below);
        is_bounded.then(|| ConfidenceInterval {
            low: bisect(least, most, |center| is_rejected(center, Side::Above)),
            high: bisect(most, least, |center| is_rejected(center, Side::Below)),
        })
    }

    /// Returns the center at which the scores add up to 0, Huber's estimate of location. It is
    /// within every interval. None without differences.
    pub fn center(&self) -> Option<f64> {
        let (least, most) = self.range()?;
        let sum = |center| self.scores(center).sum::<f64>();
        // All centers between the last with a positive and the first with a negative sum fit.
        let low = bisect(least, most, |center| sum(center) > 0.0);
        let high = bisect(most, least, |center| sum(center) < 0.0);
        Some(low.midpoint(high))
    }

    /// Returns centers below and above which all scores are 1 and -1.
    fn range(&self) -> Option<(f64, f64)> {
        let widest = self.scales.iter().copied().fold(0.0, f64::max);
        let least = self.differences.iter().copied().reduce(f64::min)?;
        let most = self.differences.iter().copied().reduce(f64::max)?;
        let beyond = widest + f64::EPSILON * (1.0 + least.abs().max(most.abs()));
        Some((least - beyond, most + beyond))
    }

    /// Iterates over the scores of the differences from a center, -1 to 1.
    fn scores(&self, center: f64) -> impl Iterator<Item = f64> {
        let scaled = self.differences.iter().zip(&self.scales);
        scaled.map(move |(difference, &scale)| {
            let from_center = difference - center;
            match scale > 0.0 {
                true => (from_center / scale).clamp(-1.0, 1.0),
                false if from_center == 0.0 => 0.0,
                false => from_center.signum(),
            }
        })
    }
}

/// Returns where a condition that holds at `from`, and at everything before it, ends on the way to
/// `to`.
fn bisect(from: f64, to: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut inside, mut outside) = (from, to);
    for _ in 0..STEPS {
        let middle = inside.midpoint(outside);
        match holds(middle) {
            true => inside = middle,
            false => outside = middle,
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn differences() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(-1f64..1.0, 1..60)
    }

    #[test]
    fn the_expected_wealth_after_a_fair_coin_flip_is_the_wealth_before() {
        // All 2^8 sign patterns of the same sizes: the wealth against 0 is 1 on average.
        let sizes = [0.3, 0.01, 0.2, 0.25, 0.1, 5.0, 0.02, 0.3];
        for side in [Side::Above, Side::Below] {
            let wealths = (0..256).map(|pattern| {
                let signed = sizes.iter().enumerate();
                let signed =
                    signed.map(|(i, size)| if pattern >> i & 1 == 1 { -size } else { *size });
                let signed: Vec<f64> = signed.collect();
                Bets::on(&signed).log_wealth(0.0, side).exp()
            });
            let mean = wealths.sum::<f64>() / 256.0;
            assert!((mean - 1.0).abs() < 1e-12, "{mean}");
        }
    }

    #[test]
    fn eight_blocks_without_noise_are_enough_for_an_interval_of_95_percent() {
        let limit = 40f64.ln();
        assert_eq!(Bets::on(&[0.25; 7]).interval(limit), None);
        let interval = Bets::on(&[0.25; 8]).interval(limit).unwrap();
        assert!((interval.low - 0.25).abs() < 1e-9 && (interval.high - 0.25).abs() < 1e-9);
    }

    #[test]
    fn one_outlier_hardly_moves_the_interval() {
        let mut values: Vec<f64> = (0..30).map(|i| f64::from(i * 7 % 13) / 1000.0).collect();
        let limit = 40f64.ln();
        let before = Bets::on(&values).interval(limit).unwrap();
        values[20] = -4.6;
        let after = Bets::on(&values).interval(limit).unwrap();
        assert!(before.low - after.low < 0.002, "{before:?} {after:?}");
        assert!(
            (before.high - after.high).abs() < 0.002,
            "{before:?} {after:?}"
        );
    }

    proptest! {
        #[test]
        fn the_interval_contains_the_center_and_shrinks_with_the_confidence(values in differences()) {
            let bets = Bets::on(&values);
            let center = bets.center().unwrap();
            let mut inner: Option<ConfidenceInterval> = None;
            for limit in [3f64.ln(), 40f64.ln(), 400f64.ln()] {
                let Some(interval) = bets.interval(limit) else { break };
                prop_assert!(interval.low <= center && center <= interval.high);
                if let Some(inner) = inner {
                    prop_assert!(interval.low <= inner.low && inner.high <= interval.high);
                }
                inner = Some(interval);
            }
        }

        #[test]
        fn swapping_the_environments_mirrors_the_interval(values in differences()) {
            let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
            let (bets, mirrored) = (Bets::on(&values), Bets::on(&mirrored));
            let limit = 20f64.ln();
            match (bets.interval(limit), mirrored.interval(limit)) {
                (Some(a), Some(b)) => {
                    prop_assert!((a.low + b.high).abs() < 1e-9 && (a.high + b.low).abs() < 1e-9);
                }
                (a, b) => prop_assert!(a.is_none() && b.is_none()),
            }
        }

        #[test]
        fn the_wealth_falls_toward_the_side_that_is_bet_on(
            values in differences(), center in -1f64..1.0, step in 0f64..1.0
        ) {
            let bets = Bets::on(&values);
            let above = |center| bets.log_wealth(center, Side::Above);
            prop_assert!(above(center + step) <= above(center) + 1e-12);
        }
    }
}
