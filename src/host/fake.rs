//! A fake root directory for tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::root::SystemRoot;

/// A temporary directory in place of `/`, removed on drop.
pub(crate) struct FakeRoot {
    root: SystemRoot,
    _directory: TempDir,
}

impl FakeRoot {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self {
            root: SystemRoot::at(directory.path()),
            _directory: directory,
        }
    }

    /// Adds a file; its text gets a final newline, as in the kernel's files.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        fs::write(self.create_parent(path), format!("{text}\n")).expect("a file in the fake root");
        self
    }

    /// Adds an empty directory.
    pub(crate) fn directory(self, path: &str) -> Self {
        fs::create_dir_all(self.create_parent(path)).expect("a directory in the fake root");
        self
    }

    /// Adds a symbolic link.
    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        symlink(target, self.create_parent(path)).expect("a link in the fake root");
        self
    }

    /// Returns the root to read from.
    pub(crate) fn root(&self) -> &SystemRoot {
        &self.root
    }

    fn create_parent(&self, path: &str) -> PathBuf {
        let path = self.root.path(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a directory in the fake root");
        }
        path
    }
}
