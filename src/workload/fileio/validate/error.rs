//! The error of a block with unexpected content.

use std::fmt;
use std::path::PathBuf;

use crate::workload::fileio::data::block_header::BlockError;
use crate::workload::fileio::requests::Extent;

/// A block with unexpected content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// The block.
    pub block: Extent,
    /// What is wrong with it.
    pub error: BlockError,
}

impl Mismatch {
    /// Adds the path of the block's file.
    pub fn in_file(self, path: PathBuf) -> ValidationError {
        ValidationError {
            path,
            mismatch: self,
        }
    }
}

/// A [`Mismatch`], with the path of its file.
#[derive(Debug)]
pub struct ValidationError {
    path: PathBuf,
    mismatch: Mismatch,
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { block, error } = self.mismatch;
        write!(
            f,
            "validation: invalid block of {} bytes at offset {} of {}: {error}",
            block.len,
            block.offset,
            self.path.display()
        )
    }
}

impl std::error::Error for ValidationError {}
