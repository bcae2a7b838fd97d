//! Huge pages: the pools, and the size of transparent ones.

use super::root::SystemRoot;

/// Returns the size of a transparent huge page in bytes; None if the kernel has none.
pub fn transparent_page_bytes(root: &SystemRoot) -> Option<u64> {
    let size = root.text("sys/kernel/mm/transparent_hugepage/hpage_pmd_size")?;
    let size: u64 = size.parse().ok()?;
    size.is_power_of_two().then_some(size)
}

/// Returns the number of free huge pages of this size in bytes; None if there is no such pool.
pub fn free_huge_pages(root: &SystemRoot, size: u64) -> Option<u64> {
    let path = format!(
        "sys/kernel/mm/hugepages/hugepages-{}kB/free_hugepages",
        size >> 10
    );
    root.text(&path)?.parse().ok()
}

/// Returns the default size of huge pages in bytes, and the number of free ones; None if the kernel
/// has none.
pub fn default_huge_pages(root: &SystemRoot) -> Option<(u64, u64)> {
    let meminfo = root.read("proc/meminfo").ok()?;
    let value = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find(|line| line.starts_with(name))?;
        line[name.len()..].split_whitespace().next()?.parse().ok()
    };
    let size = value("Hugepagesize:")?.checked_mul(1024)?;
    (size > 0).then_some((size, value("HugePages_Free:")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    #[test]
    fn the_default_pool_is_read_from_meminfo() {
        let text =
            "HugePages_Total:       4\nHugePages_Free:        3\nHugepagesize:       2048 kB\n";
        let of = |text| default_huge_pages(FakeRoot::new().file("proc/meminfo", text).root());
        assert_eq!(of(text), Some((2 << 20, 3)));
        assert_eq!(of("MemTotal: 1 kB\n"), None);
        assert_eq!(default_huge_pages(FakeRoot::new().root()), None);
    }
}
