//! Scheduling priority of the main thread during a run.
//!
//! Thousands of busy threads leave the main thread waiting for a CPU for seconds, so that it would
//! see a signal late. The kernel delivers a signal to the main thread first.

use libc::{PRIO_PROCESS, c_int, getpriority, setpriority};

/// The highest priority of the ordinary scheduling class.
const HIGHEST: c_int = -20;

/// Raises the priority of the calling thread while this lives, if that is permitted (root,
/// CAP_SYS_NICE or RLIMIT_NICE). Threads that it creates meanwhile would inherit it.
///
/// The thread sleeps during a run, so that this takes nothing from the worker threads.
#[derive(Debug)]
pub(super) struct RaisedPriority {
    before: c_int,
}

impl RaisedPriority {
    pub fn of_this_thread() -> Self {
        // SAFETY: on Linux, 0 means the calling thread; no memory is accessed.
        let before = unsafe { getpriority(PRIO_PROCESS, 0) };
        set(HIGHEST);
        Self { before }
    }
}

impl Drop for RaisedPriority {
    fn drop(&mut self) {
        set(self.before);
    }
}

/// Without permission the priority stays as it is.
fn set(nice: c_int) {
    // SAFETY: as in `of_this_thread`.
    let _ = unsafe { setpriority(PRIO_PROCESS, 0, nice) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_priority_is_as_before_when_the_run_has_ended() {
        // SAFETY: as in `of_this_thread`.
        let nice = || unsafe { getpriority(PRIO_PROCESS, 0) };
        let before = nice();
        let raised = RaisedPriority::of_this_thread();
        assert!(nice() <= before);
        drop(raised);
        assert_eq!(nice(), before);
    }
}
