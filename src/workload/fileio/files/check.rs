//! Whether the files of a set can be used as they are, must be written, or must not be replaced.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail, ensure};

use super::unwritten::{self, HoleReporting};
use super::{FileEntry, Ownership, TestFiles, cache, ownership};
use crate::signal;
use crate::workload::fileio::data::{block_header, pattern};
use crate::workload::fileio::requests::Extent;

/// Why a file cannot be used until `prepare` has written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    Missing,
    TooSmall {
        /// Size in bytes.
        size: u64,
        /// Size that it must have.
        expected: u64,
    },
    /// Part of it was never written.
    Unwritten {
        offset: u64,
    },
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::TooSmall { size, expected } => {
                write!(f, "is too small: {size} bytes instead of {expected}")
            }
            Self::Unwritten { offset } => write!(
                f,
                "was not written in full: the part at offset {offset} is a hole, and reading it \
                 reaches no device"
            ),
        }
    }
}

impl TestFiles {
    /// Fails if a file of the set cannot be used.
    pub fn check(&self) -> Result<()> {
        for file in self.numbers() {
            if let Some(defect) = self.defect(file)? {
                bail!(
                    "the test file {} {defect}; run 'prepare' with the same number of files, total \
                     and block size",
                    self.path_of(file).display(),
                );
            }
        }
        Ok(())
    }

    /// Returns the files that must be written before a run can use the set: those with a defect, or
    /// all of them if the plan says so. Fails if a file may not be replaced.
    pub fn files_to_complete(&self) -> Result<Vec<u32>> {
        self.files_to_write(|file| Ok(self.defect(file)?.is_some()))
    }

    /// Returns the files that `prepare` must write: those without the required content, or all of
    /// them if the plan says so. Fails if a file may not be replaced.
    pub fn files_to_prepare(&self) -> Result<Vec<u32>> {
        self.files_to_write(|file| Ok(!self.has_required_content(file)?))
    }

    fn files_to_write(&self, is_needed: impl Fn(u32) -> Result<bool>) -> Result<Vec<u32>> {
        self.check_replaceable()?;
        let mut needed = Vec::new();
        for file in self.numbers() {
            if self.recreate || is_needed(file)? {
                needed.push(file);
            }
        }
        Ok(needed)
    }

    /// Fails if an entry with the name of a file of the set may not be replaced.
    pub fn check_replaceable(&self) -> Result<()> {
        for file in self.numbers() {
            let path = self.path_of(file);
            let path = path.display();
            match self.entry(file)? {
                FileEntry::Missing => {}
                FileEntry::Other(kind) => {
                    bail!("{path} is {kind}, in the way of a test file; remove it")
                }
                FileEntry::Regular { .. } => ensure!(
                    self.is_owned(file)?,
                    "{path} {NOT_OWNED} and is in the way of a test file; remove it, or choose \
                     another directory with --dir"
                ),
            }
        }
        Ok(())
    }

    /// Returns the size of each file of the set; `None` for a missing one.
    ///
    /// Fails if an entry with the name of a test file is not a regular file.
    pub fn sizes(&self) -> Result<Vec<Option<u64>>> {
        let size = |file| match self.entry(file)? {
            FileEntry::Missing => Ok(None),
            FileEntry::Regular { size } => Ok(Some(size)),
            FileEntry::Other(kind) => {
                bail!(
                    "{} is {kind}, not a test file",
                    self.path_of(file).display()
                )
            }
        };
        self.numbers().map(size).collect()
    }

    /// Returns the files of the set whose names exist.
    pub fn present(&self) -> Result<BTreeSet<u32>> {
        let mut present = BTreeSet::new();
        for file in self.numbers() {
            if self.entry(file)? != FileEntry::Missing {
                present.insert(file);
            }
        }
        Ok(present)
    }

    /// Returns whether no file of the set exists.
    pub fn are_absent(&self) -> Result<bool> {
        Ok(self.present()?.is_empty())
    }

    /// Returns whether part of the set is known to be unwritten. Under [`Ownership::Mark`] such a
    /// set fails [`Self::check`]; files that other programs wrote are accepted.
    pub fn have_holes(&self) -> Result<bool> {
        if self.ownership == Ownership::Mark {
            return Ok(false);
        }
        for file in self.numbers() {
            let opened = self.open_for_reading(file)?;
            if unwritten::first_hole(&opened, self.set.file_size).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Syncs the whole set to the device and drops its pages from the page cache.
    pub fn drop_cache(&self) -> Result<()> {
        for file in self.numbers() {
            signal::go_on()?;
            self.open_uncached(file)?;
        }
        Ok(())
    }

    /// Opens a file of the set to read it, without its pages in the page cache.
    pub fn open_uncached(&self, file: u32) -> Result<File> {
        let opened = self.open_for_reading(file)?;
        cache::drop_pages(&opened).with_context(|| self.about("syncing", file))?;
        Ok(opened)
    }

    /// Returns how many bytes of the set are cached; `None` if the kernel does not report it.
    pub fn resident_bytes(&self) -> Result<Option<u64>> {
        let mut sum = 0;
        for file in self.numbers() {
            let opened = self.open_for_reading(file)?;
            let Some(bytes) = cache::resident_bytes(&opened, self.set.file_size) else {
                return Ok(None);
            };
            sum += bytes;
        }
        Ok(Some(sum))
    }

    /// Returns whether a regular file may be used, overwritten and removed as a test file.
    fn is_owned(&self, file: u32) -> Result<bool> {
        Ok(self.ownership == Ownership::Name
            || self.is_marked(file, &self.open_for_reading(file)?)?)
    }

    pub(super) fn is_marked(&self, file: u32, opened: &File) -> Result<bool> {
        ownership::is_marked(opened).with_context(|| self.about("reading", file))
    }

    /// Returns why a file cannot be used; fails if `prepare` may not replace it.
    fn defect(&self, file: u32) -> Result<Option<Defect>> {
        let expected = self.set.file_size;
        let path = self.path_of(file);
        let path = path.display();
        let size = match self.entry(file)? {
            FileEntry::Missing => return Ok(Some(Defect::Missing)),
            FileEntry::Other(kind) => bail!("{path} is {kind}, not a test file"),
            FileEntry::Regular { size } => size,
        };
        if self.ownership == Ownership::Mark {
            let opened = self.open_for_reading(file)?;
            ensure!(
                self.is_marked(file, &opened)?,
                "{path} {NOT_OWNED}; remove it, or choose another directory with --dir"
            );
            if size >= expected {
                let unwritten = self.first_unwritten(file, &opened)?;
                return Ok(unwritten.map(|offset| Defect::Unwritten { offset }));
            }
        }
        Ok((size < expected).then_some(Defect::TooSmall { size, expected }))
    }

    /// Returns the offset of a part of an open file that was never written.
    fn first_unwritten(&self, file: u32, opened: &File) -> Result<Option<u64>> {
        let reporting = *self
            .hole_reporting
            .get_or_init(|| HoleReporting::of(self.dir.as_fd()));
        reporting
            .first_unwritten(opened, self.set.file_size)
            .with_context(|| self.about("reading", file))
    }

    /// Returns whether a file has the right size, and wbench's data from its first block to its
    /// last, with block headers if required.
    fn has_required_content(&self, file: u32) -> Result<bool> {
        let size = self.set.file_size;
        if self.ownership == Ownership::Name || self.entry(file)? != (FileEntry::Regular { size }) {
            return Ok(false);
        }
        let opened = self.open_for_reading(file)?;
        if self.first_unwritten(file, &opened)?.is_some() {
            return Ok(false);
        }
        let len = usize::try_from(self.set.block_size)?;
        let mut block = vec![0; len];
        for offset in [0, size - self.set.block_size] {
            let extent = Extent { file, offset, len };
            let is_read = opened.read_exact_at(&mut block, offset).is_ok();
            let is_stamped = block.first_chunk().is_some_and(pattern::is_stamped);
            let is_valid = || !self.validate || block_header::check(&block, extent).is_ok();
            if !(is_read && is_stamped && is_valid()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What is wrong with a file that has a test file's name but not the ownership mark.
pub(super) const NOT_OWNED: &str = "was not written by wbench";
