//! The whole program, in tests that need root or a system call tracer: mounts, namespaces and
//! injected faults.

#[path = "../common/mod.rs"]
mod common;

mod faults;
mod filesystems;
