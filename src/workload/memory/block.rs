//! The memory that the test touches.

use std::fs;

use anyhow::{Context, Result, anyhow};
use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::host::{self, SystemRoot};
use crate::result::BlockMemory;
use crate::size::Size;

/// A page-aligned block of anonymous memory that threads may share.
///
/// Accessed through a raw pointer only: threads store to a global block concurrently, which
/// references would not allow.
#[derive(Debug)]
pub struct Block {
    map: MmapRaw,
    len: usize,
}

impl Block {
    /// Maps `size` bytes and touches each page.
    pub fn map(size: u64, hugetlb: bool) -> Result<Self> {
        let len = usize::try_from(size).with_context(|| too_large(size))?;
        let mut map = match hugetlb {
            true => map_huge(size)?,
            false => MmapOptions::new().len(len).map_anon().map_err(|error| {
                anyhow!(
                    "cannot map a memory block of {}: {error}; use a smaller --block-size",
                    Size(size)
                )
            })?,
        };
        map.fill(0x5a);
        Ok(Self {
            map: map.into(),
            len,
        })
    }

    /// Returns the start, aligned to a page.
    pub fn start(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    /// Returns the length in bytes, a multiple of 4.
    pub fn size(&self) -> usize {
        self.len
    }
}

/// Returns the pages below these blocks.
///
/// Meant for the end of a run: advice that has no other effect than on core dumps first splits
/// their mappings from those of other memory, which the kernel joins if they have the same flags.
pub fn pages_below(blocks: &[Block]) -> BlockMemory {
    for block in blocks {
        // If it fails, a mapping that holds other memory too is recognized as such.
        let _ = block.map.advise(Advice::DontDump);
    }
    let range = |block: &Block| {
        let start = block.start() as usize;
        start..start + block.map.len()
    };
    let ranges: Vec<_> = blocks.iter().map(range).collect();
    host::pages_below(&SystemRoot::default(), &ranges)
}

/// Maps whole huge pages of the system's default size: munmap(2) cannot release part of one.
fn map_huge(size: u64) -> Result<memmap2::MmapMut> {
    let pool = HugePages::read()?;
    let len = size
        .checked_next_multiple_of(pool.size)
        .and_then(|len| usize::try_from(len).ok())
        .with_context(|| too_large(size))?;
    MmapOptions::new()
        .len(len)
        .huge(None)
        .map_anon()
        .map_err(|error| {
            anyhow!(
                "--hugetlb: cannot map {} in {} huge pages of {}, of which {} are free: {error}; \
                 raise vm.nr_hugepages (sysctl), or run without --hugetlb",
                Size(size),
                len as u64 / pool.size,
                Size(pool.size),
                pool.free
            )
        })
}

fn too_large(size: u64) -> String {
    format!(
        "a memory block of {} is larger than the address space; use a smaller --block-size",
        Size(size)
    )
}

/// The pool of huge pages of the default size.
struct HugePages {
    size: u64,
    free: u64,
}

impl HugePages {
    fn read() -> Result<Self> {
        let text = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
        Self::parse(&text).context(
            "--hugetlb: /proc/meminfo lists no huge pages: the kernel was built without them; run \
             without --hugetlb",
        )
    }

    fn parse(meminfo: &str) -> Option<Self> {
        let value = |name: &str| -> Option<u64> {
            let line = meminfo.lines().find(|line| line.starts_with(name))?;
            line[name.len()..].split_whitespace().next()?.parse().ok()
        };
        let size = value("Hugepagesize:")? * 1024;
        (size > 0).then_some(Self {
            size,
            free: value("HugePages_Free:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_page_aligned_and_has_its_length() {
        for size in [4, 1024, 4096, 10_000_000] {
            let block = Block::map(size, false).unwrap();
            assert_eq!(block.start() as usize % 4096, 0);
            assert_eq!(block.size() as u64, size);
        }
    }

    #[test]
    fn the_pages_below_blocks_are_those_of_their_own_memory() {
        let sizes = [4, 10_000, 3 << 20];
        let blocks = sizes.map(|size| Block::map(size, false).unwrap());
        let pages = pages_below(&blocks);
        let page = host::base_page_bytes().unwrap();
        let whole: u64 = sizes.iter().map(|size| size.next_multiple_of(page)).sum();
        assert_eq!(pages.mapped_bytes, Some(whole));
        assert_eq!(pages.page_bytes, Some(page));
        assert!(pages.huge_bytes.is_none_or(|huge| huge <= whole));
    }

    #[test]
    fn an_impossible_block_size_is_an_error_with_a_hint() {
        let error = Block::map(1 << 62, false).unwrap_err().to_string();
        assert!(error.contains("--block-size"), "{error}");
    }

    #[test]
    fn the_pool_of_huge_pages_is_read_from_meminfo() {
        let text =
            "HugePages_Total:       4\nHugePages_Free:        3\nHugepagesize:       2048 kB\n";
        let pool = HugePages::parse(text).unwrap();
        assert_eq!((pool.size, pool.free), (2 << 20, 3));
        assert!(HugePages::parse("MemTotal: 1 kB\n").is_none());
    }
}
