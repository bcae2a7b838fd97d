//! Parameters of the latency test: the cycle that dependent loads follow.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::size::Size;

/// Size of a cache line: that of every x86-64 CPU, and of most 64-bit Arm CPUs.
pub const CHASE_LINE_BYTES: u64 = 64;

/// Loads per event, of which each needs the result of the one before. An event continues where the
/// thread's last one ended. In the L1 cache they take about 20 µs, a thousand times the harness; in
/// memory about 2 ms, so that an event ends soon after the time limit.
pub const CHASE_LOADS: u64 = 16384;

/// The cycle of loads through a block: it visits each of its lines once before it repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChaseParams {
    /// The cycle has one line in each stride of this size, a power of two. 64: all lines.
    pub stride_bytes: u64,
    /// The lines in a window of this size, a multiple of the stride, are all visited before those of
    /// the next window, in random order; so are the windows. The block size: one window.
    pub window_bytes: u64,
}

impl ChaseParams {
    /// Number of lines in the cycle through a block.
    pub fn lines(&self, block_size_bytes: u64) -> u64 {
        block_size_bytes / self.stride_bytes
    }

    /// Number of lines in a window.
    pub fn window_lines(&self) -> u64 {
        self.window_bytes / self.stride_bytes
    }

    /// Describes the loads without the block.
    pub(super) fn title(&self) -> String {
        match self.stride_bytes {
            CHASE_LINE_BYTES => "dependent loads".to_owned(),
            stride => format!("dependent loads of one line per {}", Size(stride)),
        }
    }

    /// Checks the sizes.
    ///
    /// Fails if the stride is not a power of two or smaller than a line, or if block or window are not
    /// a multiple of it.
    pub(super) fn check(&self, block_size_bytes: u64) -> Result<()> {
        let stride = self.stride_bytes;
        ensure!(
            stride.is_power_of_two() && stride >= CHASE_LINE_BYTES,
            "invalid stride {}: expected a power of two, at least {CHASE_LINE_BYTES}",
            Size(stride)
        );
        for (name, size) in [
            ("memory block size", block_size_bytes),
            ("window", self.window_bytes),
        ] {
            ensure!(
                size > 0 && size.is_multiple_of(stride),
                "invalid {name} {}: expected a multiple of the stride, {}, for a chase",
                Size(size),
                Size(stride)
            );
        }
        ensure!(
            self.window_bytes <= block_size_bytes,
            "invalid window {}: larger than the block of {}",
            Size(self.window_bytes),
            Size(block_size_bytes)
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stride_bytes: u64, window_bytes: u64, block: u64) -> Result<(), String> {
        let params = ChaseParams {
            stride_bytes,
            window_bytes,
        };
        params.check(block).map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_that_do_not_fit_together_are_refused_with_the_one_that_is_wrong() {
        for (stride, window, block, wrong) in [
            (32, 4096, 4096, "stride 32"),
            (96, 4096, 4096, "stride 96"),
            (0, 4096, 4096, "stride 0"),
            (64, 4096, 4100, "block size 4100"),
            (8192, 8192, 4096, "block size 4K"),
            (64, 0, 4096, "window 0"),
            (4096, 6000, 8192, "window 6000"),
            (64, 8192, 4096, "window 8K: larger"),
        ] {
            let error = check(stride, window, block).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
        for (stride, window, block) in
            [(64, 64, 64), (64, 4096, 4096 * 3 + 64), (4096, 8192, 20480)]
        {
            assert_eq!(check(stride, window, block), Ok(()));
        }
    }

    #[test]
    fn a_cycle_has_one_line_per_stride() {
        let params = ChaseParams {
            stride_bytes: 4096,
            window_bytes: 16384,
        };
        assert_eq!((params.lines(1 << 20), params.window_lines()), (256, 4));
    }
}
