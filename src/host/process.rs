//! Memory mappings and address space of this process.

use super::machine::bytes_in;
use super::root::SystemRoot;

/// Returns the number of memory mappings of this process.
pub fn mappings(root: &SystemRoot) -> Option<u64> {
    root.text("proc/self/maps")
        .map(|maps| maps.lines().count() as u64)
}

/// Returns the kernel's limit on memory mappings per process.
pub fn mappings_limit(root: &SystemRoot) -> Option<u64> {
    root.text("proc/sys/vm/max_map_count")?.parse().ok()
}

/// Returns the size of the address space of this process, in bytes.
pub fn address_space_bytes(root: &SystemRoot) -> Option<u64> {
    bytes_in(root, "proc/self/status", "VmSize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    #[test]
    fn mappings_and_address_space_are_read_from_proc() {
        let fake = FakeRoot::new()
            .file("proc/self/maps", "1-2 r--p\n2-3 r-xp\n3-4 rw-p")
            .file(
                "proc/self/status",
                "Name:\twbench\nVmSize:\t    6152 kB\nVmLck:\t       0 kB",
            )
            .file("proc/sys/vm/max_map_count", "65530");
        assert_eq!(mappings(fake.root()), Some(3));
        assert_eq!(mappings_limit(fake.root()), Some(65530));
        assert_eq!(address_space_bytes(fake.root()), Some(6152 << 10));
    }

    #[test]
    fn mappings_and_address_space_are_unknown_without_proc() {
        let fake = FakeRoot::new();
        assert_eq!(mappings(fake.root()), None);
        assert_eq!(mappings_limit(fake.root()), None);
        assert_eq!(address_space_bytes(fake.root()), None);
    }
}
