//! The memory test: each event loads or stores every byte of a block once, or follows a cycle of
//! dependent loads through it.

mod block;
mod chase;
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

use chase::{Chase, lay_cycle};

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
    threads: usize,
}

impl Memory {
    /// Maps the blocks and touches each of their pages, so that no event takes a page fault; lays the
    /// cycles of a chase.
    ///
    /// `events` is the total for all `threads` threads; `None` for no limit.
    pub fn new(
        params: &MemoryParams,
        seed: Seed,
        events: Option<u64>,
        threads: usize,
    ) -> Result<Self> {
        let blocks: Arc<[Block]> = (0..params.blocks(threads))
            .map(|_| Block::map(params.block_size_bytes, params.page_source()))
            .collect::<Result<_>>()?;
        if let Some(chase) = &params.chase {
            for (number, block) in blocks.iter().enumerate() {
                lay_cycle(block, chase, &mut random_stream(seed, number));
            }
        }
        let batch = (BATCH_BYTES / params.event_bytes()).clamp(1, SHORT_EVENT_BATCH);
        Ok(Self {
            params: params.clone(),
            seed,
            blocks,
            claims: Claims::new(events, threads, batch),
            threads,
        })
    }
}

/// Returns the random numbers of a thread or a block.
fn random_stream(seed: Seed, number: usize) -> Xoshiro256PlusPlus {
    let seed = (u64::from(seed.0.unwrap_or(0)) << 32) | number as u64;
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

impl EventSource for Memory {
    type Worker = MemoryWorker;

    fn worker(self: Arc<Self>, thread: usize) -> Result<MemoryWorker> {
        Ok(MemoryWorker {
            positions: random_stream(self.seed, thread),
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
        if let Some(chase) = &params.chase {
            let (part, parts) = memory.place_in_block(self.thread);
            let mut chase = Chase::begin(block, chase, part, parts);
            return events.run(&mut Repeated::of(claimant, Transfer::None, || {
                chase.follow();
            }));
        }
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

    /// Returns the place of a thread among those that share its block, and their number.
    fn place_in_block(&self, thread: usize) -> (usize, usize) {
        match self.params.scope {
            MemoryScope::Global => (thread, self.threads),
            MemoryScope::Local => (0, 1),
        }
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
            pages: None,
            chase: None,
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
