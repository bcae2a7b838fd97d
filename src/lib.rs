//! wbench measures cpu, memory and file I/O the same way on bare metal, in VMs and in
//! containers.
//!
//! Data flows one way: arguments ([`cli`]) become a [`plan`]; the [`engine`] runs a [`workload`]
//! under a [`clock`]; the statistics become a [`result`] document ([`run`]), which
//! also describes the [`host`]; and that becomes text ([`report`]) or a file. Several plans form a
//! [`suite`]; a long job keeps its results in a [`journal`]. Many result files become a comparison
//! ([`compare`]). A [`session`] drives this for each command line.

pub mod beneath;
pub mod cli;
pub mod clock;
pub mod compare;
pub mod descriptors;
pub mod engine;
pub mod error;
pub mod exit;
pub mod format;
pub mod harness;
pub mod histogram;
pub mod host;
pub mod journal;
mod lock_holder;
pub mod output;
pub mod plan;
pub mod report;
pub mod result;
pub mod resume;
pub mod run;
pub mod session;
pub mod signal;
pub mod size;
pub mod start;
pub mod suite;
pub mod sweep;
pub mod terminal;
pub mod trial;
pub mod warning;
mod window;
pub mod workload;
