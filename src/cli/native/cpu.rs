//! `wbench cpu`: its options.

use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::Command;
use super::common::{CommonArgs, limits, measure, seconds};
use super::numbers::{positive, whole};
use crate::plan::{CpuParams, FileHandling, Test};

#[derive(Debug, Args)]
pub(super) struct CpuArgs {
    /// In each event, test all numbers from 3 to N - 1 for primality
    #[arg(long, default_value = "20000", value_name = "N", value_parser = positive::<NonZeroU64>)]
    max_prime: NonZeroU64,

    /// Stop after N events, summed over all threads; 0 = no limit
    #[arg(long, default_value_t = 10000, value_name = "N", value_parser = whole::<u64>)]
    events: u64,

    /// Stop after this many seconds; 0 = no limit
    #[arg(long, default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    time: Duration,

    #[command(flatten)]
    common: CommonArgs,
}

impl CpuArgs {
    pub(super) fn into_command(self) -> Result<Command> {
        let test = Test::Cpu(CpuParams {
            max_prime: self.max_prime,
        });
        let limits = limits(self.time, self.events);
        let (plan, output) = self.common.into_plan(test, limits, None)?;
        Ok(measure(plan, FileHandling::AsTheyAre, output))
    }
}
