//! The memory test: each event loads or stores every byte of a block once.

mod block;
mod touch;

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::claims::{Claims, Repeated};
use super::empty::SHORT_EVENT_BATCH;
use crate::engine::Transfer;
use crate::engine::{EventLoop, EventSource, Phase, Progress, Timing, Worker};
use crate::plan::{MemoryAccess, MemoryOper, MemoryParams, MemoryScope, Seed};

pub use block::{Block, pages_below};

/// Maximum bytes claimed at once, so that the threads end together.
const BATCH_BYTES: u64 = 1 << 20;

/// Events that each touch a block of memory.
#[derive(Debug)]
pub struct Memory {
    params: MemoryParams,
    seed: Seed,
    /// One per thread, or one for all.
    blocks: Arc<[Block]>,
    claims: Claims,
}

impl Memory {
    /// Maps the blocks and touches each of their pages, so that no event takes a page fault.
    ///
    /// `events` is the total for all `threads` threads; `None` for no limit.
    pub fn new(
        params: &MemoryParams,
        seed: Seed,
        events: Option<u64>,
        threads: usize,
    ) -> Result<Self> {
        let blocks = (0..params.blocks(threads))
            .map(|_| Block::map(params.block_size_bytes, params.hugetlb))
            .collect::<Result<_>>()?;
        let batch = (BATCH_BYTES / params.block_size_bytes).clamp(1, SHORT_EVENT_BATCH);
        Ok(Self {
            params: params.clone(),
            seed,
            blocks,
            claims: Claims::new(events, threads, batch),
        })
    }
}

impl EventSource for Memory {
    type Worker = MemoryWorker;

    fn worker(self: Arc<Self>, thread: usize) -> Result<MemoryWorker> {
        let seed = (u64::from(self.seed.0.unwrap_or(0)) << 32) | thread as u64;
        Ok(MemoryWorker {
            positions: Xoshiro256PlusPlus::seed_from_u64(seed),
            thread,
            share: match self.params.equal_shares {
                true => self.claims.share(),
                false => 0..0,
            },
            shared: self,
        })
    }

    fn progress(&self) -> Progress {
        self.claims.progress()
    }

    fn begin(&self, phase: Phase) -> Result<()> {
        self.claims.begin(phase);
        Ok(())
    }
}

/// One worker thread.
#[derive(Debug)]
pub struct MemoryWorker {
    shared: Arc<Memory>,
    thread: usize,
    positions: Xoshiro256PlusPlus,
    /// Events claimed before the start.
    share: Range<u64>,
}

impl Worker for MemoryWorker {
    fn run<T: Timing>(&mut self, events: EventLoop<'_, T>) -> Result<()> {
        let memory = self.shared.clone();
        let (params, claims) = (&memory.params, &memory.claims);
        let claimant = claims.claimant_of(self.share.clone());
        let bytes = params.block_size_bytes;
        let (load, store) = (Transfer::Read(bytes), Transfer::Write(bytes));
        // Each kind of access has its own loop, which contains nothing but its own work.
        let Some(block) = memory.block_of(self.thread) else {
            return events.run(&mut Repeated::of(claimant, Transfer::None, || {}));
        };
        let positions = &mut self.positions;
        let reads = params.oper == MemoryOper::Read;
        match (reads, params.access) {
            (true, MemoryAccess::Seq) => {
                events.run(&mut Repeated::of(claimant, load, || touch::load_all(block)))
            }
            (false, MemoryAccess::Seq) => events.run(&mut Repeated::of(claimant, store, || {
                touch::store_all(block)
            })),
            (true, MemoryAccess::Rnd) => events.run(&mut Repeated::of(claimant, load, || {
                touch::load_at_random(block, positions);
            })),
            (false, MemoryAccess::Rnd) => events.run(&mut Repeated::of(claimant, store, || {
                touch::store_at_random(block, positions);
            })),
        }
    }
}

impl Memory {
    /// Returns all blocks; they stay mapped while these exist.
    pub fn blocks(&self) -> Arc<[Block]> {
        self.blocks.clone()
    }

    /// Returns the block that a thread touches; `None` if events are empty.
    fn block_of(&self, thread: usize) -> Option<&Block> {
        match self.params.scope {
            MemoryScope::Global => self.blocks.first(),
            MemoryScope::Local => self.blocks.get(thread),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(oper: MemoryOper, scope: MemoryScope) -> MemoryParams {
        MemoryParams {
            block_size_bytes: 4096,
            total_size_bytes: 1 << 20,
            oper,
            scope,
            access: MemoryAccess::Seq,
            hugetlb: false,
            equal_shares: false,
        }
    }

    #[test]
    fn threads_share_the_global_block_but_each_has_its_own_local_one() {
        let blocks = |scope| {
            let memory =
                Memory::new(&params(MemoryOper::Read, scope), Seed(None), Some(9), 3).unwrap();
            (0..3)
                .map(|t| memory.block_of(t).unwrap().start())
                .collect::<Vec<_>>()
        };
        let global = blocks(MemoryScope::Global);
        assert!(global.iter().all(|start| *start == global[0]));
        let local = blocks(MemoryScope::Local);
        assert!(local[0] != local[1] && local[1] != local[2] && local[0] != local[2]);
    }

    #[test]
    fn no_block_is_mapped_if_none_is_touched() {
        let memory = Memory::new(
            &params(MemoryOper::None, MemoryScope::Local),
            Seed(None),
            Some(9),
            2,
        )
        .unwrap();
        assert!(memory.block_of(0).is_none());
    }
}
