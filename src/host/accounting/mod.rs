//! Accounting: where the time of the worker threads went, from counters that the kernel keeps
//! without root and without any cost to the threads.
//!
//! Each thread reads its own counters before and after its loop ([`thread`]). The main thread
//! reads those of the machine and of the control groups just before the start and just after the
//! end ([`system`]). [`budget`] derives the components from both.

mod budget;
mod cpus;
mod device;
mod pressure;
mod system;
mod thread;
mod throttling;

pub use budget::time_budget;
pub(super) use cpus::ticks_per_second;
pub use system::{SystemActivity, SystemCounters, SystemReading};
pub use thread::{ReadyThread, StartedThread, ThreadActivity, thread_cpu_time};
