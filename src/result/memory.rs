//! Memory of the memory test.

use serde::{Deserialize, Serialize};

/// Pages below the blocks of the memory test at the end of the run, as the kernel reports them
/// (smaps). Unknown values are null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlockMemory {
    /// Memory of all blocks, in whole pages.
    pub mapped_bytes: Option<u64>,
    /// Size of a page of the mapping (KernelPageSize): a base page, or a page of the pool with
    /// `hugetlb`.
    pub page_bytes: Option<u64>,
    /// Memory of the blocks that is in transparent huge pages (AnonHugePages).
    pub huge_bytes: Option<u64>,
    /// Memory of the blocks that could be in transparent huge pages, by its alignment.
    pub huge_possible_bytes: Option<u64>,
    /// Memory of the blocks that is in swap space.
    pub swapped_bytes: Option<u64>,
}
