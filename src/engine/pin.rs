//! Binding of worker threads to CPUs.

use anyhow::{Context, Result, ensure};

/// Returns the CPUs to bind workers to; `None` if they are not bound.
pub(super) fn cpus_to_pin_to(pin: bool) -> Result<Option<Vec<core_affinity::CoreId>>> {
    if !pin {
        return Ok(None);
    }
    core_affinity::get_core_ids()
        .filter(|cpus| !cpus.is_empty())
        .map(Some)
        .context("--pin: cannot read which CPUs this process may use; run without --pin")
}

/// Returns the CPU that the first worker is bound to; `None` if workers are not bound.
pub fn first_pinned_cpu(pin: bool) -> Option<usize> {
    let cpus = cpus_to_pin_to(pin).ok()??;
    cpus.first().map(|cpu| cpu.id)
}

/// Binds the calling thread if a CPU is given.
pub(super) fn bind_to(cpu: Option<core_affinity::CoreId>) -> Result<()> {
    if let Some(cpu) = cpu {
        ensure!(
            core_affinity::set_for_current(cpu),
            "--pin: cannot bind a worker thread to CPU {}; run without --pin",
            cpu.id
        );
    }
    Ok(())
}
