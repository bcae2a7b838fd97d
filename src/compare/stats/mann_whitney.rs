//! The Mann-Whitney U test.

use std::cmp::Ordering;

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::factorial::ln_binomial;

use super::{ALPHA, Sample};

/// Size of the largest samples for which the exact distribution of U is used. Larger samples and
/// ties use the normal approximation.
pub const EXACT_UP_TO: usize = 32;

/// Two-sided test of whether values of one sample tend to be larger than those of another.
///
/// Assumes that all values are independent. Under the null hypothesis both samples come from one
/// distribution, of any shape. See Mann and Whitney, Annals of Mathematical Statistics 18 (1947),
/// 50-60. Results match `scipy.stats.mannwhitneyu` with `method` "exact" or "asymptotic".
#[derive(Debug, Clone)]
pub struct MannWhitney {
    u: f64,
    pairs: f64,
    sizes: (u64, u64),
    null: Null,
}

/// Distribution of U under the null hypothesis.
#[derive(Debug, Clone)]
enum Null {
    /// P(U <= u), indexed by u from 0.
    Exact(Vec<f64>),
    /// Normal approximation with continuity correction.
    Normal {
        /// Standard deviation of U, corrected for ties; 0 if all values are equal.
        sd: f64,
    },
}

impl MannWhitney {
    /// Ranks the values of two samples.
    pub fn of(baseline: &Sample, sample: &Sample) -> Self {
        let ranking = Ranking::of(baseline.values(), sample.values());
        let (m, n) = (baseline.n(), sample.n());
        let small = m.max(n) <= EXACT_UP_TO;
        Self {
            u: ranking.u,
            pairs: m as f64 * n as f64,
            sizes: (m as u64, n as u64),
            null: match small && ranking.ties == 0.0 {
                true => Null::Exact(exact_cdf(m, n)),
                false => Null::Normal {
                    sd: deviation(m as f64, n as f64, ranking.ties),
                },
            },
        }
    }

    /// Number of pairs in which the sample's value exceeds the baseline's; a tie counts half.
    pub fn u(&self) -> f64 {
        self.u
    }

    /// `Greater` if the sample's values tend to be larger than the baseline's.
    pub fn direction(&self) -> Ordering {
        self.u.total_cmp(&(self.pairs / 2.0))
    }

    /// Two-sided p-value.
    pub fn p(&self) -> f64 {
        let nearer_end = self.u.min(self.pairs - self.u);
        let one_sided = match &self.null {
            // Without ties U is an integer.
            Null::Exact(cdf) => cdf[nearer_end as usize],
            Null::Normal { sd: 0.0 } => 1.0,
            Null::Normal { sd } => {
                let z = (self.pairs / 2.0 - nearer_end - 0.5) / sd;
                standard_normal().sf(z)
            }
        };
        (2.0 * one_sided).min(1.0)
    }

    /// The p-value of samples of these sizes that neither overlap nor have ties: 2 of all possible
    /// orderings.
    pub fn smallest_p(&self) -> f64 {
        let orders = ln_binomial(self.sizes.0 + self.sizes.1, self.sizes.0);
        (2.0 * (-orders).exp()).min(1.0)
    }

    /// The largest rank k for which P(U < k) is at most [`ALPHA`] / 2 in either tail: the k-th
    /// smallest and k-th largest of all pairwise differences bound the shift. `None` if the samples
    /// are too small for a bound.
    pub fn critical_rank(&self) -> Option<u64> {
        let rank = match &self.null {
            Null::Exact(cdf) => cdf.partition_point(|p| 2.0 * p < ALPHA) as f64,
            Null::Normal { sd } => {
                let z = standard_normal().inverse_cdf(1.0 - ALPHA / 2.0);
                (self.pairs / 2.0 + 0.5 - z * sd).floor()
            }
        };
        (rank >= 1.0).then_some(rank as u64)
    }
}

fn standard_normal() -> Normal {
    Normal::standard()
}

/// Standard deviation of U. `ties` is the sum of t^3 - t over groups of t equal values.
fn deviation(m: f64, n: f64, ties: f64) -> f64 {
    let all = m + n;
    (m * n / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0))))
        .max(0.0)
        .sqrt()
}

struct Ranking {
    u: f64,
    ties: f64,
}

impl Ranking {
    /// Ranks the values of two ascending slices.
    fn of(baseline: &[f64], sample: &[f64]) -> Self {
        let (mut u, mut ties) = (0.0, 0.0);
        let (mut below, mut i) = (0, 0);
        while below < baseline.len() || i < sample.len() {
            let value = match (baseline.get(below), sample.get(i)) {
                (Some(a), Some(b)) => a.min(*b),
                (Some(value), None) | (None, Some(value)) => *value,
                (None, None) => break,
            };
            let equal = |rest: &[f64]| rest.iter().take_while(|v| **v == value).count();
            let (of_baseline, of_sample) = (equal(&baseline[below..]), equal(&sample[i..]));
            u += of_sample as f64 * (below as f64 + of_baseline as f64 / 2.0);
            let tied = (of_baseline + of_sample) as f64;
            ties += tied.powi(3) - tied;
            below += of_baseline;
            i += of_sample;
        }
        Self { u, ties }
    }
}

/// P(U <= u) for samples of m and n values without ties, for u from 0 to m * n.
///
/// Uses Mann and Whitney's recurrence on probabilities: the largest value is either one of the m,
/// and then exceeds all n others, or one of the n:
/// p(m, n, u) = m/(m+n) p(m-1, n, u-n) + n/(m+n) p(m, n-1, u).
/// All terms are positive, so there is no cancellation.
fn exact_cdf(m: usize, n: usize) -> Vec<f64> {
    // row[j] contains the probabilities for i and j values, for i = 0, 1, ... m.
    let mut row = vec![vec![1.0]; n + 1];
    for i in 1..=m {
        row[0] = vec![1.0];
        for j in 1..=n {
            let all = (i + j) as f64;
            let mut next = vec![0.0; i * j + 1];
            for (u, p) in row[j].iter().enumerate() {
                next[u + j] += i as f64 / all * p;
            }
            for (u, p) in row[j - 1].iter().enumerate() {
                next[u] += j as f64 / all * p;
            }
            row[j] = next;
        }
    }
    let mut cumulated = 0.0;
    row[n]
        .iter()
        .map(|p| {
            cumulated += p;
            cumulated
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn test(baseline: &[f64], sample: &[f64]) -> MannWhitney {
        let sample_of = |values: &[f64]| Sample::new(values.to_vec()).unwrap();
        MannWhitney::of(&sample_of(baseline), &sample_of(sample))
    }

    #[test]
    fn samples_that_do_not_overlap_have_the_smallest_p() {
        // 2 of the 20 orderings of three and three values are this far apart.
        let apart = test(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]);
        assert_eq!(apart.u(), 9.0);
        assert!((apart.p() - 0.1).abs() < 1e-15);
        assert!((apart.p() - apart.smallest_p()).abs() < 1e-12);
    }

    #[test]
    fn two_samples_of_four_are_the_smallest_that_can_differ_significantly() {
        assert_eq!(
            test(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).critical_rank(),
            None
        );
        let four = test(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]);
        assert!(four.p() < ALPHA);
        assert_eq!(four.critical_rank(), Some(1));
    }

    #[test]
    fn samples_of_equal_values_have_a_p_of_one() {
        assert_eq!(test(&[5.0; 4], &[5.0; 9]).p(), 1.0);
    }

    proptest! {
        #[test]
        fn u_is_the_number_of_pairs_in_which_the_sample_is_larger(
            a in proptest::collection::vec(0u8..10, 1..12),
            b in proptest::collection::vec(0u8..10, 1..12)
        ) {
            let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x, y)));
            let counted: f64 = pairs.map(|(x, y)| match y.cmp(x) {
                Ordering::Greater => 1.0,
                Ordering::Equal => 0.5,
                Ordering::Less => 0.0,
            }).sum();
            let float = |v: &[u8]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            prop_assert_eq!(test(&float(&a), &float(&b)).u(), counted);
        }

        #[test]
        fn the_exact_distribution_is_symmetric_and_ends_at_one(m in 1usize..20, n in 1usize..20) {
            let cdf = exact_cdf(m, n);
            prop_assert_eq!(cdf.len(), m * n + 1);
            prop_assert!((cdf[m * n] - 1.0).abs() < 1e-12);
            for u in 0..m * n {
                prop_assert!((cdf[u] + cdf[m * n - 1 - u] - 1.0).abs() < 1e-12);
            }
        }
    }
}
