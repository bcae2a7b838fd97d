//! Test files: their number and sizes, and where they are.

use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::size::Size;

/// A set of test files: `test_file.0` and up, all of the same size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSet {
    /// Files in the set.
    pub files: NonZeroU32,
    /// Size of each file in bytes, a multiple of the block size.
    pub file_size: u64,
    /// Block size in bytes.
    pub block_size: u64,
    /// Bytes by which each file was rounded down to whole blocks.
    pub lost: u64,
    /// Bytes of the total size that are in no file, as the number of files does not divide it.
    pub remainder: u64,
}

impl FileSet {
    /// Divides a total size among files, each rounded down to whole blocks.
    ///
    /// Fails if a size is 0, a file would be smaller than a block, or too large for a file system.
    pub fn new(total_size: u64, files: NonZeroU32, block_size: u64) -> Result<Self> {
        ensure!(block_size > 0, "invalid block size 0: expected at least 1");
        ensure!(total_size > 0, "invalid total size 0: expected at least 1");
        let exact = total_size / u64::from(files.get());
        let lost = exact % block_size;
        let file_size = exact - lost;
        if file_size == 0 {
            bail!(
                "a block of {} is larger than a file: {} in {} files is {} per file; choose a \
                 smaller block size, fewer files or a larger total size",
                Size(block_size),
                Size(total_size),
                files,
                Size(exact)
            );
        }
        ensure!(
            i64::try_from(file_size).is_ok(),
            "invalid file size {file_size}: larger than any file system supports; choose more files or \
             a smaller total size"
        );
        Ok(Self {
            files,
            file_size,
            block_size,
            lost,
            // The rounding of the files is reported, and leaves nothing beyond them.
            remainder: match lost {
                0 => total_size % u64::from(files.get()),
                _ => 0,
            },
        })
    }

    /// Describes the rounding to whole blocks; None if nothing was rounded.
    pub fn rounding(&self) -> Option<String> {
        (self.lost > 0).then(|| {
            format!(
                "file size {} is not a multiple of the block size {}: rounded down to {} bytes",
                self.file_size + self.lost,
                self.block_size,
                self.file_size
            )
        })
    }

    /// Total size of all files in bytes.
    pub fn total_size(&self) -> u64 {
        self.file_size * u64::from(self.files.get())
    }

    /// Size over which random positions are drawn: as in sysbench, with the bytes that are in no
    /// file.
    pub fn position_range(&self) -> u64 {
        self.total_size() + self.remainder
    }
}

/// A set of test files in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlan {
    /// Directory of the files.
    pub dir: PathBuf,
    /// Number and sizes of the files.
    pub set: FileSet,
    /// Each block has a header by which a run verifies its content.
    pub validate: bool,
    /// Rewrite files even if they are complete.
    pub recreate: bool,
}

/// Which steps of a file I/O job to do around a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileHandling {
    /// Run on existing files and keep them.
    AsTheyAre,
    /// Prepare missing files, run, and remove the files that were prepared.
    Whole,
    /// Prepare missing files, run, and keep all files.
    MakeAndKeep,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nonzero(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("not zero")
    }

    proptest! {
        #[test]
        fn a_file_set_is_whole_blocks_and_loses_less_than_a_block_per_file(
            total in 1u64..1 << 45, files in 1u32..5000, block in 1u64..1 << 24
        ) {
            let Ok(set) = FileSet::new(total, nonzero(files), block) else {
                prop_assert!(total / u64::from(files) < block);
                return Ok(());
            };
            prop_assert_eq!(set.file_size % block, 0);
            prop_assert!(set.total_size() <= total);
            prop_assert!(total - set.total_size() < (block + 1) * u64::from(files));
        }
    }

    #[test]
    fn a_block_larger_than_a_file_is_refused_with_the_sizes() {
        let error = FileSet::new(1 << 20, nonzero(128), 16 << 10).unwrap_err();
        assert!(error.to_string().contains("16K"), "{error}");
        assert!(error.to_string().contains("8K"), "{error}");
    }
}
