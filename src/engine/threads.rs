//! Creation and end of the worker threads.
//!
//! The engine creates its threads itself: idle threads of a work-stealing pool search each other's
//! queues, in time quadratic in their number.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::Setup;
use super::statistics::Statistics;
use crate::host::{SystemRoot, address_space_bytes, mappings, mappings_limit};
use crate::signal;

/// Default stack size of a Rust thread, in bytes.
const DEFAULT_STACK: u64 = 2 << 20;

/// Mappings that one thread may need: its stack, its signal stack, a guard page below each, and its
/// two histograms; one more histogram in an open loop.
const MAPPINGS_PER_THREAD: u64 = 6;

/// Address space of a thread besides its stack and histograms, in bytes.
const OTHER_ADDRESS_SPACE: u64 = 128 << 10;

/// The worker threads of a run.
#[derive(Debug)]
pub(super) struct WorkerThreads(Vec<JoinHandle<()>>);

impl WorkerThreads {
    /// Creates all threads of a run; thread `i` calls `work(i)`.
    ///
    /// If a thread cannot be created, or a signal arrives, calls `abandon`, which must make the
    /// existing threads end, joins them, and returns the error.
    pub fn spawn(
        setup: Setup,
        work: Arc<dyn Fn(usize) + Send + Sync>,
        abandon: &dyn Fn(),
    ) -> Result<Self> {
        ensure_room(setup)?;
        let mut threads = Self(Vec::new());
        for number in 0..setup.threads {
            let work = work.clone();
            let spawned = signal::go_on()
                .map_err(anyhow::Error::from)
                .and_then(|()| spawn_one(setup, number, move || work(number)));
            match spawned {
                Ok(thread) => threads.0.push(thread),
                Err(error) => {
                    abandon();
                    threads.join();
                    return Err(error);
                }
            }
        }
        Ok(threads)
    }

    /// Waits until every thread has ended, so that none disturbs the next measurement.
    pub fn join(self) {
        for thread in self.0 {
            // The supervisor has reported a panic.
            let _ = thread.join();
        }
    }
}

fn spawn_one(
    setup: Setup,
    number: usize,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>> {
    let mut builder = Builder::new().name(format!("worker-{number}"));
    if let Some(bytes) = setup.stack_size {
        builder = builder.stack_size(bytes);
    }
    builder.spawn(work).with_context(|| {
        format!(
            "cannot create worker thread {} of {}; use fewer --threads, or raise the limit on \
             processes (ulimit -u, pids.max of the control group, kernel.threads-max)",
            number + 1,
            setup.threads
        )
    })
}

/// Fails if the process may not map the memory of all threads: a failed mapping in a new thread
/// would abort the process.
fn ensure_room(setup: Setup) -> Result<()> {
    let threads = setup.threads as u64;
    let root = SystemRoot::default();
    if let (Some(used), Some(limit)) = (mappings(&root), mappings_limit(&root)) {
        let each = MAPPINGS_PER_THREAD + u64::from(setup.arrivals.is_some());
        let needed = used.saturating_add(threads.saturating_mul(each));
        ensure!(
            needed <= limit,
            "cannot create {threads} worker threads: they need up to {needed} memory mappings, and \
             the kernel allows {limit}; use fewer --threads, or raise vm.max_map_count (sysctl)"
        );
    }
    let (limit, _) = getrlimit(Resource::RLIMIT_AS).context("cannot read RLIMIT_AS")?;
    let stack = setup.stack_size.map_or(DEFAULT_STACK, |bytes| bytes as u64);
    let each = stack
        .saturating_add(OTHER_ADDRESS_SPACE + Statistics::ready_bytes(setup.arrivals.is_some()));
    let used = address_space_bytes(&root).unwrap_or(0);
    let needed = used.saturating_add(threads.saturating_mul(each));
    ensure!(
        limit == RLIM_INFINITY || needed <= limit,
        "cannot create {threads} worker threads: they need {} MiB of address space, and its limit \
         is {} MiB; use fewer --threads, or raise the limit (ulimit -v)",
        needed >> 20,
        limit >> 20
    );
    Ok(())
}
