//! Storage of the test files.

use serde::{Deserialize, Serialize};

/// Storage of the test files. Unknown values are null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Storage {
    /// Absolute path of the directory.
    pub path: String,
    /// File system type.
    pub filesystem: Option<String>,
    /// Block device of the file system.
    pub device: Option<String>,
    /// Driver of the device's hardware, or of the paravirtual device of a guest ("virtio_blk").
    #[serde(default)]
    pub driver: Option<String>,
    /// Number of hardware queues of the device; null if it has none of its own, or is unknown.
    #[serde(default)]
    pub queues: Option<u64>,
    /// I/O scheduler of the device.
    pub scheduler: Option<String>,
    /// Whether the device reports itself as rotational.
    pub rotational: Option<bool>,
    /// Write cache mode of the device as the kernel reports it: "write back" if it has a volatile
    /// cache that a flush must empty, else "write through".
    #[serde(default)]
    pub write_cache: Option<String>,
    /// Loop device: whether it opens its backing file with O_DIRECT; null for other devices, and
    /// if unknown.
    #[serde(default)]
    pub loop_direct_io: Option<bool>,
    /// Whether parts of the files are known to have never been written, so that reading them
    /// reaches no device; null if the run creates its files.
    #[serde(default)]
    pub unwritten: Option<bool>,
    /// State of the page cache before the run; null with O_DIRECT, or if the run creates its files.
    #[serde(default)]
    pub page_cache: Option<PageCache>,
}

/// Test files in the page cache before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PageCache {
    /// Size of all test files.
    pub set_bytes: u64,
    /// Bytes of them that were in the page cache.
    pub resident_bytes: u64,
    /// Upper bound of the page cache: the memory of the machine or the limit of the cgroup,
    /// whichever is smaller; null if unknown.
    pub memory_bytes: Option<u64>,
}
