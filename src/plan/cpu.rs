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
}

impl CpuParams {
    /// Describes the test in one line.
    pub fn title(&self) -> String {
        format!("cpu: primes up to {}", thousands(self.max_prime.get()))
    }
}
