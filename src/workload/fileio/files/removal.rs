//! Removal of the files of a set.

use std::collections::BTreeSet;

use anyhow::{Context, Error, Result, bail};
use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::check::NOT_OWNED;
use super::{FileEntry, FileId, Ownership, TestFiles, directory, name};
use crate::format::count;

impl TestFiles {
    /// Removes the set: under [`Ownership::Mark`] only files that wbench wrote. Also removes files
    /// with temporary names that a killed process left.
    ///
    /// Tries all of them, then fails for those that remain.
    pub fn remove(&self) -> Result<()> {
        let mut left = Vec::new();
        let mut removed = Ok(());
        for file in self.numbers() {
            match self.remove_one(file) {
                Ok(None) => {}
                Ok(Some(why)) => left.push((file, why)),
                Err(error) => removed = removed.and(Err(error)),
            }
        }
        removed?;
        self.remove_temporaries()?;
        match left.as_slice() {
            [] => Ok(()),
            [(file, why), ..] => bail!(
                "{} in {} not removed, such as {}: it {why}; remove it yourself, or choose another \
                 directory with --dir",
                count(left.len() as u64, "file"),
                self.path.display(),
                name::of(*file)
            ),
        }
    }

    /// Removes files with temporary names that a killed process left. The lock guarantees that no
    /// process is creating one.
    pub fn remove_temporaries(&self) -> Result<()> {
        directory::remove_temporaries(&*self.dir)
            .with_context(|| format!("removing temporary files in {}", self.path.display()))
    }

    /// Removes an existing entry, so that a new file can take its name; fails if it may not be
    /// removed.
    pub(super) fn remove_existing(&self, file: u32) -> Result<()> {
        match self.remove_one(file)? {
            None => Ok(()),
            Some(why) => bail!(
                "{} is in the way of a test file, and {why}; remove it, or choose another \
                 directory with --dir",
                self.path_of(file).display()
            ),
        }
    }

    /// Removes the files that this process created: all that it can, then fails with the first
    /// error.
    pub fn remove_created(&self) -> Result<()> {
        let created = self.created().clone();
        let removed = created
            .into_iter()
            .map(|(file, id)| self.unlink_if(file, id).map(drop));
        removed.fold(Ok(()), Result::and)
    }

    /// Keeps all files that this process created.
    pub fn keep_created(&self) {
        self.created().clear();
    }

    /// Keeps these files, if this process created them.
    pub fn keep(&self, files: &BTreeSet<u32>) {
        self.created().retain(|file, _| !files.contains(file));
    }

    /// Removes whatever has this name if allowed; otherwise returns why not.
    fn remove_one(&self, file: u32) -> Result<Option<String>> {
        match self.entry(file)? {
            FileEntry::Missing => Ok(None),
            FileEntry::Other(kind) => Ok(Some(format!("is {kind}"))),
            FileEntry::Regular { .. } if self.ownership == Ownership::Name => {
                self.unlink(file).map(|()| None)
            }
            FileEntry::Regular { .. } => {
                let opened = self.open_for_reading(file)?;
                if !self.is_marked(file, &opened)? {
                    return Ok(Some(NOT_OWNED.to_owned()));
                }
                let stat = fstat(&opened).with_context(|| self.about("checking", file))?;
                let left = self.unlink_if(file, FileId::of(&stat))?;
                Ok(left.map(str::to_owned))
            }
        }
    }

    /// Removes a name if it still refers to this file; otherwise returns why not.
    fn unlink_if(&self, file: u32, id: FileId) -> Result<Option<&'static str>> {
        match self.stat(file)? {
            Some(stat) if FileId::of(&stat) != id => Ok(Some("was put there by another process")),
            _ => self.unlink(file).map(|()| None),
        }
    }

    fn unlink(&self, file: u32) -> Result<()> {
        let name = name::of(file);
        match unlinkat(&*self.dir, name.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {
                self.created().remove(&file);
                Ok(())
            }
            Err(errno) => Err(Error::new(errno).context(self.about("removing", file))),
        }
    }
}

/// Removes what this process created when it goes out of scope, also on a panic.
#[derive(Debug)]
pub struct CleanUp<'a>(pub &'a TestFiles);

impl Drop for CleanUp<'_> {
    fn drop(&mut self) {
        // The normal path calls `remove_created` itself and reports its errors.
        let _ = self.0.remove_created();
    }
}
