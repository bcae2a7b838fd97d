//! `wbench memory`: its options.

use anyhow::{Result, ensure};
use clap::Args;

use super::Action;
use super::block_sizes::BlockSizes;
use super::common::{CommonArgs, LimitArgs, Output, measure};
use crate::plan::{
    CHASE_LINE_BYTES, ChaseParams, FileHandling, MemoryAccess, MemoryOper, MemoryParams,
    MemoryScope, Pages, RunPlan, Test,
};
use crate::size::Size;

#[derive(Debug, Args)]
#[command(mut_arg("events", |arg| arg.default_value("0")))]
pub(super) struct MemoryArgs {
    /// What an event does with its block
    #[arg(long, value_enum, default_value = "write", value_name = "OPER")]
    oper: MemoryOper,

    /// Block size, a multiple of 4 (K, M, G, T: powers of 1024); several as a list, or as a range that
    /// doubles: 4K..256M
    #[arg(long, default_value = "1K", value_name = "SIZES")]
    block_size: BlockSizes,

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

    /// Allocate the block from the pool of huge pages of the default size
    #[arg(long)]
    hugetlb: bool,

    /// Pages below the blocks, confirmed after the run [default: by the kernel's policy]
    #[arg(long, value_enum, value_name = "PAGES", conflicts_with = "hugetlb")]
    pages: Option<Pages>,

    /// With chase: load one line per 4K, or --stride, then as many packed lines; the difference is the
    /// cost of page walks
    #[arg(long)]
    walk_cost: bool,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    common: CommonArgs,
}

impl MemoryArgs {
    /// Returns the parameters of the chase; None for another operation.
    ///
    /// Fails if an option was given that the operation does not have.
    fn chase(&self, block_size: Size) -> Result<Option<ChaseParams>> {
        if self.oper != MemoryOper::Chase {
            ensure!(
                self.stride.is_none() && self.window.is_none() && !self.walk_cost,
                "--stride, --window and --walk-cost require --oper chase"
            );
            return Ok(None);
        }
        ensure!(
            self.access.is_none(),
            "--access does not apply to --oper chase, which is random; use --window to change its \
             locality"
        );
        let stride = match self.walk_cost {
            true => WALK_STRIDE,
            false => CHASE_LINE_BYTES,
        };
        Ok(Some(ChaseParams {
            stride_bytes: self.stride.map_or(stride, |stride| stride.0),
            window_bytes: self.window.unwrap_or(block_size).0,
        }))
    }

    fn params(&self, block_size: Size) -> Result<MemoryParams> {
        ensure!(
            self.total_size.0 > 0,
            "invalid total memory size 0: expected at least 1"
        );
        let chase = self.chase(block_size)?;
        let access = match chase {
            Some(_) => MemoryAccess::Rnd,
            None => self.access.unwrap_or(MemoryAccess::Seq),
        };
        MemoryParams {
            block_size_bytes: block_size.0,
            total_size_bytes: self.total_size.0,
            oper: self.oper,
            scope: self.scope,
            access,
            hugetlb: self.hugetlb,
            pages: self.pages,
            equal_shares: false,
            chase,
        }
        .validated()
    }

    pub(super) fn into_action(self) -> Result<Action> {
        let sizes = self.block_size.0.iter();
        let tests: Vec<_> = sizes
            .map(|&size| self.params(size))
            .collect::<Result<_>>()?;
        let is_series = tests.len() > 1 || self.walk_cost;
        let first = Test::Memory(tests[0].clone());
        let (plan, output) = self.common.into_plan(first, self.limits.limits(), None)?;
        if !is_series {
            return Ok(measure(plan, FileHandling::AsTheyAre, output));
        }
        let with = |params: MemoryParams| RunPlan {
            test: Test::Memory(params),
            ..plan.clone()
        };
        let mut points: Vec<_> = tests
            .into_iter()
            .map(|params| SeriesPoint {
                packed: self.walk_cost.then(|| with(params.packed())),
                plan: with(params),
            })
            .collect();
        // Only the first run waits for the start time.
        let plans = points
            .iter_mut()
            .flat_map(|point| point.packed.iter_mut().chain([&mut point.plan]));
        plans.skip(1).for_each(|plan| plan.start_at = None);
        Ok(Action::Series(Box::new(SeriesJob { points, output })))
    }
}

/// Default stride of a chase that measures the cost of page walks: a base page.
const WALK_STRIDE: u64 = 4096;

/// The memory test with several block sizes, or with its reference for the cost of page walks.
#[derive(Debug)]
pub struct SeriesJob {
    /// What to measure, in this order.
    pub points: Vec<SeriesPoint>,
    /// Where the results go.
    pub output: Output,
}

/// One block size of a series.
#[derive(Debug)]
pub struct SeriesPoint {
    /// Run before, a chase through as many packed lines; None without --walk-cost.
    pub packed: Option<RunPlan>,
    /// The run.
    pub plan: RunPlan,
}
