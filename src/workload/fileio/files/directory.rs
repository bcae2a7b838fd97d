//! Removal of test files by the names in a directory, without knowledge of their set.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{FileEntry, FileId, name, ownership};
use crate::beneath;

/// Removes wbench's test files from a directory, and returns the names of all other entries, sorted.
///
/// A test file has a test file's name and the ownership mark, or the temporary name of a file under
/// creation. Follows no symbolic link and crosses no mount point; what cannot be removed stays.
pub fn remove_test_files(dir: impl AsFd) -> nix::Result<Vec<String>> {
    let mut left: Vec<String> = names_in(&dir)?
        .iter()
        .filter(|name| !remove(&dir, name).is_ok_and(|removed| removed))
        .map(|name| name.to_string_lossy().into())
        .collect();
    left.sort();
    Ok(left)
}

/// Removes test files with temporary names, which only a killed process leaves behind. No process
/// may be creating test files in the directory.
pub(super) fn remove_temporaries(dir: impl AsFd) -> io::Result<()> {
    for name in names_in(&dir)? {
        if is(&name, name::is_temporary) {
            remove(&dir, &name)?;
        }
    }
    Ok(())
}

/// Returns the names in a directory, except for itself and its parent.
fn names_in(dir: impl AsFd) -> nix::Result<Vec<CString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut entries = Dir::openat(dir, c".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

fn is(name: &CStr, kind: impl Fn(&str) -> bool) -> bool {
    name.to_str().is_ok_and(kind)
}

/// Removes an entry if it is a test file of wbench; returns whether it was.
fn remove(dir: impl AsFd, name: &CStr) -> io::Result<bool> {
    let is_temporary = is(name, name::is_temporary);
    let stat_by_name = || fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    // Checked before it is opened: opening a device may have side effects.
    if !(is_temporary || is(name, name::is_test_file))
        || !FileEntry::of(&stat_by_name()?).is_regular()
    {
        return Ok(false);
    }
    let opened = beneath::open(&dir, name, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
    let file = File::from(opened);
    let stat = fstat(&file)?;
    // A file gets its temporary name before its mark.
    let is_new = is_temporary && FileEntry::of(&stat) == FileEntry::Regular { size: 0 };
    if !FileEntry::of(&stat).is_regular() || !(is_new || ownership::is_marked(&file)?) {
        return Ok(false);
    }
    if FileId::of(&stat_by_name()?) != FileId::of(&stat) {
        return Ok(false);
    }
    match unlinkat(&dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::workload::fileio::data::pattern;

    #[test]
    fn only_marked_files_with_a_test_file_name_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut data = vec![0; 4096];
        pattern::stamp(&mut data, 0, 0, 1);
        for name in ["test_file.0", "test_file.17", "test_file.x", "other"] {
            std::fs::write(path(name), &data).unwrap();
        }
        std::fs::write(path(".test_file.0.wbench-17"), "").unwrap();
        std::fs::write(path(".test_file.1.wbench-17"), &data).unwrap();
        std::fs::write(path(".test_file.2.wbench-17"), "precious").unwrap();
        std::fs::write(path("test_file.3"), "precious").unwrap();
        symlink(path("other"), path("test_file.4")).unwrap();
        std::fs::create_dir(path("test_file.5")).unwrap();
        nix::unistd::mkfifo(&path("test_file.6"), Mode::S_IRUSR).unwrap();
        let left = remove_test_files(File::open(dir.path()).unwrap()).unwrap();
        let names = [
            ".test_file.2.wbench-17",
            "other",
            "test_file.3",
            "test_file.4",
            "test_file.5",
            "test_file.6",
            "test_file.x",
        ];
        assert_eq!(left, names);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), names.len());
    }
}
