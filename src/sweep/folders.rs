//! Directory of a sweep, with one subdirectory per instance, all removed at its end.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::directory::{Directory, Stays};
use super::{Instance, Sweep};

/// Prefix of the name of a sweep's directory.
const PREFIX: &str = "wbench-sweep-";

/// Directory of a sweep. Drop removes it if it is empty.
#[derive(Debug)]
pub struct Folders(Option<Tree>);

#[derive(Debug)]
struct Tree {
    /// Parent directory, chosen by the user.
    place: Directory,
    root: Directory,
}

impl Folders {
    /// For instances that need no directories.
    pub fn none() -> Self {
        Self(None)
    }

    /// Creates the directory of a sweep in `dir`.
    pub fn in_folder(dir: &Path) -> Result<Self> {
        let place = Directory::open(dir)?;
        let root = place.create_unique(PREFIX)?;
        Ok(Self(Some(Tree { place, root })))
    }

    /// Finds directories of other sweeps in `dir`: still running, or killed before they could
    /// remove them.
    pub fn of_others(dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let names = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
        names.map(|entry| entry.path()).collect()
    }

    /// Creates the directory of an instance; None if it needs none.
    pub fn make(&self, sweep: &Sweep, instance: Instance) -> Result<Option<Directory>> {
        let Instance {
            concurrency,
            number,
            ..
        } = instance;
        self.make_named(&format!("{}-{concurrency}-{number}", sweep.env(instance)))
    }

    /// Creates a directory with this name; None if instances need none.
    pub fn make_named(&self, name: &str) -> Result<Option<Directory>> {
        self.0
            .as_ref()
            .map(|tree| tree.root.create(name))
            .transpose()
    }

    /// Removes one of the directories, with the test files in it.
    pub fn remove(&self, made: &Directory) -> Result<(), Stays> {
        self.0
            .as_ref()
            .map_or(Ok(()), |tree| tree.root.remove(made))
    }

    /// Removes the directory of the sweep.
    pub fn finish(mut self) -> Result<(), Stays> {
        self.0.take().map_or(Ok(()), |tree| tree.remove())
    }
}

impl Tree {
    fn remove(&self) -> Result<(), Stays> {
        self.place.remove(&self.root)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        if let Some(tree) = &self.0 {
            // After a panic or an early error; `finish` reports what stays.
            let _ = tree.remove();
        }
    }
}
