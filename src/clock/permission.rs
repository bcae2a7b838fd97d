//! Permission to execute RDTSC: if prctl(2) with PR_SET_TSC forbids it, the instruction raises
//! SIGSEGV. The setting is inherited through fork and exec.

use std::io::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use libc::{PR_GET_TSC, PR_SET_TSC, PR_TSC_ENABLE, PR_TSC_SIGSEGV, c_int, prctl};

static WAS_FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// Permits RDTSC if it is forbidden: the vDSO executes it to read the kernel's clocks, so the first
/// reading of any clock would kill the process. Call this before reading any clock and before
/// creating any thread.
///
/// The TSC does not time events in that case; see [`rdtsc_was_forbidden`].
pub fn permit_rdtsc() -> Result<()> {
    if !is_forbidden() {
        return Ok(());
    }
    WAS_FORBIDDEN.store(true, Ordering::Relaxed);
    // SAFETY: changes whether RDTSC is permitted; does not access memory.
    match unsafe { prctl(PR_SET_TSC, PR_TSC_ENABLE) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()).context(
            "cannot read any clock: prctl(PR_SET_TSC) forbids RDTSC, which the kernel's clocks are \
             read with, and it cannot be permitted again; start wbench without that setting",
        ),
    }
}

/// Returns whether RDTSC was forbidden when the program started.
#[cfg(target_arch = "x86_64")]
pub(super) fn rdtsc_was_forbidden() -> bool {
    WAS_FORBIDDEN.load(Ordering::Relaxed)
}

/// Only x86 has the call; without it, RDTSC cannot be forbidden.
fn is_forbidden() -> bool {
    let mut setting: c_int = 0;
    // SAFETY: the call stores an int through the pointer, which is valid for writes.
    let done = unsafe { prctl(PR_GET_TSC, &raw mut setting) };
    done == 0 && setting == PR_TSC_SIGSEGV
}
