//! The pages below the blocks of the memory test.

use std::fmt;

use super::{Code, Reason};
use crate::host;
use crate::plan::PageSource;
use crate::result::{BlockMemory, RunResult};
use crate::size::Size;

/// Smallest share of the memory that could be in transparent huge pages, and is, without a warning
/// if they are requested or the kernel's policy is to use them always.
pub const HUGE_SHARE: f64 = 0.9;

/// Why the blocks may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum MemoryWarning {
    /// The pages have this size in bytes, although pages of a pool, or base pages, were requested.
    OtherPages {
        /// Size of the pages in bytes.
        page_bytes: u64,
        /// What was requested.
        requested: String,
    },
    /// This much is in transparent huge pages, although base pages were requested.
    NotBase(u64),
    /// Only this share of what could be in transparent huge pages is.
    NotHuge {
        /// The share.
        share: f64,
        /// What could be in huge pages, in bytes.
        possible_bytes: u64,
        /// The reason to expect huge pages.
        because: &'static str,
    },
}

impl MemoryWarning {
    /// Returns the warning of a result.
    pub fn of(result: &RunResult) -> Option<Self> {
        let memory = result.memory.as_ref()?;
        let params = result.workload.params.test.memory()?;
        let policy = result.host.transparent_hugepage.as_deref();
        Self::of_pages(memory, params.page_source(), policy)
    }

    fn of_pages(memory: &BlockMemory, source: PageSource, policy: Option<&str>) -> Option<Self> {
        let page_bytes = memory.page_bytes;
        let other = |page_bytes, requested| {
            Some(Self::OtherPages {
                page_bytes,
                requested,
            })
        };
        match source {
            PageSource::Pool(None) => {
                let is_base = |&page_bytes: &u64| Some(page_bytes) <= host::base_page_bytes();
                other(
                    page_bytes.filter(is_base)?,
                    "--hugetlb requests huge pages".to_owned(),
                )
            }
            PageSource::Pool(Some(size)) => other(
                page_bytes.filter(|&it| it != size)?,
                format!("--pages {} requests others", Size(size)),
            ),
            PageSource::Base => memory
                .huge_bytes
                .filter(|&bytes| bytes > 0)
                .map(Self::NotBase),
            PageSource::Transparent => Self::of_huge_share(memory, "--pages thp requests them"),
            PageSource::Policy => {
                Self::of_huge_share(memory, "the kernel's policy is to use them always")
                    .filter(|_| policy == Some("always"))
            }
        }
    }

    fn of_huge_share(memory: &BlockMemory, because: &'static str) -> Option<Self> {
        let possible_bytes = memory.huge_possible_bytes.filter(|&bytes| bytes > 0)?;
        let share = memory.huge_bytes? as f64 / possible_bytes as f64;
        (share < HUGE_SHARE).then_some(Self::NotHuge {
            share,
            possible_bytes,
            because,
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
            Self::OtherPages {
                page_bytes,
                requested,
            } => write!(
                f,
                "blocks are in pages of {}, although {requested}: this is not the speed with the \
                 pages requested",
                Size(*page_bytes)
            ),
            Self::NotBase(huge_bytes) => write!(
                f,
                "--pages 4K requests base pages, but {} of the blocks are in transparent huge pages: \
                 this is not the speed with base pages",
                Size(*huge_bytes)
            ),
            Self::NotHuge {
                share,
                possible_bytes,
                because,
            } => write!(
                f,
                "{because}, but only {:.0} % of the {} that could be in transparent huge pages are: \
                 memory is fragmented, or they are disabled for this process or altogether; another \
                 run may be faster",
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
    fn pages_of_another_size_than_that_of_the_pool_are_a_warning() {
        let of = |page_bytes, size| {
            let memory = memory(page_bytes, 0, 0);
            MemoryWarning::of_pages(&memory, PageSource::Pool(size), Some("always"))
        };
        let base = host::base_page_bytes().unwrap();
        assert!(of(base, None).unwrap().to_string().contains("--hugetlb"));
        assert_eq!(of(2 << 20, None), None);
        assert_eq!(of(2 << 20, Some(2 << 20)), None);
        for other in [base, 1 << 30] {
            let sentence = of(other, Some(2 << 20)).unwrap().to_string();
            assert!(sentence.contains("although --pages 2M"), "{sentence}");
        }
        let unknown = BlockMemory::default();
        let of = |source| MemoryWarning::of_pages(&unknown, source, None);
        assert_eq!(of(PageSource::Pool(None)), None);
        assert_eq!(of(PageSource::Pool(Some(1 << 30))), None);
    }

    #[test]
    fn transparent_huge_pages_are_a_warning_if_base_pages_are_requested() {
        let of =
            |huge| MemoryWarning::of_pages(&memory(4096, huge, 4 << 20), PageSource::Base, None);
        assert_eq!(of(0), None);
        let sentence = of(2 << 20).unwrap().to_string();
        assert!(sentence.contains("2M of the blocks are"), "{sentence}");
    }

    #[test]
    fn missing_huge_pages_are_a_warning_if_they_are_requested_or_the_policy_is_to_use_them_always()
    {
        let possible = 1000 << 20;
        let threshold = (HUGE_SHARE * possible as f64) as u64;
        let of = |huge, source, policy| {
            MemoryWarning::of_pages(&memory(4096, huge, possible), source, Some(policy))
        };
        for (source, policy) in [
            (PageSource::Policy, "always"),
            (PageSource::Transparent, "always"),
            (PageSource::Transparent, "madvise"),
            (PageSource::Transparent, "never"),
        ] {
            assert_eq!(of(threshold, source, policy), None);
            let found = of(threshold - 1, source, policy).unwrap();
            assert_eq!(found.code(), Code::BlockPages);
            let sentence = found.to_string();
            assert!(sentence.contains("90 % of the 1000M"), "{sentence}");
        }
        for policy in ["madvise", "never"] {
            assert_eq!(of(0, PageSource::Policy, policy), None);
        }
    }

    #[test]
    fn a_block_without_room_for_a_huge_page_gives_no_warning() {
        for memory in [memory(4096, 0, 0), BlockMemory::default()] {
            for source in [PageSource::Policy, PageSource::Transparent] {
                assert_eq!(
                    MemoryWarning::of_pages(&memory, source, Some("always")),
                    None
                );
            }
        }
    }
}
