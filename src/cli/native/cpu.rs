//! `wbench cpu`: its options.

use std::num::NonZeroU64;

use anyhow::Result;
use clap::Args;

use super::Action;
use super::common::{CommonArgs, LimitArgs, measure};
use super::numbers::positive;
use crate::plan::{CpuBound, CpuParams, FileHandling, Test};

#[derive(Debug, Args)]
#[command(
    mut_arg("events", |arg| arg.default_value("10000")),
    mut_arg("time", |arg| arg.default_value("0")),
)]
pub(super) struct CpuArgs {
    /// In each event, test all numbers from 3 to N - 1 for primality
    #[arg(long, default_value = "20000", value_name = "N", value_parser = positive::<NonZeroU64>)]
    max_prime: NonZeroU64,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    common: CommonArgs,
}

impl CpuArgs {
    pub(super) fn into_action(self) -> Result<Action> {
        let test = Test::Cpu(CpuParams {
            max_prime: self.max_prime,
            bound: CpuBound::Integer,
        });
        let limits = self.limits.limits();
        let (plan, output) = self.common.into_plan(test, limits, None)?;
        Ok(measure(plan, FileHandling::AsTheyAre, output))
    }
}
