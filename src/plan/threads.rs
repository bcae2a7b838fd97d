//! Parameters of the threads test.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::MUTEX_BYTES;
use crate::format::count;

/// Parameters of the threads test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ThreadsParams {
    /// Times that an event locks a mutex, yields the CPU and unlocks the mutex.
    pub yields: u64,
    /// Number of mutexes; event N uses mutex N modulo this.
    pub locks: NonZeroU32,
}

impl ThreadsParams {
    /// Describes the test in one line.
    pub fn title(&self) -> String {
        format!(
            "threads: {} per event with a lock held, {}",
            count(self.yields, "yield"),
            count(self.locks.get().into(), "lock"),
        )
    }

    /// Bytes of all mutexes.
    pub fn mutex_bytes(&self) -> u64 {
        u64::from(self.locks.get()) * MUTEX_BYTES
    }
}
