//! SIGINT and SIGTERM as a wish that the running work sees between two steps.

use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context, Result};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// The first signal that came, 0 for none.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" fn catch(number: i32) {
    // Only the first counts, so that the exit status says what began the end.
    let _ = CAUGHT.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
}

/// From here on SIGINT and SIGTERM no longer end the process, but show in [`caught`].
pub fn watch() -> Result<()> {
    let action = SigAction::new(
        SigHandler::Handler(catch),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: the handler touches nothing but an atomic integer.
        unsafe { sigaction(signal, &action) }
            .with_context(|| format!("installing the handler of {signal}"))?;
    }
    Ok(())
}

/// A signal has asked for the end.
#[inline(always)]
pub fn is_caught() -> bool {
    CAUGHT.load(Ordering::Relaxed) != 0
}

/// The signal that asked for the end.
pub fn caught() -> Option<Signal> {
    Signal::try_from(CAUGHT.load(Ordering::Relaxed)).ok()
}

/// Work was given up because a signal asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match caught() {
            Some(signal) => write!(f, "interrupted by {signal}"),
            None => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Interrupted {}

/// An error where a signal has asked for the end: for loops of work that isn't timed.
pub fn go_on() -> std::result::Result<(), Interrupted> {
    if is_caught() {
        Err(Interrupted)
    } else {
        Ok(())
    }
}
