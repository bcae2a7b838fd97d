//! lrand48(3), the generator of random positions.

use std::convert::Infallible;

use rand::{Rng as _, TryRng};

use crate::plan::Seed;

/// The lrand48(3) generator as sysbench 0.4.12 uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lrand48(u64);

impl Lrand48 {
    /// Modulus that reduces a draw.
    pub const MODULUS: u32 = 0x3fff_ffff;

    /// Multiplier and addend of POSIX's drand48 family.
    const A: u64 = 0x5_DEEC_E66D;
    const C: u64 = 0xB;
    const MASK: u64 = (1 << 48) - 1;

    /// Without a seed X = 0, as in an unseeded C library; otherwise seeds as srand48(3).
    pub fn new(seed: Seed) -> Self {
        Self(seed.0.map_or(0, |s| u64::from(s) * 65536 + 0x330E))
    }

    /// Returns a number below [`Self::MODULUS`].
    #[inline]
    pub fn draw(&mut self) -> u32 {
        self.next_u32() % Self::MODULUS
    }
}

/// Yields 31 bits at a time, as lrand48(3) does; longer values combine several.
impl TryRng for Lrand48 {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 = self.0.wrapping_mul(Self::A).wrapping_add(Self::C) & Self::MASK;
        Ok((self.0 >> 17) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.try_next_u32()?) << 32 | u64::from(self.try_next_u32()?))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        rand::rand_core::utils::fill_bytes_via_next_word(bytes, || self.try_next_u32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_matches_the_c_library() {
        // srand48(1); lrand48() of the GNU C library, before the reduction.
        let mut seeded = Lrand48::new(Seed(Some(1)));
        let first: Vec<u32> = (0..4).map(|_| seeded.try_next_u32().unwrap()).collect();
        assert_eq!(first, [89400484, 976015093, 1792756325, 721524505]);
        // Unseeded, X starts at 0: the first draw is 11 >> 17.
        assert_eq!(Lrand48::new(Seed(None)).draw(), 0);
    }
}
