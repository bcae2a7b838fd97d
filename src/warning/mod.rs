//! Every reason why a number may mislead: a stable code, a threshold if there is one, and a
//! sentence.
//!
//! [`Code`] lists them all; each has a row in the manual. The reasons themselves are in one file
//! per subject, with the logic that detects them.

mod budget;
mod clock;
mod code;
mod comparison;
mod cpu_clock;
mod device;
mod host;
mod memory;
mod run;
mod storage;

use std::fmt;
use std::path::Path;

use crate::plan::RunPlan;
use crate::result::{ClockInfo, Host, RunResult, Storage, Warning};

pub use budget::{BLOCKED_SHARE, BudgetWarning, RUNQUEUE_WAIT_SHARE, THROTTLED_SHARE};
pub use clock::{ClockWarning, DRIFT_PPM, drift_above_threshold};
pub use code::Code;
pub use comparison::{ComparisonWarning, DoubtfulField};
pub use cpu_clock::{CPU_CLOCK_CHANGE, CpuClockWarning};
pub use device::{DEVICE_EXCESS_BYTES, DEVICE_EXCESS_SHARE, DeviceWarning, IO_LIMIT_SHARE};
pub use host::{HostWarning, STEAL_SHARE, steal_share};
pub use memory::{HUGE_SHARE, MemoryWarning};
pub use run::{HARNESS_SHARE, LATE_S, RATE_SHARE, RunWarning};
pub use storage::{RESIDENT_SHARE, StorageWarning, UNFLUSHED_SHARE};

/// A reason why a number may mislead. Its `Display` is the sentence of the warning.
pub trait Reason: fmt::Display {
    /// Its stable code.
    fn code(&self) -> Code;
}

impl<R: Reason> From<R> for Warning {
    fn from(reason: R) -> Self {
        Self {
            code: reason.code().as_str().into(),
            message: reason.to_string(),
        }
    }
}

/// Returns the warnings of a result that the plan gave.
pub fn of_result(result: &RunResult, plan: &RunPlan) -> Vec<Warning> {
    let threads = result.workload.threads as usize;
    let host = HostWarning::before(&result.host, threads)
        .into_iter()
        .chain(HostWarning::of_memory(&result.host, &plan.test, threads))
        .map(Warning::from);
    let budget = BudgetWarning::of(result);
    // One warning about steal time: that of the worker threads, if there is any.
    let is_stolen = budget.iter().any(|it| it.code() == Code::Steal);
    let machine = HostWarning::of_steal(result).filter(|_| !is_stolen);
    let cpu_clock = result.accounting.as_ref().and_then(CpuClockWarning::of);
    host.chain(machine.map(Warning::from))
        .chain(budget.into_iter().map(Warning::from))
        .chain(cpu_clock.map(Warning::from))
        .chain(MemoryWarning::of(result).map(Warning::from))
        .chain(ClockWarning::of(&result.clock).map(Warning::from))
        .chain(StorageWarning::of_result(result).map(Warning::from))
        .chain(DeviceWarning::of(result).into_iter().map(Warning::from))
        .chain(RunWarning::of(result, plan).map(Warning::from))
        .collect()
}

/// Returns the warnings of an environment before any run. `direct_io` says whether O_DIRECT works
/// in the directory; None if no file can be created there.
pub fn of_environment(
    host: &Host,
    clock: &ClockInfo,
    storage: &Storage,
    dir: &Path,
    direct_io: Option<bool>,
) -> Vec<Warning> {
    let host = HostWarning::before(host, host.cpus as usize).into_iter();
    let directory = StorageWarning::of_directory(dir, direct_io)
        .into_iter()
        .chain(StorageWarning::of_filesystem(storage));
    host.map(Warning::from)
        .chain(ClockWarning::of(clock).map(Warning::from))
        .chain(directory.map(Warning::from))
        .collect()
}
