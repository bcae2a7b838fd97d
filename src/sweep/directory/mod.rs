//! Directory of a sweep, with one subdirectory per instance, all removed at its end.
//!
//! The sweep holds a lock on its directory, by which a later sweep recognizes one that was killed.

pub mod abandoned;
mod handle;

use std::path::Path;

use anyhow::Result;

use super::{Instance, Sweep};
use handle::LockState;
pub use handle::{DirectoryHandle, NotRemoved};

/// Prefix of the name of a sweep's directory; a token follows.
const PREFIX: &str = "wbench-sweep-";

/// Directory of a sweep. Drop removes it if it is empty.
#[derive(Debug)]
pub struct SweepDirectory(Option<Tree>);

#[derive(Debug)]
struct Tree {
    /// The directory chosen by the user.
    parent: DirectoryHandle,
    root: DirectoryHandle,
}

impl SweepDirectory {
    /// For instances that need no directories.
    pub fn none() -> Self {
        Self(None)
    }

    /// Creates the directory of a sweep in `dir`.
    pub fn create_in(dir: &Path) -> Result<Self> {
        let parent = DirectoryHandle::open(dir)?;
        let root = create_locked(&parent)?;
        Ok(Self(Some(Tree { parent, root })))
    }

    /// Creates the directory of an instance; None if it needs none.
    pub fn create_for(&self, sweep: &Sweep, instance: Instance) -> Result<Option<DirectoryHandle>> {
        let Instance {
            concurrency,
            number,
            ..
        } = instance;
        self.create(&format!("{}-{concurrency}-{number}", sweep.env(instance)))
    }

    /// Creates a directory with this name; None if instances need none.
    pub fn create(&self, name: &str) -> Result<Option<DirectoryHandle>> {
        self.0
            .as_ref()
            .map(|tree| tree.root.create(name))
            .transpose()
    }

    /// Removes one of the directories, with the test files in it.
    pub fn remove(&self, directory: &DirectoryHandle) -> Result<(), NotRemoved> {
        self.0
            .as_ref()
            .map_or(Ok(()), |tree| tree.root.remove(directory))
    }

    /// Removes the directory of the sweep.
    pub fn finish(mut self) -> Result<(), NotRemoved> {
        self.0.take().map_or(Ok(()), |tree| tree.remove())
    }
}

impl Tree {
    fn remove(&self) -> Result<(), NotRemoved> {
        self.parent.remove(&self.root)
    }
}

impl Drop for SweepDirectory {
    fn drop(&mut self) {
        if let Some(tree) = &self.0 {
            // After a panic or an early error; only `finish` reports why it was not removed.
            let _ = tree.remove();
        }
    }
}

/// Creates and locks a directory. Another sweep may take it for abandoned, and remove it, before it
/// is locked.
fn create_locked(parent: &DirectoryHandle) -> Result<DirectoryHandle> {
    loop {
        let root = parent.create_unique(PREFIX)?;
        let is_taken = matches!(root.lock(), LockState::InUse(_)) || parent.has_lost(&root);
        if !is_taken {
            return Ok(root);
        }
        // The other sweep removes it too, unless this one was faster.
        let _ = parent.remove(&root);
    }
}
