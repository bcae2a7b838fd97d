//! The program in a virtual machine under QEMU's emulation and in a runc container: its launchers,
//! what it reports about its environment, its clock, and that it does the same work.

#[path = "../common/mod.rs"]
mod common;

mod accounting;
mod clock;
mod container;
mod detection;
mod host;
mod lab;
mod launcher;
mod machine;
mod package;
mod storage;
mod sweep;
mod trial;
