//! The relative change that corresponds to the Mann-Whitney test.

use super::{ConfidenceInterval, Estimate, MannWhitney, Sample};

/// Ratio of a sample to its baseline minus 1: the median of the ratios of all pairs of their
/// values. `None` if any value is zero or negative.
///
/// This is the Hodges-Lehmann estimate of the shift between the logarithms. Its confidence interval
/// is the set of all shifts that the U test does not reject. It is exact if the test's distribution
/// is, and excludes 0 exactly if p is below the significance level. Assumes independent values, and
/// samples that differ only by a factor. See Hodges and Lehmann, Annals of Mathematical Statistics
/// 34 (1963), 598-611, and Conover, Practical Nonparametric Statistics, section 5.4.
pub fn relative(baseline: &Sample, sample: &Sample, test: &MannWhitney) -> Option<Estimate> {
    let (a, b) = (baseline.ln()?, sample.ln()?);
    let differences = Differences(a.values(), b.values());
    let pairs = differences.count();
    let middle = (differences.kth(pairs.div_ceil(2)) + differences.kth(pairs / 2 + 1)) / 2.0;
    let interval = test
        .critical_rank()
        .filter(|rank| *rank <= pairs.div_ceil(2))
        .map(|rank| ConfidenceInterval {
            low: differences.kth(rank),
            high: differences.kth(pairs + 1 - rank),
        });
    let shift = Estimate {
        value: middle,
        interval,
    };
    Some(shift.map(f64::exp_m1))
}

/// All differences between a value of the second slice and one of the first, both ascending. They
/// are never stored: samples of thousands of values have millions of them.
struct Differences<'a>(&'a [f64], &'a [f64]);

impl Differences<'_> {
    fn count(&self) -> u64 {
        self.0.len() as u64 * self.1.len() as u64
    }

    /// The exact k-th smallest difference, k from 1: the smallest number that at least k
    /// differences do not exceed. Binary search on the ordered bits of f64.
    fn kth(&self, k: u64) -> f64 {
        let (first, last) = (self.0[0], self.0[self.0.len() - 1]);
        let mut low = ordered(self.1[0] - last);
        let mut high = ordered(self.1[self.1.len() - 1] - first);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.up_to(value(middle)) >= k {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        // -0 equals 0 but precedes it in the search; the sum of both is 0.
        value(low) + 0.0
    }

    /// Number of differences not above `limit`. The larger the second value, the fewer values of
    /// the first slice are large enough, so that one pass over both is sufficient.
    fn up_to(&self, limit: f64) -> u64 {
        let mut too_small = 0;
        let mut found = 0;
        for b in self.1 {
            while self.0.get(too_small).is_some_and(|a| b - a > limit) {
                too_small += 1;
            }
            found += self.0.len() - too_small;
        }
        found as u64
    }
}

/// Bits of an f64 in the order of its numeric value (IEEE 754 totalOrder).
fn ordered(value: f64) -> u64 {
    let bits = value.to_bits();
    match value.is_sign_negative() {
        true => !bits,
        false => bits | 1 << 63,
    }
}

fn value(ordered: u64) -> f64 {
    f64::from_bits(match ordered >> 63 {
        0 => !ordered,
        _ => ordered & !(1 << 63),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_change_between_equal_samples_has_no_negative_sign() {
        let sample = Sample::new(vec![1.0, 2.0, 3.0]).unwrap();
        let test = MannWhitney::of(&sample, &sample);
        let change = relative(&sample, &sample, &test).unwrap();
        assert_eq!(change.value.to_bits(), 0.0f64.to_bits());
    }

    proptest! {
        #[test]
        fn the_kth_difference_equals_the_kth_of_all_differences_sorted(
            mut a in proptest::collection::vec(-1e3f64..1e3, 1..15),
            mut b in proptest::collection::vec(-1e3f64..1e3, 1..15)
        ) {
            a.sort_by(f64::total_cmp);
            b.sort_by(f64::total_cmp);
            let mut all: Vec<f64> = a.iter().flat_map(|a| b.iter().map(move |b| b - a)).collect();
            all.sort_by(f64::total_cmp);
            let differences = Differences(&a, &b);
            for (k, expected) in (1..).zip(&all) {
                prop_assert_eq!(differences.kth(k), *expected);
            }
        }

        #[test]
        fn ordered_bits_sort_like_the_numbers_and_convert_back(a: f64, b: f64) {
            prop_assert_eq!(ordered(a).cmp(&ordered(b)), a.total_cmp(&b));
            prop_assert_eq!(value(ordered(a)).to_bits(), a.to_bits());
        }
    }
}
