//! Random order of the environments in each block.

/// Returns the order of `count` environments in a block: a permutation of their indices, each with
/// the same probability and independent of those of other blocks.
///
/// The order depends on seed and block only, so that it can be checked from a result. Random numbers
/// are those of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014); the shuffle is that of Fisher and Yates.
pub fn order(seed: u32, block: u32, count: usize) -> Vec<usize> {
    let mut random = SplitMix64::of(seed, block);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    order
}

/// The generator of one block.
struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    fn of(seed: u32, block: u32) -> Self {
        let mut keyed = Self {
            state: u64::from(seed) << 32 | u64::from(block),
        };
        // Streams that start at neighboring states would overlap.
        Self {
            state: keyed.draw(),
        }
    }

    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to `bound` - 1. The bias is below `bound` / 2^64.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_order_is_that_of_the_seed() {
        let orders = |seed| {
            (1..=20)
                .map(|block| order(seed, block, 3))
                .collect::<Vec<_>>()
        };
        assert_eq!(orders(7), orders(7));
        assert_ne!(orders(7), orders(8));
        // Fixed: a trial that an older version began must be resumed in the same order.
        assert_eq!(order(1, 1, 4), FIXED);
    }

    const FIXED: [usize; 4] = [2, 0, 3, 1];

    #[test]
    fn every_permutation_is_equally_frequent() {
        let mut found: BTreeMap<Vec<usize>, u32> = BTreeMap::new();
        for block in 0..6000 {
            *found.entry(order(5, block, 3)).or_default() += 1;
        }
        assert_eq!(found.len(), 6);
        // 1000 each, with a standard deviation of 29.
        assert!(found.values().all(|n| (850..1150).contains(n)), "{found:?}");
    }

    #[test]
    fn the_order_of_a_block_does_not_depend_on_the_one_before() {
        let swapped = |block| order(9, block, 2) == [1, 0];
        let same = (1..4000).filter(|&b| swapped(b) == swapped(b + 1)).count();
        // Half, with a standard deviation of 32.
        assert!((1850..2150).contains(&same), "{same}");
    }
}
