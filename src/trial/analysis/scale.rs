//! Scale of the differences seen so far.

/// Number of differences before there is a scale: fewer say nothing about their spread.
const FEWEST: usize = 3;

/// Scale in units of the median absolute deviation. Twice that deviation is 1.35 standard
/// deviations of a normal distribution, at which Huber's estimate has 95 % of the efficiency of the
/// mean (Huber and Ronchetti, "Robust Statistics", 2nd edition, section 4.2).
const DEVIATIONS: f64 = 2.0;

/// Returns, for each value, the scale of the values before it: [`DEVIATIONS`] times their median
/// absolute deviation from the median; 0 if there are fewer than [`FEWEST`].
pub fn scales(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = Vec::with_capacity(values.len());
    let scales = values.iter().map(|value| {
        let scale = match sorted.len() < FEWEST {
            true => 0.0,
            false => DEVIATIONS * median_deviation(&sorted),
        };
        let place = sorted.partition_point(|other| other < value);
        sorted.insert(place, *value);
        scale
    });
    scales.collect()
}

/// Returns the lower median of the absolute deviations of ascending values from their median.
fn median_deviation(sorted: &[f64]) -> f64 {
    let (mut below, mut above) = sorted.split_at(sorted.len().div_ceil(2));
    let (Some(last), Some(first)) = (below.last(), above.first()) else {
        return 0.0;
    };
    let median = match sorted.len().is_multiple_of(2) {
        true => last.midpoint(*first),
        false => *last,
    };
    let mut deviation = 0.0;
    // The nearest values on both sides, in order of distance.
    for _ in 0..sorted.len().div_ceil(2) {
        let down = below.last().map_or(f64::INFINITY, |value| median - value);
        let up = above.first().map_or(f64::INFINITY, |value| value - median);
        deviation = down.min(up);
        match down <= up {
            true => below = &below[..below.len() - 1],
            false => above = &above[1..],
        }
    }
    deviation
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lower and the upper median of values in any order.
    fn medians(mut values: Vec<f64>) -> (f64, f64) {
        values.sort_by(f64::total_cmp);
        (values[(values.len() - 1) / 2], values[values.len() / 2])
    }

    proptest! {
        #[test]
        fn a_scale_is_twice_the_median_absolute_deviation_of_the_values_before(
            values in proptest::collection::vec(-9i8..9, 1..30)
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            for (n, scale) in scales(&values).into_iter().enumerate() {
                let before = &values[..n];
                let expected = match n < FEWEST {
                    true => 0.0,
                    false => {
                        let (low, high) = medians(before.to_vec());
                        let center = (low + high) / 2.0;
                        let deviations = before.iter().map(|value| (value - center).abs());
                        2.0 * medians(deviations.collect()).0
                    }
                };
                prop_assert_eq!(scale, expected);
            }
        }
    }
}
