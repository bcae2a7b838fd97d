//! Correction of p-values for multiple comparisons.

/// Applies Holm's correction: the probability of any false positive stays at the significance
/// level, however the comparisons depend on each other.
///
/// In ascending order, the i-th of m p-values (from 0) is multiplied by m - i. No result is less
/// than the one before it or greater than 1. See Holm, Scandinavian Journal of Statistics 6 (1979),
/// 65-70.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_unstable_by(|&a, &b| p[a].total_cmp(&p[b]));
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
    fn the_smallest_p_is_multiplied_by_the_number_of_comparisons() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.2]), [0.2]);
        assert!(holm(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn correction_neither_lowers_p_nor_exceeds_one_nor_changes_the_order(
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
