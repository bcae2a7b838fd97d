//! Restart of the environments between two sessions.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::descriptors::DescriptorLimit;
use crate::signal;
use crate::sweep::process::{ExitedProcess, Inherited, Process, Termination};
use crate::trial::Trial;

/// Poll period for the exit of the command and for signals.
const TICK: Duration = Duration::from_millis(50);

/// Runs the command of `--between` before this session.
pub fn run(trial: &Trial, session: u32, descriptors: DescriptorLimit) -> Result<()> {
    let Some(command) = &trial.between else {
        return Ok(());
    };
    let about = || {
        format!(
            "cannot begin session {session}: --between '{}'",
            command.typed()
        )
    };
    let inherited = Inherited {
        descriptors,
        cpus: None,
    };
    let process = Process::start(command.args(), inherited).with_context(about)?;
    let exited = wait(process).with_context(about)?;
    signal::go_on()?;
    ensure!(
        exited.status.success(),
        "{} failed: {}; end of standard error: {}",
        about(),
        exited.describe(),
        exited.stderr
    );
    Ok(())
}

/// Waits for a process, and ends it after a signal.
fn wait(mut process: Process) -> Result<ExitedProcess> {
    loop {
        process.read();
        if let Some(exited) = process.try_wait()? {
            return Ok(exited);
        }
        if signal::is_caught() {
            process.terminate(Termination::SweepEnds);
        }
        let outputs = process.outputs();
        let mut outputs: Vec<_> = outputs
            .map(|output| PollFd::new(output, PollFlags::POLLIN))
            .collect();
        // An error is a signal, for which the next turn checks.
        let _ = poll(&mut outputs, PollTimeout::from(TICK.as_millis() as u16));
    }
}
