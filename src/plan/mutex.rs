//! Parameters of the mutex test.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::format::{count, thousands};

/// Bytes of a mutex: two cache lines.
pub const MUTEX_BYTES: u64 = 128;

/// Parameters of the mutex test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MutexParams {
    /// Number of mutexes that all threads share.
    pub mutexes: NonZeroU32,
    /// Locks per thread, which are its single event.
    pub locks: NonZeroU64,
    /// Iterations of the loop before each lock.
    pub loops: u64,
}

impl MutexParams {
    /// Describes the test in one line.
    pub fn title(&self) -> String {
        let mutexes = match self.mutexes.get() {
            1 => "1 mutex".to_owned(),
            mutexes => format!("{} random mutexes", thousands(mutexes.into())),
        };
        format!(
            "mutex: {} of {mutexes} per thread, {} before each",
            count(self.locks.get(), "lock"),
            count(self.loops, "loop"),
        )
    }

    /// Bytes of all mutexes.
    pub fn mutex_bytes(&self) -> u64 {
        u64::from(self.mutexes.get()) * MUTEX_BYTES
    }
}
