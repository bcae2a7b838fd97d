//! `wbench mutex`: its options.

use std::num::{NonZeroU32, NonZeroU64};

use anyhow::Result;
use clap::Args;

use super::Action;
use super::common::{CommonArgs, measure};
use super::numbers::{positive, whole};
use crate::plan::{FileHandling, Limits, MutexParams, Test};

#[derive(Debug, Args)]
pub(super) struct MutexArgs {
    /// Mutexes that all threads share
    #[arg(long, default_value = "4096", value_name = "N", value_parser = positive::<NonZeroU32>)]
    mutexes: NonZeroU32,

    /// Locks per thread, each of a mutex chosen at random; a thread's locks are one event
    #[arg(long, default_value = "50000", value_name = "N", value_parser = positive::<NonZeroU64>)]
    locks: NonZeroU64,

    /// Iterations of an empty loop before each lock
    #[arg(long, default_value_t = 10000, value_name = "N", value_parser = whole::<u64>)]
    loops: u64,

    #[command(flatten)]
    common: CommonArgs,
}

impl MutexArgs {
    pub(super) fn into_action(self) -> Result<Action> {
        let test = Test::Mutex(MutexParams {
            mutexes: self.mutexes,
            locks: self.locks,
            loops: self.loops,
        });
        let (plan, output) = self.common.into_plan(test, Limits::default(), None)?;
        Ok(measure(plan, FileHandling::AsTheyAre, output))
    }
}
