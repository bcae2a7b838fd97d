//! `wbench memory`: its options.

use anyhow::Result;
use clap::Args;

use super::Action;
use super::common::{CommonArgs, LimitArgs, measure};
use crate::plan::{FileHandling, MemoryAccess, MemoryOper, MemoryParams, MemoryScope, Test};
use crate::size::Size;

#[derive(Debug, Args)]
#[command(mut_arg("events", |arg| arg.default_value("0")))]
pub(super) struct MemoryArgs {
    /// What an event does with its block
    #[arg(long, value_enum, default_value = "write", value_name = "OPER")]
    oper: MemoryOper,

    /// Block size: bytes accessed per event, a multiple of 4 (K, M, G, T: powers of 1024)
    #[arg(long, default_value = "1K", value_name = "SIZE")]
    block_size: Size,

    /// Stop after this many bytes, summed over all threads
    #[arg(long, default_value = "100G", value_name = "SIZE")]
    total_size: Size,

    /// Whether threads share one block or have one each
    #[arg(long, value_enum, default_value = "global", value_name = "SCOPE")]
    scope: MemoryScope,

    /// Access pattern within the block
    #[arg(long, value_enum, default_value = "seq", value_name = "ACCESS")]
    access: MemoryAccess,

    /// Allocate the block from the huge page pool
    #[arg(long)]
    hugetlb: bool,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    common: CommonArgs,
}

impl MemoryArgs {
    pub(super) fn into_action(self) -> Result<Action> {
        let params = MemoryParams {
            block_size_bytes: self.block_size.0,
            total_size_bytes: self.total_size.0,
            oper: self.oper,
            scope: self.scope,
            access: self.access,
            hugetlb: self.hugetlb,
            equal_shares: false,
        };
        let test = Test::Memory(params.validated()?);
        let limits = self.limits.limits();
        let (plan, output) = self.common.into_plan(test, limits, None)?;
        Ok(measure(plan, FileHandling::AsTheyAre, output))
    }
}
