//! Memory of the memory test, and its latency.

use serde::{Deserialize, Serialize};

use super::{Accounting, Latency, RunResult, Status};
use crate::plan::{CHASE_LOADS, Test};

/// Pages below the blocks of the memory test at the end of the run, as the kernel reports them
/// (smaps). Unknown values are null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlockMemory {
    /// Memory of all blocks, in whole pages.
    pub mapped_bytes: Option<u64>,
    /// Size of a page of the mapping (KernelPageSize): a base page, or a page of a pool.
    pub page_bytes: Option<u64>,
    /// Memory of the blocks that is in transparent huge pages (AnonHugePages).
    pub huge_bytes: Option<u64>,
    /// Memory of the blocks that could be in transparent huge pages, by its alignment.
    pub huge_possible_bytes: Option<u64>,
    /// Memory of the blocks that is in swap space.
    pub swapped_bytes: Option<u64>,
}

/// Latency of memory: of the dependent loads of `oper` "chase".
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LoadLatency {
    /// Number of lines in the cycle through a block.
    pub lines: u64,
    /// Loads of an event.
    pub loads_per_event: u64,
    /// Nanoseconds per load in the median event.
    pub median_ns: f64,
    /// Nanoseconds per load in all events.
    pub mean_ns: f64,
    /// Nanoseconds per load in the fastest event.
    pub min_ns: f64,
    /// Cycles per load in the median event, by the mean of the effective clocks before and after the
    /// run; null if these are unknown.
    pub median_cycles: Option<f64>,
    /// Nanoseconds per load of a page walk: `median_ns` less that of a chase through as many packed
    /// lines, measured before; null without --walk-cost.
    #[serde(default)]
    pub walk_ns: Option<f64>,
}

impl LoadLatency {
    /// Returns the latency of the loads of a chase; None for another test, or without events.
    pub fn of(
        test: &Test,
        events: Option<&Latency>,
        accounting: Option<&Accounting>,
    ) -> Option<Self> {
        let params = test.memory()?;
        let lines = params.chase?.lines(params.block_size_bytes);
        let events = events?;
        let per_load = |ns: f64| ns / CHASE_LOADS as f64;
        let median_ns = per_load(events.percentiles.p50 as f64);
        Some(Self {
            lines,
            loads_per_event: CHASE_LOADS,
            median_ns,
            mean_ns: per_load(events.mean),
            min_ns: per_load(events.min as f64),
            median_cycles: accounting.and_then(mean_ghz).map(|ghz| median_ns * ghz),
            walk_ns: None,
        })
    }
}

impl RunResult {
    /// Records what a page walk costs per load, by the result of a chase through as many packed
    /// lines.
    pub fn record_walk_cost(&mut self, packed: &Self) {
        let reference = packed
            .load_latency
            .filter(|_| packed.status == Status::Complete);
        if let (Some(latency), Some(reference)) = (&mut self.load_latency, reference) {
            latency.walk_ns = Some(latency.median_ns - reference.median_ns);
        }
    }
}

/// Returns the mean of the effective clocks before and after a run.
fn mean_ghz(accounting: &Accounting) -> Option<f64> {
    let clocks = accounting.cpu_ghz_before.zip(accounting.cpu_ghz_after);
    clocks.map(|(before, after)| (before + after) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ChaseParams, MemoryAccess, MemoryOper, MemoryParams, MemoryScope};

    fn chase() -> MemoryParams {
        MemoryParams {
            block_size_bytes: 64 << 10,
            total_size_bytes: 1 << 30,
            oper: MemoryOper::Chase,
            scope: MemoryScope::Global,
            access: MemoryAccess::Rnd,
            hugetlb: false,
            equal_shares: false,
            pages: None,
            chase: Some(ChaseParams {
                stride_bytes: 64,
                window_bytes: 64 << 10,
            }),
        }
    }

    fn events() -> Latency {
        let mut histogram = crate::histogram::LatencyHistogram::default();
        for loads_ns in [2, 4, 12] {
            histogram.record(crate::clock::Nanoseconds(loads_ns * CHASE_LOADS));
        }
        Latency::of(&histogram).unwrap()
    }

    #[test]
    fn the_latency_of_a_load_is_that_of_an_event_over_its_loads() {
        let accounting = Accounting {
            cpu_ghz_before: Some(3.0),
            cpu_ghz_after: Some(2.0),
            ..Accounting::default()
        };
        let test = Test::Memory(chase());
        let found = LoadLatency::of(&test, Some(&events()), Some(&accounting)).unwrap();
        assert_eq!((found.lines, found.min_ns, found.mean_ns), (1024, 2.0, 6.0));
        // Percentiles have 3 significant digits.
        assert!((found.median_ns - 4.0).abs() < 0.005, "{found:?}");
        assert_eq!(found.median_cycles, Some(found.median_ns * 2.5));
    }

    #[test]
    fn cycles_are_unknown_without_both_clocks_and_other_operations_have_no_latency() {
        let accounting = Accounting {
            cpu_ghz_before: Some(3.0),
            ..Accounting::default()
        };
        let test = Test::Memory(chase());
        let found = LoadLatency::of(&test, Some(&events()), Some(&accounting)).unwrap();
        assert_eq!(found.median_cycles, None);
        assert_eq!(LoadLatency::of(&test, None, None), None);
        let read = Test::Memory(MemoryParams {
            oper: MemoryOper::Read,
            chase: None,
            ..chase()
        });
        assert_eq!(LoadLatency::of(&read, Some(&events()), None), None);
    }
}
