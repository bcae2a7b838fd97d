//! SIGBUS, by which the kernel ends a process if it cannot provide a page of a mapped file.
//!
//! It occurs if the file was truncated behind the mapping, if the disk is full under a hole, or if
//! reading the page failed. The handler here replaces the missing page by one of zeros, so that the
//! access continues, and records the address; the accessing code checks for it right afterward and
//! returns an error.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, compiler_fence};

use anyhow::{Context, Result};
use memmap2::MmapRaw;
use nix::errno::Errno;

/// SigbusGuarded addresses. A set lives as long as the process, because a handler may be reading it at
/// any time.
static GUARDED: AtomicPtr<Vec<Range<usize>>> = AtomicPtr::new(ptr::null_mut());

/// First address that had no page; 0 for none.
static FAULT: AtomicUsize = AtomicUsize::new(0);

/// Page size in bytes.
static PAGE: AtomicUsize = AtomicUsize::new(4096);

/// Previous action for SIGBUS.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Guards mappings against SIGBUS as long as it lives; must be dropped before them.
#[derive(Debug)]
pub(super) struct SigbusGuard(());

impl SigbusGuard {
    /// Guards these mappings, and no others of this process.
    pub fn over(mappings: &[MmapRaw]) -> Result<Self> {
        install()?;
        let range = |mapping: &MmapRaw| {
            let start = mapping.as_mut_ptr() as usize;
            start..start + mapping.len()
        };
        let ranges: Vec<_> = mappings.iter().map(range).collect();
        GUARDED.store(Box::leak(Box::new(ranges)), Ordering::Release);
        Ok(Self(()))
    }

    /// Returns the address of the first access that found no page.
    #[inline(always)]
    pub fn fault(&self) -> Option<usize> {
        // The handler runs on the accessing thread, so compiler ordering suffices.
        compiler_fence(Ordering::SeqCst);
        match FAULT.load(Ordering::Relaxed) {
            0 => None,
            address => Some(address),
        }
    }
}

impl Drop for SigbusGuard {
    fn drop(&mut self) {
        GUARDED.store(ptr::null_mut(), Ordering::Release);
        FAULT.store(0, Ordering::Relaxed);
    }
}

fn install() -> Result<()> {
    if BEFORE.get().is_some() {
        return Ok(());
    }
    // SAFETY: sysconf has no memory safety requirements.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    PAGE.store(usize::try_from(page).unwrap_or(4096), Ordering::Relaxed);
    // SAFETY: all zeros are a valid sigaction.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut before = action;
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: the handler uses only async-signal-safe operations: atomics and system calls.
    let done = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, &raw mut before) };
    Errno::result(done).context("installing the handler of SIGBUS")?;
    // No other thread can have set it: files are mapped before the threads start.
    let _ = BEFORE.set(before);
    Ok(())
}

extern "C" fn on_sigbus(_: c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to a handler with SA_SIGINFO.
    let (address, from_kernel) = unsafe { ((*info).si_addr() as usize, (*info).si_code > 0) };
    if from_kernel && is_guarded(address) && map_zeros_at(address) {
        let _ = FAULT.compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed);
        return;
    }
    match BEFORE.get() {
        // SAFETY: the kernel returned this action. The access is repeated after the return, and
        // triggers that action.
        Some(before) if from_kernel => unsafe {
            libc::sigaction(libc::SIGBUS, before, ptr::null_mut());
        },
        // Another process sent it, and no access will repeat it.
        // SAFETY: both calls are async-signal-safe; the signal is delivered again after the return.
        _ => unsafe {
            libc::signal(libc::SIGBUS, libc::SIG_DFL);
            libc::raise(libc::SIGBUS);
        },
    }
}

fn is_guarded(address: usize) -> bool {
    // SAFETY: null, or a set that is never freed or changed.
    let guarded = unsafe { GUARDED.load(Ordering::Acquire).as_ref() };
    guarded.is_some_and(|ranges| ranges.iter().any(|range| range.contains(&address)))
}

fn map_zeros_at(address: usize) -> bool {
    let page = PAGE.load(Ordering::Relaxed);
    let start = address & !(page - 1);
    // SAFETY: replaces one page of a guarded mapping, which is accessed only by atomics, and which
    // its owner unmaps with the rest.
    let mapped = unsafe {
        libc::mmap(
            start as *mut libc::c_void,
            page,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    mapped != libc::MAP_FAILED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_beyond_the_end_of_a_truncated_file_reads_zeros_and_records_its_address() {
        let page = 4096;
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 * page as u64).unwrap();
        let mapping = MmapRaw::map_raw(&file).unwrap();
        let mappings = [mapping];
        let guard = SigbusGuard::over(&mappings).unwrap();
        assert_eq!(guard.fault(), None);
        file.set_len(page as u64).unwrap();
        let beyond = mappings[0].as_mut_ptr().wrapping_add(2 * page + 5);
        // SAFETY: within the mapping, where the guard provides a page.
        let byte = unsafe { beyond.read_volatile() };
        assert_eq!(byte, 0);
        assert_eq!(guard.fault(), Some(beyond as usize));
    }
}
