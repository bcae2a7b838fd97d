//! Test files that a dead process left in a directory.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{birth, files, mark};
use crate::beneath;

/// Removes this program's test files from a directory, and returns the names of all other entries,
/// sorted.
///
/// A test file has a test file's name and this program's mark, or the temporary name of a file
/// under creation. Follows no symbolic link and crosses no mount point; what cannot be removed
/// stays.
pub fn remove_test_files(dir: impl AsFd) -> nix::Result<Vec<String>> {
    let names = names_in(&dir)?;
    let is_entry = |name: &&CString| !matches!(name.to_bytes(), b"." | b"..");
    let stays = |name: &&CString| !is_removed(&dir, name);
    let left = names.iter().filter(is_entry).filter(stays);
    let mut left: Vec<String> = left.map(|name| name.to_string_lossy().into()).collect();
    left.sort();
    Ok(left)
}

/// Removes test files with temporary names, which only a killed process leaves behind. No process
/// may be creating test files in the directory.
pub(super) fn remove_temporaries(dir: impl AsFd) -> io::Result<()> {
    for name in names_in(&dir)? {
        if is_temporary(&name) {
            remove(&dir, &name)?;
        }
    }
    Ok(())
}

fn names_in(dir: impl AsFd) -> nix::Result<Vec<CString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut entries = Dir::openat(dir, c".", flags, Mode::empty())?;
    let names = entries
        .iter()
        .map(|entry| Ok(entry?.file_name().to_owned()));
    names.collect()
}

fn is_temporary(name: &CStr) -> bool {
    name.to_str()
        .is_ok_and(|name| birth::is_temporary(name, files::is_name))
}

/// Removes an entry if it is a test file of this program; returns whether it is gone.
fn is_removed(dir: impl AsFd, name: &CStr) -> bool {
    remove(dir, name).is_ok_and(|gone| gone)
}

fn remove(dir: impl AsFd, name: &CStr) -> io::Result<bool> {
    let temporary = is_temporary(name);
    let named_so = temporary || name.to_str().is_ok_and(files::is_name);
    let looked_at = || fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    // Checked before it is opened: opening a device may have side effects.
    if !named_so || !is_regular(&looked_at()?) {
        return Ok(false);
    }
    let opened = beneath::open(&dir, name, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
    let file = File::from(opened);
    let stat = fstat(&file)?;
    // A file gets its temporary name before its mark.
    let unmarked = temporary && stat.st_size == 0;
    if !is_regular(&stat) || !(unmarked || mark::is_on(&file)?) {
        return Ok(false);
    }
    let now = looked_at()?;
    if (now.st_dev, now.st_ino) != (stat.st_dev, stat.st_ino) {
        return Ok(false);
    }
    match unlinkat(&dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

fn is_regular(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFREG
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::pattern;
    use super::*;

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
        std::fs::write(path(".test_file.2.wbench-17"), "mine").unwrap();
        std::fs::write(path("test_file.3"), "mine").unwrap();
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
