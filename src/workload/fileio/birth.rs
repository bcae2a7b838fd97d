//! Creation of test files: a file appears under its name with its mark, or not at all.
//!
//! A process may be killed at any time, and a file without a mark has no known owner. So a file is
//! created without a name (O_TMPFILE), marked, and linked. File systems without O_TMPFILE get it
//! under a temporary name, `.test_file.N.wbench-PID`, which is recognized and removed later if the
//! process was killed. If renameat2 and links are missing too, the file is created under its name
//! and then marked, the only case in which a kill can leave an empty file without a mark.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::fs::{linkat, openat, renameat_with, unlinkat};
use rustix::io::Errno;

/// Function that marks a file.
type Mark<'a> = &'a dyn Fn(&File) -> io::Result<()>;

const PREFIX: &str = ".";
const INFIX: &str = ".wbench-";

/// Creates a marked file under a name that must not exist.
pub(super) fn create(folder: BorrowedFd<'_>, name: &str, mark: Mark<'_>) -> io::Result<File> {
    match unnamed(folder) {
        Ok(file) => {
            mark(&file)?;
            match give_name(&file, folder, name) {
                Ok(()) => return Ok(file),
                Err(Errno::EXIST) => return Err(Errno::EXIST.into()),
                // Neither /proc nor the privilege to link by descriptor is available.
                Err(_) => {}
            }
        }
        Err(errno) if has_no_unnamed_files(errno) => {}
        Err(errno) => return Err(errno.into()),
    }
    create_by_renaming(folder, name, mark)
}

/// Creates a file without a name.
pub(super) fn unnamed(folder: BorrowedFd<'_>) -> rustix::io::Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    openat(folder, ".", flags, MODE).map(File::from)
}

/// Access for the owner only.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Returns whether kernels and file systems without O_TMPFILE give this error (open(2), BUGS).
fn has_no_unnamed_files(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS | Errno::NOTDIR
    )
}

fn give_name(file: &File, folder: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, path.as_str(), folder, name, AtFlags::SYMLINK_FOLLOW) {
        Err(Errno::NOENT) => linkat(file, "", folder, name, AtFlags::EMPTY_PATH),
        linked => linked,
    }
}

fn create_by_renaming(folder: BorrowedFd<'_>, name: &str, mark: Mark<'_>) -> io::Result<File> {
    let temporary = Temporary {
        folder,
        name: format!("{PREFIX}{name}{INFIX}{}", std::process::id()),
    };
    let file = create_new(folder, &temporary.name)?;
    mark(&file)?;
    match temporary.rename_to(name) {
        Ok(()) => Ok(file),
        Err(Errno::EXIST) => Err(Errno::EXIST.into()),
        Err(_) => create_in_place(folder, name, mark),
    }
}

fn create_in_place(folder: BorrowedFd<'_>, name: &str, mark: Mark<'_>) -> io::Result<File> {
    let file = create_new(folder, name)?;
    match mark(&file) {
        Ok(()) => Ok(file),
        Err(error) => {
            // Without a mark, its owner would be unknown.
            unlinkat(folder, name, AtFlags::empty())?;
            Err(error)
        }
    }
}

fn create_new(folder: BorrowedFd<'_>, name: &str) -> rustix::io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(folder, name, flags, MODE).map(File::from)
}

/// A temporary name, removed when it goes out of scope.
struct Temporary<'a> {
    folder: BorrowedFd<'a>,
    name: String,
}

impl Temporary<'_> {
    /// Gives the file its name; never replaces another file.
    fn rename_to(&self, name: &str) -> rustix::io::Result<()> {
        let (folder, from) = (self.folder.as_fd(), self.name.as_str());
        match renameat_with(folder, from, folder, name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(Errno::EXIST),
            // NFS and older kernels lack this flag.
            Err(_) => linkat(folder, from, folder, name, AtFlags::empty()),
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // Already gone if it was renamed.
        let _ = unlinkat(self.folder, self.name.as_str(), AtFlags::empty());
    }
}

/// Returns whether a name is a temporary name of a test file, which `is_test_file` recognizes.
pub(super) fn is_temporary(name: &str, is_test_file: impl Fn(&str) -> bool) -> bool {
    let parts = name
        .strip_prefix(PREFIX)
        .and_then(|name| name.rsplit_once(INFIX));
    parts.is_some_and(|(file, pid)| is_test_file(file) && pid.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::io::Write;

    fn marked(mut file: &File) -> io::Result<()> {
        file.write_all(b"mark")
    }

    #[test]
    fn every_creation_method_leaves_a_marked_file_and_nothing_else() {
        let root = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let folder = File::open(root.path()).unwrap();
        create(folder.as_fd(), "a", &marked).unwrap();
        create_by_renaming(folder.as_fd(), "b", &marked).unwrap();
        create_in_place(folder.as_fd(), "c", &marked).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["a", "b", "c"]);
        for name in names {
            let content = std::fs::read(root.path().join(name)).unwrap();
            assert_eq!(content, b"mark");
        }
    }

    #[test]
    fn a_file_has_no_name_before_it_is_marked() {
        let root = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let folder = File::open(root.path()).unwrap();
        let checked = Cell::new(0);
        let mark = |_: &File| {
            checked.set(checked.get() + 1);
            assert!(!root.path().join("a").exists());
            Ok(())
        };
        for create in [create, create_by_renaming] {
            create(folder.as_fd(), "a", &mark).unwrap();
            std::fs::remove_file(root.path().join("a")).unwrap();
        }
        assert_eq!(checked.get(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_marked_is_removed() {
        let root = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let folder = File::open(root.path()).unwrap();
        let mark = |_: &File| Err(io::ErrorKind::StorageFull.into());
        for create in [create, create_by_renaming, create_in_place] {
            let error = create(folder.as_fd(), "a", &mark).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_existing_file_is_never_replaced() {
        let root = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let folder = File::open(root.path()).unwrap();
        std::fs::write(root.path().join("a"), "precious").unwrap();
        for create in [create, create_by_renaming, create_in_place] {
            let error = create(folder.as_fd(), "a", &marked).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        let content = std::fs::read(root.path().join("a")).unwrap();
        assert_eq!(content, b"precious");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_temporary_names_are_recognized() {
        let is_a = |name: &str| is_temporary(name, |file| file == "a");
        assert!(is_a(".a.wbench-17"));
        for other in [
            "a.wbench-17",
            ".a.wbench-",
            ".a.wbench-x",
            ".b.wbench-17",
            ".a",
        ] {
            assert!(!is_a(other), "{other}");
        }
    }
}
