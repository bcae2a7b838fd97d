//! Correction of p for many comparisons.

/// Holm's correction: the probability that any of the differences called so is none stays at
/// the level, however the comparisons depend on each other.
///
/// In ascending order, the i-th of m (from 0) is multiplied by m - i; none is below one before
/// it, nor above 1. See Holm, Scandinavian Journal of Statistics 6 (1979), 65-70.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![0.0; p.len()];
    let mut least: f64 = 0.0;
    for (i, &which) in order.iter().enumerate() {
        least = least.max(p[which] * (p.len() - i) as f64).min(1.0);
        corrected[which] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_smallest_counts_once_for_each_comparison_and_the_largest_once() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.2]), [0.2]);
        assert!(holm(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn no_p_gets_smaller_none_is_above_one_and_the_order_stays(
            p in proptest::collection::vec(0.0f64..=1.0, 1..30)
        ) {
            let corrected = holm(&p);
            for i in 0..p.len() {
                prop_assert!(corrected[i] >= p[i] && corrected[i] <= 1.0);
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || corrected[i] <= corrected[j]);
                }
            }
        }
    }
}
