//! Inputs named on the command line, and their bytes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A source of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input (`-`).
    Stdin,
    /// A file, or a directory including all subdirectories.
    Path(PathBuf),
}

impl From<&Path> for Input {
    fn from(path: &Path) -> Self {
        match path == Path::new("-") {
            true => Self::Stdin,
            false => Self::Path(path.to_owned()),
        }
    }
}

impl Input {
    /// Reads a file or standard input; a file named by the user may be a FIFO.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Stdin => read_text(io::stdin().lock()),
            Self::Path(path) => read_text(File::open(path)?),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// Bytes read to detect a file that is not text: a sparse file or a device can be endless.
const PROBE: u64 = 1 << 16;

/// Reads to the end, or only the first [`PROBE`] bytes if these are not text.
pub fn read_text(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.by_ref().take(PROBE).read_to_end(&mut bytes)?;
    if !bytes.contains(&0) {
        from.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
