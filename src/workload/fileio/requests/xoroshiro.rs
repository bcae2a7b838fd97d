//! The random numbers of sysbench 1.0: xoroshiro128+ (Blackman and Vigna, "Scrambled linear
//! pseudorandom number generators", 2018), with the constants of 2016, seeded from the C library's
//! random(3).

/// The generator of one thread. Its default state yields zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Xoroshiro128Plus {
    state: [u64; 2],
}

impl Xoroshiro128Plus {
    /// Creates the generator of a thread: threads take four numbers of random(3) each, in order.
    pub fn of_thread(seed: u32, thread: usize) -> Self {
        let mut words = CRandom::new(seed).skip(4 * thread);
        let mut state = || {
            let mut word = || u64::from(words.next().unwrap_or_default());
            word() << 32 | word()
        };
        Self {
            state: [state(), state()],
        }
    }

    /// Returns the next number.
    #[inline]
    pub fn draw(&mut self) -> u64 {
        let [first, second] = self.state;
        let mixed = first ^ second;
        self.state = [
            first.rotate_left(55) ^ mixed ^ (mixed << 14),
            mixed.rotate_left(36),
        ];
        first.wrapping_add(second)
    }

    /// Returns a number from 0 to `bound` - 1.
    #[inline]
    pub fn draw_below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }
}

/// The numbers of random(3) after srandom(3): an additive feedback generator with 31 words of
/// state, as in glibc.
struct CRandom {
    /// The last words, the oldest at `at`.
    words: [u32; Self::DEGREE],
    at: usize,
}

impl CRandom {
    const DEGREE: usize = 31;

    /// Distance of the second word that is added.
    const SEPARATION: usize = 3;

    fn new(seed: u32) -> Self {
        let mut words = [0; Self::DEGREE];
        let mut word = seed.max(1) as i32;
        for slot in &mut words {
            *slot = word as u32;
            word = ((i64::from(word) * 16807) % 2_147_483_647) as i32;
            if word < 0 {
                word += 2_147_483_647;
            }
        }
        let mut random = Self {
            words,
            at: Self::SEPARATION,
        };
        // The first words depend too much on each other.
        _ = random.nth(10 * Self::DEGREE - 1);
        random
    }
}

impl Iterator for CRandom {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let recent = (self.at + Self::DEGREE - Self::SEPARATION) % Self::DEGREE;
        let word = self.words[self.at].wrapping_add(self.words[recent]);
        self.words[self.at] = word;
        self.at = (self.at + 1) % Self::DEGREE;
        Some(word >> 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_are_the_numbers_of_the_c_library() {
        // Printed by a program that calls srandom and random.
        for (seed, numbers) in [
            (1, [0x6b8b4567, 0x327b23c6, 0x643c9869, 0x66334873]),
            (2, [0x59b997fa, 0x67a3797f, 0x0b5da644, 0x0f8ca14f]),
        ] {
            assert_eq!(CRandom::new(seed).take(4).collect::<Vec<_>>(), numbers);
        }
    }

    #[test]
    fn positions_are_those_of_sysbench_1_0() {
        // Blocks that sysbench 1.0.20 read with --rand-seed=1, of 1000003 in all: it draws a second
        // number for the histogram of each event.
        let mut positions = Xoroshiro128Plus::of_thread(1, 0);
        let blocks: Vec<u64> = (0..5)
            .map(|_| {
                let block = positions.draw_below(1_000_003);
                positions.draw();
                block
            })
            .collect();
        assert_eq!(blocks, [811_645, 894_743, 802_063, 410_052, 987_502]);
    }
}
