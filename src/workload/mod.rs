//! The work that is measured. A workload never prints.

pub mod claims;
pub mod cpu;
pub mod empty;
pub mod fileio;
pub mod memory;
