//! Parts of test files that were never written.
//!
//! Reading them reaches no device: the kernel returns zeros. Both holes and extents that were only
//! reserved count; ext4, XFS, Btrfs, F2FS and tmpfs report either through SEEK_HOLE. On a file
//! system that cannot report them, the files are sampled for sectors of zeros, which wbench never
//! writes.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use memmap2::MmapMut;
use rustix::fs::{SeekFrom, ftruncate, seek};

use super::birth;
use super::direct::Uncached;
use super::pattern::{PAGE, SECTOR};

/// Sectors of each file that are read where the file system cannot report holes.
const SAMPLES: u64 = 8;

/// Bytes of the file that finds out whether holes are reported.
const PROBE: u64 = 1 << 20;

/// Whether a file system reports holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reporting {
    /// By SEEK_HOLE, or it is unknown because no file can be created to find out.
    SeekHole,
    /// SEEK_HOLE finds the end of the file only.
    Nothing,
}

impl Reporting {
    /// Finds out with a file that has no name.
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

    /// The offset of a part of the first `size` bytes that was never written; None if none is
    /// known.
    pub fn first_hole(self, file: &File, size: u64) -> io::Result<Option<u64>> {
        match self {
            Self::SeekHole => Ok(reported(file, size)),
            Self::Nothing => sampled(file, size),
        }
    }
}

/// The first hole as the file system reports it.
pub(super) fn reported(file: &File, size: u64) -> Option<u64> {
    seek(file, SeekFrom::Hole(0))
        .ok()
        .filter(|&hole| hole < size)
}

/// The first of some sectors, the last one among them, that holds nothing but zeros.
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
    fn a_hole_is_found_by_either_way_and_a_written_file_has_none() {
        let whole = written();
        assert_eq!(reported(&whole, SIZE), None);
        assert_eq!(sampled(&whole, SIZE).unwrap(), None);
        let sparse = written();
        sparse.set_len(SIZE / 2).unwrap();
        sparse.set_len(SIZE).unwrap();
        assert_eq!(reported(&sparse, SIZE), Some(SIZE / 2));
        assert!(sampled(&sparse, SIZE).unwrap().is_some());
        // What the set does not use does not matter.
        assert_eq!(reported(&sparse, SIZE / 2), None);
        assert_eq!(sampled(&sparse, SIZE / 2).unwrap(), None);
    }

    #[test]
    fn the_source_s_file_system_reports_holes() {
        let folder = File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
        assert_eq!(Reporting::of(folder.as_fd()), Reporting::SeekHole);
    }
}
