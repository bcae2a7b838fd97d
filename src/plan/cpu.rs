//! Parameters of the cpu test.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::format::thousands;

/// Parameters of the cpu test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CpuParams {
    /// Each event tests the numbers from 3 to `max_prime` - 1 for primality.
    pub max_prime: NonZeroU64,
    /// How the trial division finds its last divisor.
    #[serde(default)]
    pub bound: CpuBound,
}

/// How the trial division compares a divisor with the square root of the number: the loops of two
/// versions of sysbench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CpuBound {
    /// As integers, like sysbench 0.4.12
    #[default]
    Integer,
    /// As floating-point numbers, like sysbench 1.0
    Double,
}

impl CpuParams {
    /// Describes the test in one line.
    pub fn title(&self) -> String {
        format!("cpu: primes up to {}", thousands(self.max_prime.get()))
    }
}
