//! The page cache: how much of a file is resident, and how to drop it.

use std::fs::File;
use std::os::fd::AsRawFd;

use memmap2::MmapOptions;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::unistd::fsync;

use crate::workload::fileio::transfer::retry;

/// cachestat(2), since Linux 6.5; the same number on all architectures.
const SYS_CACHESTAT: libc::c_long = 451;

/// `struct cachestat_range` of `linux/mman.h`.
#[repr(C)]
struct CacheStatRange {
    offset: u64,
    len: u64,
}

/// `struct cachestat` of `linux/mman.h`, in pages.
#[derive(Default)]
#[repr(C)]
struct CacheStat {
    cached: u64,
    dirty: u64,
    under_writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Syncs a file to its device and drops its pages. Needs no privilege; pages that another process
/// has mapped or locked stay.
pub(super) fn drop_pages(file: &File) -> nix::Result<()> {
    retry(|| fsync(file))?;
    retry(|| posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED))
}

/// Returns how many of the first `size` bytes are cached; `None` if the kernel does not report it.
pub(super) fn resident_bytes(file: &File, size: u64) -> Option<u64> {
    let pages = cachestat(file, size).or_else(|| mincore(file, size))?;
    Some((pages * page_size()?).min(size))
}

fn cachestat(file: &File, size: u64) -> Option<u64> {
    let range = CacheStatRange {
        offset: 0,
        len: size,
    };
    let mut found = CacheStat::default();
    // SAFETY: the kernel reads one cachestat_range and writes one cachestat.
    let failed = unsafe {
        libc::syscall(
            SYS_CACHESTAT,
            file.as_raw_fd(),
            &raw const range,
            &raw mut found,
            0,
        )
    } != 0;
    (!failed).then_some(found.cached)
}

fn mincore(file: &File, size: u64) -> Option<u64> {
    let len = usize::try_from(size).ok()?;
    let mapping = MmapOptions::new().len(len).map_raw_read_only(file).ok()?;
    let pages = size.div_ceil(page_size()?);
    let mut resident = vec![0u8; usize::try_from(pages).ok()?];
    // SAFETY: the mapping has this length, and the vector has one byte per page.
    let failed =
        unsafe { libc::mincore(mapping.as_mut_ptr().cast(), len, resident.as_mut_ptr()) } != 0;
    let count = resident.iter().filter(|&&byte| byte & 1 == 1).count();
    (!failed).then_some(count as u64)
}

fn page_size() -> Option<u64> {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    u64::try_from(size).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn written_data_is_resident_until_its_pages_are_dropped() {
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let size = 64 * page_size().unwrap();
        file.write_all(&vec![1; size as usize]).unwrap();
        assert_eq!(resident_bytes(&file, size), Some(size));
        assert_eq!(mincore(&file, size), Some(64));
        drop_pages(&file).unwrap();
        assert_eq!(resident_bytes(&file, size), Some(0));
    }
}
