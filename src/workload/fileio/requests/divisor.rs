//! Division by a number that is known when a run begins.

/// A divisor with its reciprocal: a multiplication costs less than a division.
#[derive(Debug, Clone, Copy)]
pub struct Divisor {
    value: u64,
    /// floor((2^64 - 1) / value)
    reciprocal: u64,
}

impl Divisor {
    /// Creates a divisor, which must not be 0.
    pub fn new(value: u64) -> Self {
        Self {
            value,
            reciprocal: u64::MAX / value,
        }
    }

    /// Returns the quotient and the remainder.
    #[inline]
    pub fn div_rem(self, dividend: u64) -> (u64, u64) {
        // 2^64 / value - reciprocal <= 1, so the estimate is at most 1 too low.
        let estimate = (u128::from(dividend) * u128::from(self.reciprocal)) >> 64;
        let quotient = estimate as u64;
        let remainder = dividend - quotient * self.value;
        match remainder < self.value {
            true => (quotient, remainder),
            false => (quotient + 1, remainder - self.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of every magnitude, and those at the edges of the estimate.
    fn number() -> impl Strategy<Value = u64> {
        let power = (0u32..64, -2i64..3).prop_map(|(shift, near)| {
            let power = 1u64 << shift;
            power.saturating_add_signed(near)
        });
        let any = (any::<u64>(), 0u32..64).prop_map(|(n, shift)| n >> shift);
        prop_oneof![power, any, Just(u64::MAX)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn the_reciprocal_gives_the_exact_quotient_and_remainder(
            dividend in number(), value in number().prop_filter("not 0", |&n| n > 0), times in number()
        ) {
            let divisor = Divisor::new(value);
            let multiple = value.saturating_mul(times);
            for n in [dividend, multiple, multiple.saturating_sub(1)] {
                prop_assert_eq!(divisor.div_rem(n), (n / value, n % value));
            }
        }
    }
}
