//! Parts of test files that were never written.
//!
//! Reading them reaches no device: the kernel returns zeros. They are holes or unwritten
//! (preallocated) extents; ext4, XFS, Btrfs, F2FS and tmpfs report both through SEEK_HOLE. On a file
//! system that does not, the files are sampled for sectors of zeros, which wbench never writes.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use memmap2::MmapMut;
use rustix::fs::{SeekFrom, ftruncate, seek};

use super::create;
use super::direct::Uncached;
use crate::workload::fileio::data::pattern::{PAGE, SECTOR};

/// Sectors read per file if the file system does not report holes.
const SAMPLES: u64 = 8;

/// Size in bytes of the file that tests whether holes are reported.
const PROBE: u64 = 1 << 20;

/// How a file system reports holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoleReporting {
    /// Through SEEK_HOLE; also assumed if no file can be created to test it.
    SeekHole,
    /// SEEK_HOLE finds only the end of the file.
    Nothing,
}

impl HoleReporting {
    /// Tests the file system with an unnamed file.
    pub fn of(dir: BorrowedFd<'_>) -> Self {
        let finds_none = || -> Option<bool> {
            let probe = create::create_unnamed(dir).ok()?;
            ftruncate(&probe, PROBE).ok()?;
            Some(first_hole(&probe, PROBE).is_none())
        };
        match finds_none() {
            Some(true) => Self::Nothing,
            Some(false) | None => Self::SeekHole,
        }
    }

    /// Returns the offset of a part of the first `size` bytes that was never written; `None` if
    /// none is known.
    pub fn first_unwritten(self, file: &File, size: u64) -> io::Result<Option<u64>> {
        match self {
            Self::SeekHole => Ok(first_hole(file, size)),
            Self::Nothing => first_zero_sector(file, size),
        }
    }
}

/// Returns the first hole that the file system reports.
pub(super) fn first_hole(file: &File, size: u64) -> Option<u64> {
    seek(file, SeekFrom::Hole(0))
        .ok()
        .filter(|&hole| hole < size)
}

/// Returns the first of several sampled sectors, including the last, that contains only zeros.
fn first_zero_sector(file: &File, size: u64) -> io::Result<Option<u64>> {
    let file = Uncached::new(file);
    let mut page = MmapMut::map_anon(PAGE)?;
    let last = size.saturating_sub(1);
    for sample in 1..=SAMPLES {
        let offset = (u128::from(last) * u128::from(sample) / u128::from(SAMPLES)) as u64;
        let offset = offset / PAGE as u64 * PAGE as u64;
        let read = file.read_at(&mut page, offset)?;
        let within = read.min(usize::try_from(size - offset).unwrap_or(usize::MAX));
        let zeros = page[..within]
            .chunks(SECTOR)
            .position(|sector| sector.iter().all(|&byte| byte == 0));
        if let Some(sector) = zeros {
            return Ok(Some(offset + (sector * SECTOR) as u64));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    const SIZE: u64 = 1 << 20;

    fn written() -> File {
        let file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        file.write_all_at(&vec![7; SIZE as usize], 0).unwrap();
        file
    }

    #[test]
    fn both_methods_find_a_hole_but_none_in_a_written_file() {
        let whole = written();
        assert_eq!(first_hole(&whole, SIZE), None);
        assert_eq!(first_zero_sector(&whole, SIZE).unwrap(), None);
        let sparse = written();
        sparse.set_len(SIZE / 2).unwrap();
        sparse.set_len(SIZE).unwrap();
        assert_eq!(first_hole(&sparse, SIZE), Some(SIZE / 2));
        assert!(first_zero_sector(&sparse, SIZE).unwrap().is_some());
        // Holes beyond the size in use do not matter.
        assert_eq!(first_hole(&sparse, SIZE / 2), None);
        assert_eq!(first_zero_sector(&sparse, SIZE / 2).unwrap(), None);
    }

    #[test]
    fn the_file_system_of_the_source_reports_holes() {
        let dir = File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
        assert_eq!(HoleReporting::of(dir.as_fd()), HoleReporting::SeekHole);
    }
}
