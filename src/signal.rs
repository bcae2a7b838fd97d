//! Termination signals, caught as a request that running work polls between two steps.

use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context, Result};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Signals that cause an orderly end: the program reports partial results and removes its files.
const ENDING: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// The first signal caught, 0 for none.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" fn catch(number: libc::c_int) {
    // Only the first counts, so that the exit status reports the original cause.
    let _ = CAUGHT.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
}

extern "C" fn pass_over(_number: libc::c_int) {}

/// Catches termination signals from now on: they no longer kill the process but show in
/// [`caught`].
///
/// SIGHUP stays ignored if it was ignored at process start, as under nohup(1).
pub fn watch() -> Result<()> {
    for signal in ENDING {
        let previous = handle(signal, catch)?;
        if signal == Signal::SIGHUP && matches!(previous.handler(), SigHandler::SigIgn) {
            install(signal, &previous)?;
        }
    }
    Ok(())
}

/// Catches SIGXFSZ from now on: a write beyond the file size limit (`ulimit -f`) fails with EFBIG,
/// which is reported, and no longer kills the process.
///
/// Uses a handler because child processes would inherit an ignored signal.
pub fn survive_size_limit() -> Result<()> {
    handle(Signal::SIGXFSZ, pass_over).map(drop)
}

/// Installs a handler, which must be async-signal-safe: it accesses at most an atomic integer.
fn handle(signal: Signal, handler: extern "C" fn(libc::c_int)) -> Result<SigAction> {
    let action = SigAction::new(
        SigHandler::Handler(handler),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    install(signal, &action)
}

/// Installs an action and returns the previous one.
fn install(signal: Signal, action: &SigAction) -> Result<SigAction> {
    // SAFETY: the action is one of this module's handlers, which are async-signal-safe, or the one
    // inherited at process start.
    unsafe { sigaction(signal, action) }
        .with_context(|| format!("installing the handler of {signal}"))
}

/// Returns whether a termination signal was caught.
#[inline(always)]
pub fn is_caught() -> bool {
    CAUGHT.load(Ordering::Relaxed) != 0
}

/// Returns the first termination signal caught.
pub fn caught() -> Option<Signal> {
    Signal::try_from(CAUGHT.load(Ordering::Relaxed)).ok()
}

/// The error of work abandoned because of a signal.
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

/// Fails if a termination signal was caught: for loops outside timed work.
pub fn go_on() -> std::result::Result<(), Interrupted> {
    if is_caught() {
        Err(Interrupted)
    } else {
        Ok(())
    }
}
