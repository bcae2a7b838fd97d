//! Directories of other sweeps: those of killed sweeps are removed.
//!
//! Removes only what a sweep creates: the directory, directories in it, and test files with this
//! program's mark in those. An instance that outlives its sweep holds the lock of its directory.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nix::errno::Errno;

use super::PREFIX;
use super::handle::{DirectoryHandle, LockState, NotRemoved};
use crate::error::describe_errno;
use crate::sweep::token::is_token;

/// The directory of another sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherSweep {
    /// It was killed; its directory is now removed.
    Removed(PathBuf),
    /// It was killed; its directory could not be removed.
    NotRemoved(NotRemoved),
    /// It is running in this process.
    Running(PathBuf, String),
    /// Whether it is running is unknown.
    Unknown(PathBuf, Errno),
}

/// Finds the directories of other sweeps of this user in `dir` and removes those of killed sweeps.
pub fn remove_abandoned(dir: &Path) -> Result<Vec<OtherSweep>> {
    let parent = DirectoryHandle::open(dir)?;
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.strip_prefix(PREFIX).is_some_and(is_token))
        .collect();
    names.sort();
    let found = names.iter().filter_map(|name| inspect(&parent, name));
    Ok(found.collect())
}

/// Removes the directory with this name if its sweep was killed; None if it is not the directory of
/// a sweep of this user.
fn inspect(parent: &DirectoryHandle, name: &str) -> Option<OtherSweep> {
    let directory = parent.open_child(name).ok()??;
    if !directory.is_own() {
        return None;
    }
    let path = directory.path().to_owned();
    Some(match directory.lock() {
        LockState::InUse(holder) => OtherSweep::Running(path, holder),
        LockState::Unsupported(errno) => OtherSweep::Unknown(path, errno),
        LockState::Locked => match remove(parent, &directory) {
            Ok(()) => OtherSweep::Removed(path),
            Err(error) => OtherSweep::NotRemoved(error),
        },
    })
}

fn remove(parent: &DirectoryHandle, directory: &DirectoryHandle) -> Result<(), NotRemoved> {
    let failed = |errno| NotRemoved::system_call(directory, errno);
    for name in directory.remove_test_files().map_err(failed)? {
        if let Some(child) = directory.open_child(&name).map_err(failed)? {
            if let LockState::InUse(holder) = child.lock() {
                return Err(NotRemoved::in_use(&child, holder));
            }
            directory.remove(&child)?;
        }
    }
    parent.remove(directory)
}

impl fmt::Display for OtherSweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed(path) => write!(f, "removed {}, left by a killed sweep", path.display()),
            Self::NotRemoved(error) => write!(f, "warning: {error}"),
            Self::Running(path, holder) => write!(
                f,
                "warning: {} belongs to a sweep that is running ({holder}): each affects the \
                 results of the other",
                path.display()
            ),
            Self::Unknown(path, errno) => write!(
                f,
                "warning: {} belongs to another sweep, and cannot be locked: {}; if that sweep was \
                 killed, remove the directory",
                path.display(),
                describe_errno(*errno)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::sweep::directory::SweepDirectory;
    use crate::sweep::token::token;

    /// The directory of a killed sweep: nothing holds its lock.
    fn abandoned(dir: &Path) -> PathBuf {
        let path = dir.join(format!("{PREFIX}{}", token()));
        fs::create_dir(&path).unwrap();
        path
    }

    /// Creates a directory with a test file under creation.
    fn create_with_test_file(directory: &Path) {
        fs::create_dir(directory).unwrap();
        fs::write(directory.join(".test_file.0.wbench-17"), "").unwrap();
    }

    #[test]
    fn the_directory_of_a_killed_sweep_is_removed_with_its_test_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = abandoned(dir.path());
        for name in ["trial", "native-1-1", "native-1-2"] {
            create_with_test_file(&path.join(name));
        }
        let found = remove_abandoned(dir.path()).unwrap();
        assert_eq!(found, [OtherSweep::Removed(path.clone())]);
        assert!(!path.exists());
    }

    #[test]
    fn the_directory_of_a_running_sweep_is_kept_and_its_process_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let running = SweepDirectory::create_in(dir.path()).unwrap();
        let found = remove_abandoned(dir.path()).unwrap();
        let [other] = &found[..] else {
            panic!("{found:?}");
        };
        let message = other.to_string();
        let process = format!("process {}", std::process::id());
        assert!(message.contains(&process), "{message}");
        running.finish().unwrap();
        assert_eq!(remove_abandoned(dir.path()).unwrap(), []);
    }

    #[test]
    fn a_directory_in_use_by_an_instance_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = abandoned(dir.path());
        fs::create_dir(path.join("native-1-1")).unwrap();
        let instance = DirectoryHandle::open(&path.join("native-1-1")).unwrap();
        assert_eq!(instance.lock(), LockState::Locked);
        let message = remove_abandoned(dir.path()).unwrap()[0].to_string();
        assert!(message.contains("native-1-1 was not removed"), "{message}");
        assert!(message.contains("in use by process"), "{message}");
        drop(instance);
        let found = remove_abandoned(dir.path()).unwrap();
        assert_eq!(found, [OtherSweep::Removed(path)]);
    }

    #[test]
    fn other_entries_and_names_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = abandoned(dir.path());
        create_with_test_file(&path.join("native-1-1"));
        fs::write(path.join("native-1-1/notes"), "mine").unwrap();
        let named_alike = dir.path().join(format!("{PREFIX}notes"));
        fs::create_dir_all(named_alike.join("empty")).unwrap();
        let link = dir.path().join(format!("{PREFIX}{}", token()));
        symlink(&named_alike, &link).unwrap();
        let found = remove_abandoned(dir.path()).unwrap();
        let [OtherSweep::NotRemoved(error)] = &found[..] else {
            panic!("{found:?}");
        };
        let message = error.to_string();
        assert!(message.contains("native-1-1 was not removed"), "{message}");
        assert!(path.join("native-1-1/notes").exists());
        assert!(named_alike.join("empty").exists() && link.is_symlink());
    }
}
