//! The whole program, in tests that need root or a system call tracer: mounts, namespaces and
//! injected faults.

#[path = "../common/mod.rs"]
mod common;

mod accounting;
mod backends;
mod cpu;
mod empty_root;
mod faults;
mod fileio;
mod filesystems;
mod forced_shutdown;
mod masked;
mod memory;
mod result_file;
mod suite;
mod sweep;
mod trial;
mod validate;
