//! A fake root directory for tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::root::Root;

/// A temporary directory in place of `/`, removed on drop.
pub(crate) struct FakeRoot {
    root: Root,
    _folder: TempDir,
}

impl FakeRoot {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            root: Root::at(folder.path()),
            _folder: folder,
        }
    }

    /// Adds a file; its text gets a final newline, as in the kernel's files.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        fs::write(self.place(path), format!("{text}\n")).expect("a file in the fake root");
        self
    }

    /// Adds an empty directory.
    pub(crate) fn folder(self, path: &str) -> Self {
        fs::create_dir_all(self.place(path)).expect("a folder in the fake root");
        self
    }

    /// Adds a symbolic link.
    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        symlink(target, self.place(path)).expect("a link in the fake root");
        self
    }

    /// Returns the root to read from.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    fn place(&self, path: &str) -> PathBuf {
        let place = self.root.path(path);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).expect("a folder in the fake root");
        }
        place
    }
}
