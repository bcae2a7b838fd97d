//! The program in a virtual machine, under QEMU's emulation, and in a container, by runc: what
//! starts it there, what it says of where it is, its clock, and that it does the same work.

#[path = "../common/mod.rs"]
mod common;

#[path = "../packaged/mod.rs"]
mod packaged;

mod clock;
mod container;
mod detection;
mod lab;
mod launcher;
mod machine;
mod package;
mod storage;
