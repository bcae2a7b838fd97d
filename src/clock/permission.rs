//! Whether this process may execute RDTSC: prctl(2) with PR_SET_TSC can forbid it, so that the
//! instruction raises SIGSEGV. The setting is inherited through fork and exec.

use std::io::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use libc::{PR_GET_TSC, PR_SET_TSC, PR_TSC_ENABLE, PR_TSC_SIGSEGV, c_int, prctl};

static WAS_FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// Permits RDTSC if it is forbidden: the vDSO executes it to read the kernel's clocks, so that the
/// first reading of any clock would end the process. Call this before any clock is read and any
/// thread is created.
///
/// Events are not timed by the TSC then; see [`rdtsc_was_forbidden`].
pub fn permit_rdtsc() -> Result<()> {
    if !is_forbidden() {
        return Ok(());
    }
    WAS_FORBIDDEN.store(true, Ordering::Relaxed);
    // SAFETY: changes whether RDTSC is permitted, no memory.
    match unsafe { prctl(PR_SET_TSC, PR_TSC_ENABLE) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()).context(
            "cannot read any clock: prctl(PR_SET_TSC) forbids RDTSC, which the kernel's clocks are \
             read with, and it cannot be permitted again; start wbench without that setting",
        ),
    }
}

/// RDTSC was forbidden when the program was started.
#[cfg(target_arch = "x86_64")]
pub(super) fn rdtsc_was_forbidden() -> bool {
    WAS_FORBIDDEN.load(Ordering::Relaxed)
}

/// Without the call, which only x86 has, nothing is forbidden.
fn is_forbidden() -> bool {
    let mut setting: c_int = 0;
    // SAFETY: the call stores an int where the pointer says.
    let done = unsafe { prctl(PR_GET_TSC, &raw mut setting) };
    done == 0 && setting == PR_TSC_SIGSEGV
}
