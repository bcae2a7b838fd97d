//! wbench together with other programs: orchestration tools, a browser, SciPy.

#[path = "../common/mod.rs"]
mod common;

mod ansible;
mod compare_logs;
mod compare_page;
mod compare_stats;
mod kubernetes;
mod rally;
mod slurm;
mod sysbench_1_0;
mod trial_stats;
