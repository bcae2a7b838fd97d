//! Scaling of a plan, for a quick trial.

use std::num::NonZeroU64;

use anyhow::Result;

use super::{FileSet, Limits, MemoryParams, MutexParams, RunPlan, Test};

/// Shortest scaled time limit, in seconds.
const SHORTEST_S: f64 = 0.001;

impl RunPlan {
    /// Multiplies the plan's times, events, totals and files by a factor of at most 1.
    ///
    /// Sizes stay multiples of the block size, at least one block per file; at least one event stays.
    pub fn scaled(&self, factor: f64) -> Result<Self> {
        let mut plan = self.clone();
        if factor == 1.0 {
            return Ok(plan);
        }
        plan.limits = self.limits.scaled(factor);
        plan.warmup = self.warmup.map(|warmup| warmup.mul_f64(factor));
        match (&mut plan.test, &mut plan.files) {
            (Test::Memory(params), _) => *params = params.scaled(factor),
            (Test::Mutex(params), _) => *params = params.scaled(factor),
            (Test::Fileio(params), Some(files)) => {
                files.set = files.set.scaled(factor, params.request_size())?;
                *params = params.clone().validated(files.set)?;
            }
            _ => {}
        }
        Ok(plan)
    }
}

impl Limits {
    fn scaled(self, factor: f64) -> Self {
        Self {
            max_time_s: self.max_time_s.map(|s| (s * factor).max(SHORTEST_S)),
            max_requests: self.max_requests.map(|n| part(n, factor, 1)),
            ..self
        }
    }
}

impl MemoryParams {
    fn scaled(&self, factor: f64) -> Self {
        Self {
            total_size_bytes: part(self.total_size_bytes, factor, self.event_bytes()),
            ..self.clone()
        }
    }
}

impl MutexParams {
    fn scaled(&self, factor: f64) -> Self {
        let locks = part(self.locks.get(), factor, 1);
        Self {
            locks: NonZeroU64::new(locks).unwrap_or(NonZeroU64::MIN),
            ..self.clone()
        }
    }
}

impl FileSet {
    /// Scales each file to whole requests of this size.
    fn scaled(&self, factor: f64, request_size: u64) -> Result<Self> {
        // A merged request may be larger than the whole original file.
        let file_size = part(self.file_size, factor, request_size).min(self.file_size);
        let total = file_size * u64::from(self.files.get());
        Self::new(total, self.files, self.block_size)
    }
}

/// Scales a number to a multiple of `unit`, at least one unit.
fn part(number: u64, factor: f64, unit: u64) -> u64 {
    // Beyond 2^53 the product is not exact to the unit, which does not matter.
    let units = (number as f64 * factor / unit as f64) as u64;
    units.max(1).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_scale_but_never_to_no_limit() {
        let limits = Limits {
            max_time_s: Some(300.0),
            max_requests: Some(10_000),
            forced_shutdown_s: Some(5.0),
        };
        let hundredth = Limits {
            max_time_s: Some(3.0),
            max_requests: Some(100),
            ..limits
        };
        assert_eq!(limits.scaled(0.01), hundredth);
        let least = limits.scaled(1e-9);
        assert_eq!(
            (least.max_time_s, least.max_requests),
            (Some(SHORTEST_S), Some(1))
        );
    }

    proptest! {
        #[test]
        fn scaled_file_sets_are_whole_blocks_and_never_larger_than_before(
            factor in 1e-9f64..1.0, files in 1u32..300, blocks in 1u64..300, merged in 1u64..9,
            block in 1u64..64,
        ) {
            let block = block * 512;
            let total = block * blocks * u64::from(files);
            let before = FileSet::new(total, NonZeroU32::new(files).unwrap(), block).unwrap();
            let set = before.scaled(factor, block * merged).unwrap();
            prop_assert!(set.file_size >= set.block_size && set.file_size <= before.file_size);
            prop_assert_eq!((set.file_size % set.block_size, set.lost), (0, 0));
            prop_assert_eq!(set.files, before.files);
        }
    }
}
