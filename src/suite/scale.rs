//! Scaling of a plan for a quick trial.

use anyhow::Result;

use crate::plan::{FileSet, Limits, RunPlan, Test};

/// Shortest scaled time limit, in seconds.
const SHORTEST_S: f64 = 0.001;

/// Multiplies the plan's times, events, totals and files by a factor of at most 1.
///
/// Sizes stay multiples of the block size, at least one block per file; at least one event stays.
pub(super) fn scaled(plan: &RunPlan, factor: f64) -> Result<RunPlan> {
    let mut plan = plan.clone();
    if factor == 1.0 {
        return Ok(plan);
    }
    plan.limits = Limits {
        max_time_s: plan.limits.max_time_s.map(|s| (s * factor).max(SHORTEST_S)),
        max_requests: plan.limits.max_requests.map(|n| part(n, factor, 1)),
        ..plan.limits
    };
    match (&mut plan.test, &mut plan.files) {
        (Test::Cpu(_), _) | (Test::Fileio(_), None) => {}
        (Test::Memory(memory), _) => {
            memory.total_size_bytes =
                part(memory.total_size_bytes, factor, memory.block_size_bytes);
        }
        (Test::Fileio(params), Some(files)) => {
            let set = files.set;
            let file_size = part(set.file_size, factor, params.request_size());
            // A merged request may be larger than the whole original file.
            let file_size = file_size.min(set.file_size);
            let total = file_size * u64::from(set.files.get());
            files.set = FileSet::new(total, set.files, set.block_size)?;
            *params = params.clone().validated(files.set)?;
        }
    }
    Ok(plan)
}

/// Scales a number to a multiple of `unit`, at least one unit.
fn part(number: u64, factor: f64, unit: u64) -> u64 {
    // Beyond 2^53 the product is not exact to the unit, which does not matter.
    let units = (number as f64 * factor / unit as f64) as u64;
    units.max(1).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::native::options;
    use proptest::prelude::*;

    fn plan(test: &str, options: &[(&str, &str)]) -> RunPlan {
        let options: Vec<_> = options.iter().map(|(k, v)| (*k, Some(*v))).collect();
        options::plan(test, &options).unwrap()
    }

    #[test]
    fn the_study_scales_to_a_hundredth() {
        let cpu = scaled(&plan("cpu", &[]), 0.01).unwrap();
        assert_eq!(cpu.limits.max_requests, Some(100));
        assert_eq!(cpu.test, plan("cpu", &[]).test);
        let memory = scaled(&plan("memory", &[]), 0.01).unwrap();
        let Test::Memory(params) = memory.test else {
            panic!()
        };
        assert_eq!(params.total_size_bytes, (100 << 30) / 100 / 1024 * 1024);
        assert_eq!(memory.limits.max_time_s, Some(3.0));
        let seqrd = scaled(&plan("fileio", &[("mode", "seqrd")]), 0.01).unwrap();
        let set = seqrd.files.unwrap().set;
        assert_eq!((set.files.get(), set.file_size), (128, 163 * 4096));
        let Test::Fileio(params) = seqrd.test else {
            panic!()
        };
        assert_eq!(params.total_size_bytes, 128 * 163 * 4096);
    }

    #[test]
    fn a_factor_of_1_leaves_the_plan_unchanged() {
        for plan in [plan("cpu", &[]), plan("fileio", &[("mode", "rndrw")])] {
            assert_eq!(scaled(&plan, 1.0).unwrap(), plan);
        }
    }

    proptest! {
        #[test]
        fn scaled_sizes_are_whole_blocks_and_never_larger_than_before(
            factor in 1e-9f64..1.0, files in 1u32..300, blocks in 1u64..300, merged in 0u32..9,
            block in 1u64..64,
        ) {
            let block = block * 512;
            let total = block * blocks * u64::from(files);
            let [files, total, block, merged] =
                [files.to_string(), total.to_string(), block.to_string(), merged.to_string()];
            let before = plan("fileio", &[
                ("mode", "seqrd"), ("files", &files), ("total-size", &total),
                ("block-size", &block), ("merged-requests", &merged),
            ]);
            let after = scaled(&before, factor).unwrap();
            let (before, set) = (before.files.unwrap().set, after.files.unwrap().set);
            prop_assert!(set.file_size >= set.block_size && set.file_size <= before.file_size);
            prop_assert_eq!((set.file_size % set.block_size, set.lost), (0, 0));
            prop_assert_eq!(set.files, before.files);
        }
    }
}
