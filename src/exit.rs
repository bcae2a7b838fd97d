//! Exit statuses, all in one place.

use std::process::ExitCode;

use nix::sys::signal::Signal;

use crate::result::{EndedBy, RunResult, Status};
use crate::signal;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: what was asked for was done.
    Success,
    /// 1: it was not.
    Failure,
    /// 2: the words of the native command line can't be understood.
    Usage,
    /// 2: a run hung and was given up (sysbench 0.4.12's `--forced-shutdown`).
    ForcedShutdown,
    /// 2: a comparison could not be told from what was given.
    Untold,
    /// 128 and the signal's number: the run was interrupted, and told what it had.
    Signal(Signal),
}

impl Exit {
    /// The end that a result stands for.
    pub fn of(result: &RunResult) -> Self {
        match (result.ended_by, result.status) {
            (EndedBy::ForcedShutdown, _) => Self::ForcedShutdown,
            (_, Status::Complete) => Self::Success,
            (_, Status::Interrupted) => Self::interrupted(),
            (_, Status::Failed) => Self::Failure,
        }
    }

    /// The end of something that a signal stopped.
    pub fn interrupted() -> Self {
        signal::caught().map_or(Self::Failure, Self::Signal)
    }

    /// As the process returns it.
    pub fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage | Self::ForcedShutdown | Self::Untold => 2,
            Self::Signal(signal) => 128 + signal as u8,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.status().into()
    }
}
