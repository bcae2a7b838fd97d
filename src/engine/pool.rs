//! The threads that work: rayon's pool, its threads waited for, bound to CPUs where asked.

use std::thread::JoinHandle;

use anyhow::{Context, Result, ensure};

use super::Setup;

/// A pool of threads that can be waited for: rayon's own are left to end some time.
pub(super) struct Pool {
    pub pool: rayon::ThreadPool,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub fn new(setup: Setup) -> Result<Self> {
        let most = rayon::max_num_threads();
        ensure!(
            setup.threads <= most,
            "{} worker threads were asked for, at most {most} are possible",
            setup.threads
        );
        let mut threads = Vec::with_capacity(setup.threads);
        let built = rayon::ThreadPoolBuilder::new()
            .num_threads(setup.threads)
            .spawn_handler(|thread| {
                let mut builder =
                    std::thread::Builder::new().name(format!("worker-{}", thread.index()));
                if let Some(bytes) = setup.stack_size {
                    builder = builder.stack_size(bytes);
                }
                threads.push(builder.spawn(|| thread.run())?);
                Ok(())
            })
            .build();
        let pool = built.with_context(|| {
            format!(
                "creating {} worker threads; take fewer --threads, or raise the limit of processes \
                 (ulimit -u, pids.max of the control group)",
                setup.threads
            )
        })?;
        Ok(Self { pool, threads })
    }

    /// Waits until every thread is gone, so that none disturbs what is measured next.
    pub fn join(self) {
        drop(self.pool);
        for thread in self.threads {
            // A worker that panicked has ended the process already.
            let _ = thread.join();
        }
    }
}

/// The CPUs to bind workers to; None where they are not to be bound.
pub(super) fn cpus_to_pin_to(pin: bool) -> Result<Option<Vec<core_affinity::CoreId>>> {
    if !pin {
        return Ok(None);
    }
    core_affinity::get_core_ids()
        .filter(|cpus| !cpus.is_empty())
        .map(Some)
        .context("--pin: the CPUs that this process may use can't be read; run without --pin")
}

/// Binds the calling thread, if it is to be bound.
pub(super) fn bind_to(cpu: Option<core_affinity::CoreId>) -> Result<()> {
    if let Some(cpu) = cpu {
        ensure!(
            core_affinity::set_for_current(cpu),
            "--pin: a worker can't be bound to CPU {}; run without --pin",
            cpu.id
        );
    }
    Ok(())
}
