//! The memory that the test touches.

use anyhow::{Context, Result, anyhow, bail, ensure};
use memmap2::{Advice, MmapMut, MmapOptions, MmapRaw};

use crate::error::describe_io;
use crate::host::{self, SystemRoot};
use crate::plan::PageSource;
use crate::result::BlockMemory;
use crate::size::Size;

/// A page-aligned block of anonymous memory that threads may share.
///
/// Accessed through a raw pointer only: threads store to a global block concurrently, which
/// references would not allow.
#[derive(Debug)]
pub struct Block {
    map: MmapRaw,
    /// Where in the mapping its pages begin.
    offset: usize,
    /// Length of its pages in bytes.
    pages_len: usize,
    len: usize,
}

impl Block {
    /// Maps `size` bytes and touches each page.
    pub fn map(size: u64, pages: PageSource) -> Result<Self> {
        let len = usize::try_from(size).with_context(|| too_large(size))?;
        match pages {
            PageSource::Pool(page_size) => Self::of_pool(size, len, page_size),
            PageSource::Policy => Self::of(map_base(size, len)?, 0, len, len),
            PageSource::Base => Self::in_base_pages(size, len),
            PageSource::Transparent => Self::in_transparent_pages(size, len),
        }
    }

    fn in_base_pages(size: u64, len: usize) -> Result<Self> {
        let page = host::base_page_bytes();
        ensure!(
            page == Some(PageSource::BASE_BYTES),
            "--pages 4K: the base pages of this machine have {}; run without --pages",
            page.map_or("an unknown size".to_owned(), |page| Size(page).to_string())
        );
        let map = map_base(size, len)?;
        // Fails only if the kernel has no transparent huge pages at all.
        let _ = map.advise(Advice::NoHugePage);
        Self::of(map, 0, len, len)
    }

    /// Maps whole huge pages, so that blocks of any size can be in them.
    fn in_transparent_pages(size: u64, len: usize) -> Result<Self> {
        let page = host::transparent_page_bytes(&SystemRoot::default());
        let page = page
            .and_then(|page| usize::try_from(page).ok())
            .unwrap_or(1);
        let pages_len = len.checked_next_multiple_of(page);
        let whole = pages_len.and_then(|len| len.checked_add(page));
        let (Some(pages_len), Some(whole)) = (pages_len, whole) else {
            bail!(too_large(size));
        };
        let map = map_base(size, whole)?;
        let offset = map.as_ptr().align_offset(page);
        // What the kernel really uses is determined after the run.
        let _ = map.advise_range(Advice::HugePage, offset, pages_len);
        Self::of(map, offset, pages_len, len)
    }

    fn of_pool(size: u64, len: usize, page_size: Option<u64>) -> Result<Self> {
        let map = map_huge(size, page_size)?;
        let pages_len = map.len();
        Self::of(map, 0, pages_len, len)
    }

    /// Touches the pages of a block.
    fn of(mut map: MmapMut, offset: usize, pages_len: usize, len: usize) -> Result<Self> {
        map[offset..offset + pages_len].fill(0x5a);
        Ok(Self {
            map: map.into(),
            offset,
            pages_len,
            len,
        })
    }

    /// Returns the start, aligned to a page.
    pub fn start(&self) -> *mut u8 {
        self.map.as_mut_ptr().wrapping_add(self.offset)
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
        let advice = Advice::DontDump;
        let _ = block
            .map
            .advise_range(advice, block.offset, block.pages_len);
    }
    let range = |block: &Block| {
        let start = block.start() as usize;
        start..start + block.pages_len
    };
    let ranges: Vec<_> = blocks.iter().map(range).collect();
    host::pages_below(&SystemRoot::default(), &ranges)
}

fn map_base(size: u64, len: usize) -> Result<MmapMut> {
    MmapOptions::new().len(len).map_anon().map_err(|error| {
        anyhow!(
            "cannot map a memory block of {}: {}; use a smaller --block-size",
            Size(size),
            describe_io(&error)
        )
    })
}

/// Maps whole huge pages of this size or the default size: munmap(2) cannot release part of one.
fn map_huge(size: u64, page_size: Option<u64>) -> Result<MmapMut> {
    let pool = Pool::read(&SystemRoot::default(), page_size)?;
    let len = size
        .checked_next_multiple_of(pool.size)
        .and_then(|len| usize::try_from(len).ok())
        .with_context(|| too_large(size))?;
    MmapOptions::new()
        .len(len)
        .huge(page_size.map(|size| size.trailing_zeros() as u8))
        .map_anon()
        .map_err(|error| {
            anyhow!(
                "{option}: cannot map {} in {} huge pages of {}, of which {} are free: {error}; \
                 raise {}, or run without {option}",
                Size(size),
                len as u64 / pool.size,
                Size(pool.size),
                pool.free,
                pool.setting,
                option = pool.option,
                error = describe_io(&error),
            )
        })
}

fn too_large(size: u64) -> String {
    format!(
        "a memory block of {} is larger than the address space; use a smaller --block-size",
        Size(size)
    )
}

/// A pool of huge pages, with what an error about it says.
#[derive(Debug, PartialEq)]
struct Pool {
    size: u64,
    free: u64,
    /// The option that requests it.
    option: String,
    /// The kernel setting that enlarges it.
    setting: String,
}

impl Pool {
    /// Reads the state of the pool with pages of this size in bytes, or of the default size.
    fn read(root: &SystemRoot, page_size: Option<u64>) -> Result<Self> {
        let Some(size) = page_size else {
            let (size, free) = host::default_huge_pages(root).context(
                "--hugetlb: /proc/meminfo lists no huge pages: the kernel was built without them; run \
                 without --hugetlb",
            )?;
            return Ok(Self {
                size,
                free,
                option: "--hugetlb".to_owned(),
                setting: "vm.nr_hugepages (sysctl)".to_owned(),
            });
        };
        let option = format!("--pages {}", Size(size));
        let dir = format!("/sys/kernel/mm/hugepages/hugepages-{}kB", size >> 10);
        let free = host::free_huge_pages(root, size).with_context(|| {
            format!(
                "{option}: {dir} does not exist: CPU or kernel have no huge pages of this size; run \
                 without {option}"
            )
        })?;
        Ok(Self {
            size,
            free,
            option,
            setting: format!("{dir}/nr_hugepages"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    #[test]
    fn a_block_is_page_aligned_and_has_its_length() {
        for size in [4, 1024, 4096, 10_000_000] {
            let block = Block::map(size, PageSource::Policy).unwrap();
            assert_eq!(block.start() as usize % 4096, 0);
            assert_eq!(block.size() as u64, size);
        }
    }

    #[test]
    fn the_pages_below_blocks_are_those_of_their_own_memory() {
        let sizes = [4, 10_000, 3 << 20];
        let blocks = sizes.map(|size| Block::map(size, PageSource::Policy).unwrap());
        let pages = pages_below(&blocks);
        let page = host::base_page_bytes().unwrap();
        let whole: u64 = sizes.iter().map(|size| size.next_multiple_of(page)).sum();
        assert_eq!(pages.mapped_bytes, Some(whole));
        assert_eq!(pages.page_bytes, Some(page));
        assert!(pages.huge_bytes.is_none_or(|huge| huge <= whole));
    }

    #[test]
    fn blocks_for_transparent_huge_pages_are_whole_ones() {
        let Some(page) = host::transparent_page_bytes(&SystemRoot::default()) else {
            return;
        };
        for size in [64, page - 4, page, page + 4096] {
            let block = Block::map(size, PageSource::Transparent).unwrap();
            assert_eq!(block.start() as u64 % page, 0);
            assert_eq!(block.size() as u64, size);
            let pages = pages_below(&[block]);
            assert_eq!(pages.mapped_bytes, Some(size.next_multiple_of(page)));
            assert_eq!(pages.huge_possible_bytes, pages.mapped_bytes);
        }
    }

    #[test]
    fn blocks_in_base_pages_have_no_huge_page_whatever_the_policy_is() {
        if host::base_page_bytes() != Some(PageSource::BASE_BYTES) {
            assert!(Block::map(8 << 20, PageSource::Base).is_err());
            return;
        }
        let block = Block::map(8 << 20, PageSource::Base).unwrap();
        let pages = pages_below(&[block]);
        assert_eq!(pages.page_bytes, Some(PageSource::BASE_BYTES));
        assert!(pages.huge_bytes.is_none_or(|huge| huge == 0));
    }

    #[test]
    fn a_pool_of_pages_that_do_not_exist_is_an_error_that_names_it() {
        let fake = FakeRoot::new().file(
            "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages",
            "3\n",
        );
        let pool = Pool::read(fake.root(), Some(2 << 20)).unwrap();
        assert_eq!(
            (pool.size, pool.free, &*pool.option),
            (2 << 20, 3, "--pages 2M")
        );
        let error = Pool::read(fake.root(), Some(1 << 30)).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("--pages 1G: /sys/kernel/mm/hugepages/hugepages-1048576kB"),
            "{error}"
        );
        let error = Pool::read(fake.root(), None).unwrap_err().to_string();
        assert!(error.starts_with("--hugetlb: /proc/meminfo"), "{error}");
    }

    #[test]
    fn an_impossible_block_size_is_an_error_with_a_hint() {
        let error = Block::map(1 << 62, PageSource::Policy)
            .unwrap_err()
            .to_string();
        assert!(error.contains("--block-size"), "{error}");
    }
}
