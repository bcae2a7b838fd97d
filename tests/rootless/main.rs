//! The whole program, in tests that need no privileges and no other tools.

#[path = "../common/mod.rs"]
mod common;

mod backends;
mod cli;
mod compare;
mod compare_fuzz;
mod compare_logs;
mod compare_why;
mod cpu;
mod docs;
mod fileio;
mod locks;
mod memory;
mod open_loop;
mod result_file;
mod signals;
mod start_at;
mod static_binary;
mod suite;
mod sweep;
mod sysbench_1_0;
mod sysbench_dialect;
mod trial;
mod trial_replays;
mod validate;
