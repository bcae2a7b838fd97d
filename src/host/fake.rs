//! A root made up for a test.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::root::Root;

/// A temporary folder that stands for `/`, for as long as this lives.
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

    /// With a file, and a newline at the end of its text as the kernel has it.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        fs::write(self.place(path), format!("{text}\n")).expect("a file in the fake root");
        self
    }

    /// With an empty folder.
    pub(crate) fn folder(self, path: &str) -> Self {
        fs::create_dir_all(self.place(path)).expect("a folder in the fake root");
        self
    }

    /// With a symbolic link.
    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        symlink(target, self.place(path)).expect("a link in the fake root");
        self
    }

    /// To be read.
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
