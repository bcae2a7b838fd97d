//! Pages below memory of this process, from /proc/self/smaps.

use std::ops::Range;

use nix::unistd::{SysconfVar, sysconf};

use super::huge_pages::transparent_page_bytes;
use super::root::SystemRoot;
use crate::result::BlockMemory;

/// Returns the pages below these ranges of addresses, which begin at a page. Unknown if a
/// range is not mapped, or shares a mapping with other memory.
pub fn pages_below(root: &SystemRoot, ranges: &[Range<usize>]) -> BlockMemory {
    let huge_page = transparent_page_bytes(root).and_then(|size| usize::try_from(size).ok());
    let below = || {
        let ranges = whole_pages(ranges, usize::try_from(base_page_bytes()?).ok()?);
        let smaps = root.read("proc/self/smaps").ok()?;
        Mappings::below(&smaps, &ranges, huge_page)?.pages(huge_page.is_some())
    };
    below().unwrap_or_default()
}

/// Returns the size of a base page in bytes.
pub fn base_page_bytes() -> Option<u64> {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten()?;
    page.try_into().ok()
}

/// Extends ranges to whole pages and joins those that touch, in order.
fn whole_pages(ranges: &[Range<usize>], page: usize) -> Vec<Range<usize>> {
    let extended = |range: &Range<usize>| range.start..range.end.next_multiple_of(page);
    let mut ranges: Vec<_> = ranges.iter().map(extended).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

/// A value of several mappings: its sum in bytes, and how many of them have it.
#[derive(Debug, Default)]
struct Sum {
    bytes: u64,
    mappings: usize,
}

impl Sum {
    fn add(&mut self, value: &str) -> Option<()> {
        self.bytes += kib(value)?;
        self.mappings += 1;
        Some(())
    }
}

/// Mappings below ranges of addresses.
#[derive(Debug, Default)]
struct Mappings {
    mappings: usize,
    bytes: u64,
    /// Size of the smallest page, in bytes.
    smallest_page: Option<u64>,
    huge: Sum,
    huge_possible: u64,
    swapped: Sum,
}

impl Mappings {
    /// Sums up the mappings below these ranges; None if these are not exactly whole mappings.
    fn below(smaps: &str, ranges: &[Range<usize>], huge_page: Option<usize>) -> Option<Self> {
        let mut sums = Self::default();
        let mut is_below = false;
        for line in smaps.lines() {
            if let Some(addresses) = addresses(line) {
                let range = ranges.partition_point(|range| range.end <= addresses.start);
                let range = ranges.get(range).filter(|it| it.start < addresses.end);
                is_below = range.is_some();
                if let Some(range) = range {
                    let is_whole = range.start <= addresses.start && addresses.end <= range.end;
                    sums.begin(is_whole.then_some(addresses)?, huge_page);
                }
            } else if is_below {
                sums.line(line)?;
            }
        }
        let wanted: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        (sums.bytes == wanted as u64).then_some(sums)
    }

    fn begin(&mut self, addresses: Range<usize>, huge_page: Option<usize>) {
        self.mappings += 1;
        self.bytes += addresses.len() as u64;
        if let Some(size) = huge_page {
            let first = addresses.start.next_multiple_of(size);
            let end = addresses.end / size * size;
            self.huge_possible += end.saturating_sub(first) as u64;
        }
    }

    fn line(&mut self, line: &str) -> Option<()> {
        match line.split_once(':')? {
            ("KernelPageSize", size) => {
                let smallest = self.smallest_page.unwrap_or(u64::MAX);
                self.smallest_page = Some(kib(size)?.min(smallest));
            }
            ("AnonHugePages", size) => self.huge.add(size)?,
            ("Swap", size) => self.swapped.add(size)?,
            _ => {}
        }
        Some(())
    }

    fn pages(self, huge_page_is_known: bool) -> Option<BlockMemory> {
        let of_all = |sum: Sum| (sum.mappings == self.mappings).then_some(sum.bytes);
        (self.mappings > 0).then(|| BlockMemory {
            mapped_bytes: Some(self.bytes),
            page_bytes: self.smallest_page,
            huge_bytes: of_all(self.huge),
            huge_possible_bytes: huge_page_is_known.then_some(self.huge_possible),
            swapped_bytes: of_all(self.swapped),
        })
    }
}

/// Returns the addresses of a mapping from its first line, `7f0000000000-7f0000200000 rw-p ...`.
fn addresses(line: &str) -> Option<Range<usize>> {
    let (addresses, _) = line.split_once(' ')?;
    let (start, end) = addresses.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some(number(start)?..number(end)?)
}

/// Returns the bytes of a value such as `  2048 kB`.
fn kib(value: &str) -> Option<u64> {
    let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    const MIB: u64 = 1 << 20;

    /// A mapping as Linux 6.18 shows it, shortened.
    fn mapping(start: usize, end: usize, page_kib: u64, huge_kib: u64, swap_kib: u64) -> String {
        format!(
            "{start:x}-{end:x} rw-p 00000000 00:00 0 \n\
             Size:              {size} kB\n\
             KernelPageSize:        {page_kib} kB\n\
             MMUPageSize:           {page_kib} kB\n\
             Rss:               {size} kB\n\
             AnonHugePages:     {huge_kib} kB\n\
             ShmemPmdMapped:        0 kB\n\
             Private_Hugetlb:       0 kB\n\
             Swap:                  {swap_kib} kB\n\
             SwapPss:               0 kB\n\
             THPeligible:           0\n\
             VmFlags: rd wr mr mw me dd ac \n",
            size = (end - start) >> 10,
        )
    }

    /// A machine with huge pages of 2 MiB and these mappings between others.
    fn machine(mappings: &[String]) -> FakeRoot {
        let program = mapping(0x40_0000, 0x50_0000, 4, 0, 0);
        let stack = mapping(0x7fff_0000_0000, 0x7fff_0002_1000, 4, 0, 4);
        FakeRoot::new()
            .file(
                "sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
                "2097152",
            )
            .file(
                "proc/self/smaps",
                &format!("{program}{}{stack}", mappings.concat()),
            )
    }

    fn pages_of(fake: &FakeRoot, block: Range<usize>) -> BlockMemory {
        pages_below(fake.root(), std::slice::from_ref(&block))
    }

    #[test]
    fn the_pages_are_those_of_the_mappings_of_the_blocks_only() {
        let (start, end) = (0x7f00_0010_0000, 0x7f00_0090_0000);
        let other = mapping(end, end + 0x100_0000, 4, 16384, 8);
        let fake = machine(&[mapping(start, end, 4, 4096, 12), other]);
        let expected = BlockMemory {
            mapped_bytes: Some(8 * MIB),
            page_bytes: Some(4096),
            huge_bytes: Some(4 * MIB),
            // The first and the last MiB are in huge pages that the block has half of.
            huge_possible_bytes: Some(6 * MIB),
            swapped_bytes: Some(12 << 10),
        };
        assert_eq!(pages_of(&fake, start..end - 100), expected);
    }

    #[test]
    fn blocks_may_share_a_mapping_with_each_other_and_have_several() {
        let at = |page: usize| 0x7f00_0000_0000 + page * 4096;
        let fake = machine(&[
            mapping(at(0), at(3), 4, 0, 0),
            mapping(at(8), at(9), 4, 0, 4),
        ]);
        let blocks = [at(8)..at(8) + 10, at(2)..at(3), at(0)..at(2)];
        let found = pages_below(fake.root(), &blocks);
        assert_eq!(found.mapped_bytes, Some(4 * 4096));
        assert_eq!(found.swapped_bytes, Some(4096));
    }

    #[test]
    fn a_block_from_the_pool_has_its_page_size() {
        let (start, end) = (0x7f00_0000_0000, 0x7f00_0040_0000);
        let found = pages_of(&machine(&[mapping(start, end, 2048, 0, 0)]), start..end);
        assert_eq!(found.page_bytes, Some(2 * MIB));
    }

    #[test]
    fn the_pages_are_unknown_if_the_mapping_holds_other_memory_too_or_is_not_found() {
        let (start, end) = (0x7f00_0000_0000, 0x7f00_0010_0000);
        let unknown = BlockMemory::default();
        for mappings in [
            [mapping(start - 4096, end, 4, 0, 0)],
            [mapping(start, end + 4096, 4, 0, 0)],
            [mapping(start, end - 4096, 4, 0, 0)],
            [mapping(end, end + 4096, 4, 0, 0)],
        ] {
            assert_eq!(pages_of(&machine(&mappings), start..end), unknown);
        }
        assert_eq!(pages_of(&FakeRoot::new(), start..end), unknown);
        assert_eq!(pages_below(machine(&[]).root(), &[]), unknown);
    }

    #[test]
    fn a_value_that_the_kernel_does_not_show_is_unknown_and_not_0() {
        let (start, end) = (0x7f00_0000_0000, 0x7f00_0010_0000);
        let text = mapping(start, end, 4, 0, 0);
        let lines = text.lines().filter(|line| !line.starts_with("AnonHuge"));
        let old: Vec<&str> = lines.collect();
        let fake = FakeRoot::new().file("proc/self/smaps", &old.join("\n"));
        let found = pages_of(&fake, start..end);
        assert_eq!(found.page_bytes, Some(4096));
        assert_eq!(found.huge_bytes, None);
        assert_eq!(found.huge_possible_bytes, None);
    }
}
