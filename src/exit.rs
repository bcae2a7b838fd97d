//! Exit statuses of the program.

use std::process::ExitCode;

use nix::sys::signal::Signal;

use crate::result::{EndedBy, RunResult, Status};
use crate::signal;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: the command succeeded.
    Success,
    /// 1: the command failed.
    Failure,
    /// 2: the arguments of the native command line are invalid.
    Usage,
    /// 2: a run hung and was abandoned (sysbench 0.4.12's `--forced-shutdown`).
    ForcedShutdown,
    /// 2: a comparison was inconclusive.
    Inconclusive,
    /// 128 + signal number: the run was interrupted and reported its partial result.
    Signal(Signal),
}

impl Exit {
    /// Returns the exit status of a result.
    pub fn of(result: &RunResult) -> Self {
        match (result.ended_by, result.status) {
            (EndedBy::ForcedShutdown, _) => Self::ForcedShutdown,
            (_, Status::Complete) => Self::Success,
            (_, Status::Interrupted) => Self::interrupted(),
            (_, Status::Failed) => Self::Failure,
        }
    }

    /// Returns the exit status of work that a signal stopped.
    pub fn interrupted() -> Self {
        signal::caught().map_or(Self::Failure, Self::Signal)
    }

    /// Returns the numeric exit status of the process.
    pub fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage | Self::ForcedShutdown | Self::Inconclusive => 2,
            Self::Signal(signal) => 128 + signal as u8,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.status().into()
    }
}
