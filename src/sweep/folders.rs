//! A folder for each instance, and nothing of it left when the sweep ends.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Instance, Sweep};

/// What the name of a sweep's folder begins with.
const PREFIX: &str = "wbench-sweep-";

/// The folder of a sweep, with one in it for each instance at work. Dropped, it is removed.
#[derive(Debug)]
pub struct Folders {
    root: Option<PathBuf>,
}

impl Folders {
    /// None are needed.
    pub fn none() -> Self {
        Self { root: None }
    }

    /// Makes the folder of a sweep in another.
    pub fn in_folder(dir: &Path) -> Result<Self> {
        let root = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in(dir)
            .with_context(|| {
                format!(
                    "making a folder in {}; name another with --dir",
                    dir.display()
                )
            })?;
        Ok(Self {
            root: Some(root.keep()),
        })
    }

    /// Folders of other sweeps in that folder: at work, or killed before they could remove them.
    pub fn of_others(dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let names = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
        names.map(|entry| entry.path()).collect()
    }

    /// Makes the folder of an instance; an empty path where none is needed.
    pub fn make(&self, sweep: &Sweep, instance: Instance) -> Result<PathBuf> {
        let Some(root) = &self.root else {
            return Ok(PathBuf::new());
        };
        let Instance {
            concurrency,
            number,
            ..
        } = instance;
        let folder = root.join(format!("{}-{concurrency}-{number}", sweep.env(instance)));
        fs::create_dir(&folder)
            .with_context(|| format!("making the folder {}", folder.display()))?;
        Ok(folder)
    }

    /// Removes the folder of an instance that has ended, with the files in it. Gives the sentence
    /// that says what stays, if something does: a folder in it may be the mount of another file
    /// system, and is left alone.
    pub fn remove(&self, folder: &Path) -> Option<String> {
        self.root.as_ref()?;
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            entries => entries.into_iter().flatten().flatten(),
        };
        for entry in entries {
            // What is no folder is unlinked, and no link is followed. What fails, stays.
            let _ = fs::remove_file(entry.path());
        }
        let error = fs::remove_dir(folder).err()?;
        let mut names: Vec<String> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names.truncate(3);
        let left = match names.is_empty() {
            true => error.to_string(),
            false => format!("it has {} in it", names.join(", ")),
        };
        Some(format!("{} stays: {left}", folder.display()))
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        if let Some(root) = &self.root {
            // What stays in it has been named.
            let _ = fs::remove_dir(root);
        }
    }
}
