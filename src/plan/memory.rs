//! Parameters of the memory test.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::size::Size;

/// Parameters of the memory test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemoryParams {
    /// Bytes accessed per event, a multiple of 4.
    pub block_size_bytes: u64,
    /// Bytes accessed in the whole run; the number of events is this divided by the block size,
    /// rounded up. With `equal_shares`, 0 = no limit.
    pub total_size_bytes: u64,
    /// What an event does with its block.
    pub oper: MemoryOper,
    /// Whether threads share one block or have one each.
    pub scope: MemoryScope,
    /// Access pattern within the block.
    pub access: MemoryAccess,
    /// Allocate the block from the huge page pool.
    pub hugetlb: bool,
    /// Each thread does the same number of events, rounded down, as in sysbench 1.0; otherwise the
    /// threads take events from a shared counter.
    #[serde(default)]
    pub equal_shares: bool,
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

    /// Memory of all blocks in bytes; 0 if they come from the huge page pool, which has its own
    /// limits.
    pub fn buffer_bytes(&self, threads: usize) -> u64 {
        match self.hugetlb {
            true => 0,
            false => self
                .block_size_bytes
                .saturating_mul(self.blocks(threads) as u64),
        }
    }

    /// Whether events do nothing, on purpose.
    pub fn has_empty_events(&self) -> bool {
        self.oper == MemoryOper::None
    }

    /// Describes the test in one line.
    pub fn title(&self) -> String {
        if self.has_empty_events() {
            return "memory: empty events".to_owned();
        }
        let access = match self.access {
            MemoryAccess::Seq => "",
            MemoryAccess::Rnd => " at random positions",
        };
        let pages = if self.hugetlb { " in huge pages" } else { "" };
        let scope = match self.scope {
            MemoryScope::Global => "one block for all threads",
            MemoryScope::Local => "one block per thread",
        };
        format!(
            "memory: {} {} blocks{access}{pages}, {scope}",
            self.oper.name(),
            Size(self.block_size_bytes)
        )
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
            self.total_size_bytes > 0 || self.equal_shares,
            "invalid total memory size 0: expected at least 1"
        );
        Ok(self)
    }

    /// Number of events in the whole run; `None` for no limit.
    pub fn events(&self, threads: usize) -> Option<u64> {
        match (self.equal_shares, self.total_size_bytes) {
            (false, total) => Some(total.div_ceil(self.block_size_bytes)),
            (true, 0) => None,
            (true, total) => {
                let threads = threads as u64;
                Some(total / self.block_size_bytes / threads * threads)
            }
        }
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

impl MemoryOper {
    /// Name of the operation, the same in every dialect.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::None => "none",
        }
    }
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

impl MemoryScope {
    /// Name of the scope, the same in every dialect.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Local => "local",
        }
    }
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
