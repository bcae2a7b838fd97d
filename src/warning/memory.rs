//! The pages below the blocks of the memory test.

use std::fmt;

use super::{Code, Reason};
use crate::host;
use crate::result::{BlockMemory, RunResult};
use crate::size::Size;

/// Smallest share of the memory that could be in transparent huge pages, and is, without a warning
/// if the kernel's policy is to use them always.
pub const HUGE_SHARE: f64 = 0.9;

/// Why the blocks may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum MemoryWarning {
    /// The pages have this size in bytes, although pages of the pool were requested.
    NotFromPool(u64),
    /// Only this share of what could be in transparent huge pages is.
    NotHuge {
        /// The share.
        share: f64,
        /// What could be in huge pages, in bytes.
        possible_bytes: u64,
    },
}

impl MemoryWarning {
    /// Returns the warning of a result.
    pub fn of(result: &RunResult) -> Option<Self> {
        let memory = result.memory.as_ref()?;
        let params = result.workload.params.test.memory()?;
        match params.hugetlb {
            true => Self::of_pool(memory, host::base_page_bytes()?),
            false => Self::of_policy(memory, result.host.transparent_hugepage.as_deref()?),
        }
    }

    fn of_pool(memory: &BlockMemory, base_page_bytes: u64) -> Option<Self> {
        let page_bytes = memory.page_bytes?;
        (page_bytes <= base_page_bytes).then_some(Self::NotFromPool(page_bytes))
    }

    fn of_policy(memory: &BlockMemory, policy: &str) -> Option<Self> {
        let possible_bytes = memory.huge_possible_bytes.filter(|&bytes| bytes > 0)?;
        let share = memory.huge_bytes? as f64 / possible_bytes as f64;
        (policy == "always" && share < HUGE_SHARE).then_some(Self::NotHuge {
            share,
            possible_bytes,
        })
    }
}

impl Reason for MemoryWarning {
    fn code(&self) -> Code {
        Code::BlockPages
    }
}

impl fmt::Display for MemoryWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFromPool(page_bytes) => write!(
                f,
                "the blocks are in pages of {}, although --hugetlb requests huge pages: this is \
                 not the speed with huge pages",
                Size(*page_bytes)
            ),
            Self::NotHuge {
                share,
                possible_bytes,
            } => write!(
                f,
                "the kernel's policy is to use transparent huge pages always, but only {:.0} % of \
                 the {} that could be in them are: memory is fragmented, or they are disabled for \
                 this process; another run may be faster",
                share * 100.0,
                Size(*possible_bytes)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(page_bytes: u64, huge_bytes: u64, possible_bytes: u64) -> BlockMemory {
        BlockMemory {
            mapped_bytes: Some(1 << 30),
            page_bytes: Some(page_bytes),
            huge_bytes: Some(huge_bytes),
            huge_possible_bytes: Some(possible_bytes),
            swapped_bytes: Some(0),
        }
    }

    #[test]
    fn base_pages_instead_of_pages_from_the_pool_are_a_warning() {
        let of = |page_bytes| MemoryWarning::of_pool(&memory(page_bytes, 0, 0), 4096);
        assert_eq!(of(4096), Some(MemoryWarning::NotFromPool(4096)));
        assert_eq!(of(2 << 20), None);
        assert_eq!(MemoryWarning::of_pool(&BlockMemory::default(), 4096), None);
    }

    #[test]
    fn missing_huge_pages_are_a_warning_only_if_the_policy_is_to_use_them_always() {
        let possible = 1000 << 20;
        let threshold = (HUGE_SHARE * possible as f64) as u64;
        let of = |huge, policy| MemoryWarning::of_policy(&memory(4096, huge, possible), policy);
        assert_eq!(of(threshold, "always"), None);
        let found = of(threshold - 1, "always").unwrap();
        assert_eq!(found.code(), Code::BlockPages);
        let sentence = found.to_string();
        assert!(sentence.contains("90 % of the 1000M"), "{sentence}");
        for policy in ["madvise", "never"] {
            assert_eq!(of(0, policy), None);
        }
    }

    #[test]
    fn a_block_without_room_for_a_huge_page_gives_no_warning() {
        assert_eq!(
            MemoryWarning::of_policy(&memory(4096, 0, 0), "always"),
            None
        );
        let unknown = BlockMemory::default();
        assert_eq!(MemoryWarning::of_policy(&unknown, "always"), None);
    }
}
