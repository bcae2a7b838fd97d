//! `wbench threads`: its options.

use std::num::NonZeroU32;

use anyhow::Result;
use clap::Args;

use super::Action;
use super::common::{CommonArgs, LimitArgs, measure};
use super::numbers::{positive, whole};
use crate::plan::{FileHandling, Test, ThreadsParams};

#[derive(Debug, Args)]
#[command(
    mut_arg("events", |arg| arg.default_value("10000")),
    mut_arg("time", |arg| arg.default_value("0")),
)]
pub(super) struct ThreadsArgs {
    /// In each event, lock a mutex, yield the CPU and unlock the mutex N times
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = whole::<u64>)]
    yields: u64,

    /// Mutexes that the events lock in turn
    #[arg(long, default_value = "8", value_name = "N", value_parser = positive::<NonZeroU32>)]
    locks: NonZeroU32,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    common: CommonArgs,
}

impl ThreadsArgs {
    pub(super) fn into_action(self) -> Result<Action> {
        let test = Test::Threads(ThreadsParams {
            yields: self.yields,
            locks: self.locks,
        });
        let limits = self.limits.limits();
        let (plan, output) = self.common.into_plan(test, limits, None)?;
        Ok(measure(plan, FileHandling::AsTheyAre, output))
    }
}
