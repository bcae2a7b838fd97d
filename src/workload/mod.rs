//! The work that is measured. A workload never prints.

mod cache_padded;
pub mod claims;
pub mod cpu;
pub mod empty;
pub mod fileio;
pub mod memory;
pub mod mutex;
pub mod threads;
