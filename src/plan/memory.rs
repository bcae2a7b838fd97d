//! Parameters of the memory test.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Parameters of the memory test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemoryParams {
    /// Bytes accessed per event, a multiple of 4.
    pub block_size_bytes: u64,
    /// Bytes accessed in the whole run; the number of events is this divided by the block size,
    /// rounded up.
    pub total_size_bytes: u64,
    /// What an event does with its block.
    pub oper: MemoryOper,
    /// Whether threads share one block or have one each.
    pub scope: MemoryScope,
    /// Access pattern within the block.
    pub access: MemoryAccess,
    /// Allocate the block from the huge page pool.
    pub hugetlb: bool,
}

impl MemoryParams {
    /// Number of blocks that a run with this many threads accesses.
    pub fn blocks(&self, threads: usize) -> usize {
        match (self.oper, self.scope) {
            (MemoryOper::None, _) => 0,
            (_, MemoryScope::Global) => 1,
            (_, MemoryScope::Local) => threads,
        }
    }

    /// Bytes of all blocks outside the huge page pool, which has its own limits.
    pub fn ordinary_memory_bytes(&self, threads: usize) -> u64 {
        let blocks = if self.hugetlb {
            0
        } else {
            self.blocks(threads)
        };
        self.block_size_bytes.saturating_mul(blocks as u64)
    }

    /// Checks the sizes.
    ///
    /// Fails if the block size is not a positive multiple of 4, exceeds the address space, or the
    /// total is 0.
    pub fn validated(self) -> Result<Self> {
        ensure!(
            self.block_size_bytes > 0 && self.block_size_bytes.is_multiple_of(4),
            "invalid memory block size {}: expected a multiple of 4, at least 4",
            self.block_size_bytes
        );
        ensure!(
            isize::try_from(self.block_size_bytes).is_ok(),
            "invalid memory block size {}: larger than the address space",
            self.block_size_bytes
        );
        ensure!(
            self.total_size_bytes > 0,
            "invalid total memory size 0: expected at least 1"
        );
        Ok(self)
    }

    /// Number of events in the whole run.
    pub fn events(&self) -> u64 {
        self.total_size_bytes.div_ceil(self.block_size_bytes)
    }
}

/// What an event of the memory test does with its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MemoryOper {
    /// Load every byte
    Read,
    /// Store every byte
    Write,
    /// Nothing: an empty event, to measure the harness
    None,
}

/// Which threads share a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MemoryScope {
    /// One block shared by all threads
    Global,
    /// One block per thread
    Local,
}

/// Access pattern within a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MemoryAccess {
    /// Sequential, 16 bytes per access
    Seq,
    /// Random, 4 bytes per access; a block has size / 4 accesses
    Rnd,
}
