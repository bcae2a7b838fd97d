//! The root directory below which the files of the kernel and of the distribution are read.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The parent directory of /proc, /sys, /etc and so on, `/` by default.
///
/// It does not affect system calls: these report about the process itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemRoot(PathBuf);

impl Default for SystemRoot {
    fn default() -> Self {
        Self("/".into())
    }
}

impl SystemRoot {
    /// Creates a root other than the system's.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Returns a system path relocated below this root.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Reads a file and trims white space; None if it cannot be read or is blank.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        text(&self.path(path))
    }

    /// Reads a file as it is.
    pub(super) fn read(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let bytes = fs::read(self.path(path))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads the target of a symbolic link, unresolved.
    pub(super) fn link(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        fs::read_link(self.path(path)).ok()
    }

    /// Lists the entries of a directory; empty if it cannot be read.
    pub(super) fn entries(&self, path: impl AsRef<Path>) -> Vec<PathBuf> {
        entries(&self.path(path))
    }
}

/// [`SystemRoot::text`] of a path that is already below a root.
pub(super) fn text(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// [`SystemRoot::entries`] of a path that is already below a root.
pub(super) fn entries(path: &Path) -> Vec<PathBuf> {
    list(path).unwrap_or_default()
}

/// Lists the entries of a directory; fails if one of them cannot be read.
pub(super) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
}

/// Returns the active choice in a list such as `always [madvise] never`.
pub(super) fn bracketed(choices: &str) -> Option<&str> {
    let (_, rest) = choices.split_once('[')?;
    let (choice, _) = rest.split_once(']')?;
    Some(choice).filter(|choice| !choice.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_and_relative_paths_are_both_relocated_below_the_root() {
        let root = SystemRoot::at("/fake");
        assert_eq!(root.path("/proc/stat"), Path::new("/fake/proc/stat"));
        assert_eq!(root.path("proc/stat"), Path::new("/fake/proc/stat"));
    }

    #[test]
    fn only_a_word_in_brackets_is_the_active_choice() {
        assert_eq!(bracketed("always [madvise] never"), Some("madvise"));
        for none in ["always", "[", "]a[", "[]", ""] {
            assert_eq!(bracketed(none), None, "{none}");
        }
    }
}
