//! Signals that ask for the end, as a request that the running work sees between two steps.

use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context, Result};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Signals that end the work in order: it reports what it has and removes what it made.
const ENDING: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// The first signal that came, 0 for none.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" fn catch(number: libc::c_int) {
    // Only the first counts, so that the exit status says what began the end.
    let _ = CAUGHT.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
}

extern "C" fn pass_over(_number: libc::c_int) {}

/// From here on the signals that ask for the end no longer end the process, but show in
/// [`caught`].
///
/// SIGHUP stays ignored in a process that was started so, as by nohup(1).
pub fn watch() -> Result<()> {
    for signal in ENDING {
        let previous = handle(signal, catch)?;
        if signal == Signal::SIGHUP && matches!(previous.handler(), SigHandler::SigIgn) {
            install(signal, &previous)?;
        }
    }
    Ok(())
}

/// From here on a write beyond the file size limit (`ulimit -f`) fails with EFBIG, which is
/// reported, and no longer ends the process.
///
/// By a handler: an ignored signal would stay ignored in the programs that this one starts.
pub fn survive_size_limit() -> Result<()> {
    handle(Signal::SIGXFSZ, pass_over).map(drop)
}

/// Installs a handler that may run at any moment: it touches at most an atomic integer.
fn handle(signal: Signal, handler: extern "C" fn(libc::c_int)) -> Result<SigAction> {
    let action = SigAction::new(
        SigHandler::Handler(handler),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    install(signal, &action)
}

/// Installs an action, and returns the previous one.
fn install(signal: Signal, action: &SigAction) -> Result<SigAction> {
    // SAFETY: the action is one of this module's handlers, which are async-signal-safe, or the one
    // that the process was started with.
    unsafe { sigaction(signal, action) }
        .with_context(|| format!("installing the handler of {signal}"))
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
