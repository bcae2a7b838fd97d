//! Scales of the vertical axis, with round numbers at the ticks.

/// Maximum number of ticks.
const TICKS: usize = 8;

/// Smallest upper end of a linear scale; below, the distance of its ticks could become 0.
const SMALLEST_TOP: f64 = 1e-9;

/// A linear or logarithmic scale.
#[derive(Debug, Clone)]
pub struct AxisScale {
    /// The values at the ends.
    range: (f64, f64),
    /// The values at the ticks, ascending.
    pub ticks: Vec<f64>,
    /// Maps a value to the linear scale.
    map: fn(f64) -> f64,
}

impl AxisScale {
    /// A linear scale from 0 to a little above this value.
    pub fn linear(largest: f64) -> Self {
        let largest = if largest > SMALLEST_TOP { largest } else { 1.0 };
        let top = largest * 1.05;
        let step = round_up(top / TICKS as f64);
        Self {
            range: (0.0, top),
            ticks: (0..=(top / step) as u32)
                .map(|i| f64::from(i) * step)
                .collect(),
            map: |value| value,
        }
    }

    /// A logarithmic scale that contains these positive values.
    pub fn logarithmic(smallest: f64, largest: f64) -> Self {
        let first = 10f64.powf(smallest.log10().floor());
        let multiples = |factors: &'static [f64]| {
            let decades = (0..).map(move |decade| first * 10f64.powi(decade));
            decades.flat_map(move |decade| factors.iter().map(move |factor| decade * factor))
        };
        let covering = |factors| {
            let mut ticks = Vec::new();
            for tick in multiples(factors) {
                if tick <= smallest {
                    ticks.clear();
                }
                ticks.push(tick);
                if tick >= largest && ticks.len() > 1 {
                    break;
                }
            }
            ticks
        };
        let mut ticks: Vec<f64> = covering(&[1.0, 2.0, 5.0]);
        if ticks.len() > TICKS {
            ticks = covering(&[1.0]);
        }
        let range = (ticks[0], ticks[ticks.len() - 1]);
        let every = ticks.len().div_ceil(TICKS);
        Self {
            range,
            ticks: ticks.into_iter().step_by(every).collect(),
            map: f64::log10,
        }
    }

    /// The position of a value between the ends, 0 to 1.
    pub fn share(&self, value: f64) -> f64 {
        let (low, high) = ((self.map)(self.range.0), (self.map)(self.range.1));
        ((self.map)(value) - low) / (high - low)
    }
}

/// The smallest of 1, 2, 5, 10, 20, 50 and so on, and their tenths and so on, not below a value.
fn round_up(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let multiples = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
    let above = multiples.into_iter().find(|multiple| *multiple >= value);
    above.unwrap_or(multiples[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_are_round_numbers() {
        let ticks = |scale: AxisScale| scale.ticks;
        assert_eq!(
            ticks(AxisScale::linear(640.0)),
            [0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0]
        );
        assert_eq!(
            ticks(AxisScale::linear(0.0)),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(
            ticks(AxisScale::logarithmic(130.0, 1700.0)),
            [100.0, 200.0, 500.0, 1000.0, 2000.0]
        );
        assert_eq!(ticks(AxisScale::logarithmic(1.0, 1e7)).len(), 8);
    }

    #[test]
    fn a_scale_of_the_smallest_values_has_ticks() {
        for largest in [0.0, f64::MIN_POSITIVE, 5e-324, SMALLEST_TOP] {
            assert_eq!(AxisScale::linear(largest).ticks.len(), 6, "{largest:e}");
        }
    }

    proptest! {
        #[test]
        fn every_value_and_tick_is_between_the_ends(a in 1.0f64..1e20, b in 1.0f64..1e20) {
            for scale in [AxisScale::linear(a.max(b)), AxisScale::logarithmic(a.min(b), a.max(b))] {
                let values = scale.ticks.iter().copied().chain([a, b]);
                for value in values {
                    let share = scale.share(value);
                    prop_assert!((-1e-9..=1.0 + 1e-9).contains(&share), "{value}: {share} {scale:?}");
                }
                prop_assert!((2..=TICKS + 1).contains(&scale.ticks.len()), "{scale:?}");
            }
        }
    }
}
