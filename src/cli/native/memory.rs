//! `wbench memory`: its options.

use anyhow::{Result, ensure};
use clap::Args;

use super::Action;
use super::common::{CommonArgs, LimitArgs, measure};
use crate::plan::{
    CHASE_LINE_BYTES, ChaseParams, FileHandling, MemoryAccess, MemoryOper, MemoryParams,
    MemoryScope, Test,
};
use crate::size::Size;

#[derive(Debug, Args)]
#[command(mut_arg("events", |arg| arg.default_value("0")))]
pub(super) struct MemoryArgs {
    /// What an event does with its block
    #[arg(long, value_enum, default_value = "write", value_name = "OPER")]
    oper: MemoryOper,

    /// Block size, a multiple of 4 (K, M, G, T: powers of 1024)
    #[arg(long, default_value = "1K", value_name = "SIZE")]
    block_size: Size,

    /// Stop after this many bytes, summed over all threads; each load of a chase counts as 64
    #[arg(long, default_value = "100G", value_name = "SIZE")]
    total_size: Size,

    /// Whether threads share one block or have one each
    #[arg(long, value_enum, default_value = "global", value_name = "SCOPE")]
    scope: MemoryScope,

    /// Access pattern within the block; not for chase, which is random [default: seq]
    #[arg(long, value_enum, value_name = "ACCESS", hide_default_value = true)]
    access: Option<MemoryAccess>,

    /// With chase: load one line in each stride of this size, a power of two [default: 64]
    #[arg(long, value_name = "SIZE")]
    stride: Option<Size>,

    /// With chase: visit all lines in a window of this size, a multiple of the stride, before those of the
    /// next window [default: the block size]
    #[arg(long, value_name = "SIZE")]
    window: Option<Size>,

    /// Allocate the block from the huge page pool
    #[arg(long)]
    hugetlb: bool,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    common: CommonArgs,
}

impl MemoryArgs {
    /// Parameters of the chase; None for another operation.
    ///
    /// Fails if an option was given that the operation does not have.
    fn chase(&self) -> Result<Option<ChaseParams>> {
        if self.oper != MemoryOper::Chase {
            ensure!(
                self.stride.is_none() && self.window.is_none(),
                "--stride and --window require --oper chase"
            );
            return Ok(None);
        }
        ensure!(
            self.access.is_none(),
            "--access does not apply to --oper chase, which is random; use --window to change its \
             locality"
        );
        Ok(Some(ChaseParams {
            stride_bytes: self.stride.map_or(CHASE_LINE_BYTES, |stride| stride.0),
            window_bytes: self.window.unwrap_or(self.block_size).0,
        }))
    }

    pub(super) fn into_action(self) -> Result<Action> {
        let chase = self.chase()?;
        let access = match chase {
            Some(_) => MemoryAccess::Rnd,
            None => self.access.unwrap_or(MemoryAccess::Seq),
        };
        let params = MemoryParams {
            block_size_bytes: self.block_size.0,
            total_size_bytes: self.total_size.0,
            oper: self.oper,
            scope: self.scope,
            access,
            hugetlb: self.hugetlb,
            equal_shares: false,
            chase,
        };
        let test = Test::Memory(params.validated()?);
        let limits = self.limits.limits();
        let (plan, output) = self.common.into_plan(test, limits, None)?;
        Ok(measure(plan, FileHandling::AsTheyAre, output))
    }
}
