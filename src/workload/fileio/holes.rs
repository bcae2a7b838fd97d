//! Parts of test files that were never written.
//!
//! Reading them reaches no device: the kernel returns zeros. Holes count, as do extents that were
//! only reserved; ext4, XFS, Btrfs, F2FS and tmpfs report both through SEEK_HOLE. On a file system
//! that cannot report them, the files are sampled for sectors of zeros, which wbench never writes.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use memmap2::MmapMut;
use rustix::fs::{SeekFrom, ftruncate, seek};

use super::birth;
use super::direct::Uncached;
use super::pattern::{PAGE, SECTOR};

/// Sectors read per file if the file system cannot report holes.
const SAMPLES: u64 = 8;

/// Size in bytes of the file that tests whether holes are reported.
const PROBE: u64 = 1 << 20;

/// Whether a file system reports holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reporting {
    /// Through SEEK_HOLE; also assumed if no file can be created to test it.
    SeekHole,
    /// SEEK_HOLE finds only the end of the file.
    Nothing,
}

impl Reporting {
    /// Tests the file system with an unnamed file.
    pub fn of(folder: BorrowedFd<'_>) -> Self {
        let finds_none = || -> Option<bool> {
            let probe = birth::unnamed(folder).ok()?;
            ftruncate(&probe, PROBE).ok()?;
            Some(reported(&probe, PROBE).is_none())
        };
        match finds_none() {
            Some(true) => Self::Nothing,
            Some(false) | None => Self::SeekHole,
        }
    }

    /// Returns the offset of a part of the first `size` bytes that was never written; `None` if
    /// none is known.
    pub fn first_hole(self, file: &File, size: u64) -> io::Result<Option<u64>> {
        match self {
            Self::SeekHole => Ok(reported(file, size)),
            Self::Nothing => sampled(file, size),
        }
    }
}

/// Returns the first hole that the file system reports.
pub(super) fn reported(file: &File, size: u64) -> Option<u64> {
    seek(file, SeekFrom::Hole(0))
        .ok()
        .filter(|&hole| hole < size)
}

/// Returns the first of several sampled sectors, including the last, that contains only zeros.
fn sampled(file: &File, size: u64) -> io::Result<Option<u64>> {
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
    fn both_methods_find_a_hole_and_none_in_a_written_file() {
        let whole = written();
        assert_eq!(reported(&whole, SIZE), None);
        assert_eq!(sampled(&whole, SIZE).unwrap(), None);
        let sparse = written();
        sparse.set_len(SIZE / 2).unwrap();
        sparse.set_len(SIZE).unwrap();
        assert_eq!(reported(&sparse, SIZE), Some(SIZE / 2));
        assert!(sampled(&sparse, SIZE).unwrap().is_some());
        // Holes beyond the size in use do not matter.
        assert_eq!(reported(&sparse, SIZE / 2), None);
        assert_eq!(sampled(&sparse, SIZE / 2).unwrap(), None);
    }

    #[test]
    fn the_file_system_of_the_source_reports_holes() {
        let folder = File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
        assert_eq!(Reporting::of(folder.as_fd()), Reporting::SeekHole);
    }
}
