//! Page-aligned memory, as O_DIRECT requires.

use anyhow::{Context, Result};
use memmap2::MmapMut;

/// Maps zeroed memory whose pages are not allocated yet.
pub fn map(len: usize) -> Result<MmapMut> {
    MmapMut::map_anon(len).with_context(|| format!("mapping a buffer of {len} bytes"))
}

/// Maps memory whose pages are allocated, so that no page fault is measured.
pub fn map_populated(len: usize) -> Result<MmapMut> {
    let mut buffer = map(len)?;
    buffer.fill(1);
    Ok(buffer)
}
