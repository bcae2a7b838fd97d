//! wbench measures cpu, memory and file I/O the same way on bare metal, in VMs and in
//! containers.
//!
//! The way of the data is one line: words ([`cli`]) become a [`plan`]; the [`engine`] runs a
//! [`workload`] under a [`clock`]; what was measured ([`measure`]) becomes a [`result`]
//! document ([`run`]), which also tells of the [`host`]; and that becomes text ([`report`]) or
//! a file. Several plans make a [`suite`]; the results of a long job are kept while it goes on
//! ([`journal`]). Many result files become a comparison ([`compare`]). A [`session`] goes this
//! way for each of the two command lines.

pub mod beneath;
pub mod cli;
pub mod clock;
pub mod compare;
pub mod descriptors;
pub mod engine;
pub mod exit;
pub mod harness;
pub mod host;
pub mod journal;
pub mod measure;
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
pub mod warning;
mod window;
pub mod workload;
