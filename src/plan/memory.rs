//! Parameters of the memory test.

mod chase;
mod pages;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::size::Size;

pub use chase::{CHASE_LINE_BYTES, CHASE_LOADS, ChaseParams};
pub use pages::{PageSource, Pages};

/// Parameters of the memory test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemoryParams {
    /// Size of a block, a multiple of 4. An event accesses all of its block, except with `oper` "chase".
    pub block_size_bytes: u64,
    /// Bytes accessed in the whole run; the number of events is this divided by the bytes per event,
    /// rounded up. A load of a chase counts as a cache line. With `equal_shares`, 0 = no limit.
    pub total_size_bytes: u64,
    /// What an event does with its block.
    pub oper: MemoryOper,
    /// Whether threads share one block or have one each.
    pub scope: MemoryScope,
    /// Access pattern within the block.
    pub access: MemoryAccess,
    /// Allocate the block from the pool of huge pages of the default size.
    pub hugetlb: bool,
    /// Pages below the blocks; null: as the kernel's policy is, or from the pool with `hugetlb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Pages>,
    /// Each thread does the same number of events, rounded down, as in sysbench 1.0; otherwise the
    /// threads take events from a shared counter.
    #[serde(default)]
    pub equal_shares: bool,
    /// The cycle that `oper` "chase" follows; null for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chase: Option<ChaseParams>,
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

    /// Where the pages below the blocks come from.
    pub fn page_source(&self) -> PageSource {
        match (self.pages, self.hugetlb) {
            (Some(pages), _) => pages.source(),
            (None, true) => PageSource::Pool(None),
            (None, false) => PageSource::Policy,
        }
    }

    /// Memory of all blocks in bytes; 0 if they come from a pool of huge pages, which has its own
    /// limits.
    pub fn buffer_bytes(&self, threads: usize) -> u64 {
        match self.page_source() {
            PageSource::Pool(_) => 0,
            _ => self
                .block_size_bytes
                .saturating_mul(self.blocks(threads) as u64),
        }
    }

    /// Whether events do nothing, on purpose.
    pub fn has_empty_events(&self) -> bool {
        self.oper == MemoryOper::None
    }

    /// Whether events transfer all of their block, so that a bandwidth is meaningful.
    pub fn moves_bytes(&self) -> bool {
        !matches!(self.oper, MemoryOper::None | MemoryOper::Chase)
    }

    /// Bytes that count toward the total for each event.
    pub fn event_bytes(&self) -> u64 {
        match self.chase {
            Some(_) => CHASE_LOADS * CHASE_LINE_BYTES,
            None => self.block_size_bytes,
        }
    }

    /// Returns the chase through as many lines, packed: with the same caches, but few pages.
    pub fn packed(&self) -> Self {
        let lines = self
            .chase
            .map_or(1, |chase| chase.lines(self.block_size_bytes));
        let block_size_bytes = lines * CHASE_LINE_BYTES;
        Self {
            block_size_bytes,
            chase: Some(ChaseParams {
                stride_bytes: CHASE_LINE_BYTES,
                window_bytes: block_size_bytes,
            }),
            ..self.clone()
        }
    }

    /// Describes the test in one line.
    pub fn title(&self) -> String {
        if self.has_empty_events() {
            return "memory: empty events".to_owned();
        }
        let scope = match self.scope {
            MemoryScope::Global => "one block for all threads",
            MemoryScope::Local => "one block per thread",
        };
        let pages = self.page_source().title();
        let size = Size(self.block_size_bytes);
        if let Some(chase) = &self.chase {
            return format!("memory: {} in {size} blocks{pages}, {scope}", chase.title());
        }
        let access = match self.access {
            MemoryAccess::Seq => "",
            MemoryAccess::Rnd => " at random positions",
        };
        format!(
            "memory: {} {size} blocks{access}{pages}, {scope}",
            self.oper.name()
        )
    }

    /// Checks the sizes.
    ///
    /// Fails if the block size is not a positive multiple of 4, exceeds the address space or does not
    /// suit the chase.
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
        if let Some(chase) = &self.chase {
            chase.check(self.block_size_bytes)?;
        }
        Ok(self)
    }

    /// Number of events in the whole run; `None` for no limit.
    pub fn events(&self, threads: usize) -> Option<u64> {
        match (self.equal_shares, self.total_size_bytes) {
            (false, total) => Some(total.div_ceil(self.event_bytes())),
            (true, 0) => None,
            (true, total) => {
                let threads = threads as u64;
                Some(total / self.event_bytes() / threads * threads)
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
    /// Dependent loads along one random cycle through the block: latency
    Chase,
    /// Nothing: an empty event, to measure the harness
    None,
}

impl MemoryOper {
    /// Name of the operation, the same in every dialect.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Chase => "chase",
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
    /// Random, 4 bytes per access; a block has size / 4 accesses. A chase loads 8 bytes per line
    Rnd,
}
