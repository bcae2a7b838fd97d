//! Creation of test files: a file gets its name after its ownership mark, or not at all.
//!
//! A process may be killed at any time, and a file without a mark has no known owner. So a file is
//! created without a name (O_TMPFILE), marked, and linked. On file systems without O_TMPFILE it is
//! created under a temporary name, `.test_file.N.wbench-PID`, by which it is recognized if the
//! process is killed. If renameat2 and links are missing too, the file is created under its name
//! and then marked: only there can a kill leave an empty file without a mark.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::fs::{linkat, openat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::name;

/// Marks a file.
type Mark<'a> = &'a dyn Fn(&File) -> io::Result<()>;

/// Creates a marked file under a name that must not exist.
pub(super) fn create(dir: BorrowedFd<'_>, name: &str, mark: Mark<'_>) -> io::Result<File> {
    match create_unnamed(dir) {
        Ok(file) => {
            mark(&file)?;
            match link_as(&file, dir, name) {
                Ok(()) => return Ok(file),
                Err(Errno::EXIST) => return Err(Errno::EXIST.into()),
                // Neither /proc nor the privilege to link by descriptor is available.
                Err(_) => {}
            }
        }
        Err(errno) if lacks_tmpfile(errno) => {}
        Err(errno) => return Err(errno.into()),
    }
    create_by_renaming(dir, name, mark)
}

/// Creates a file without a name.
pub(super) fn create_unnamed(dir: BorrowedFd<'_>) -> rustix::io::Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    openat(dir, ".", flags, MODE).map(File::from)
}

/// Access for the owner only.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Returns whether kernels and file systems without O_TMPFILE give this error (open(2), BUGS).
fn lacks_tmpfile(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS | Errno::NOTDIR
    )
}

fn link_as(file: &File, dir: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, path.as_str(), dir, name, AtFlags::SYMLINK_FOLLOW) {
        Err(Errno::NOENT) => linkat(file, "", dir, name, AtFlags::EMPTY_PATH),
        linked => linked,
    }
}

fn create_by_renaming(dir: BorrowedFd<'_>, name: &str, mark: Mark<'_>) -> io::Result<File> {
    let temporary = Temporary {
        dir,
        name: name::temporary(name),
    };
    let file = create_new(dir, &temporary.name)?;
    mark(&file)?;
    match temporary.rename_to(name) {
        Ok(()) => Ok(file),
        Err(Errno::EXIST) => Err(Errno::EXIST.into()),
        Err(_) => create_in_place(dir, name, mark),
    }
}

fn create_in_place(dir: BorrowedFd<'_>, name: &str, mark: Mark<'_>) -> io::Result<File> {
    let file = create_new(dir, name)?;
    match mark(&file) {
        Ok(()) => Ok(file),
        Err(error) => {
            // Without a mark, its owner would be unknown.
            unlinkat(dir, name, AtFlags::empty())?;
            Err(error)
        }
    }
}

fn create_new(dir: BorrowedFd<'_>, name: &str) -> rustix::io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(dir, name, flags, MODE).map(File::from)
}

/// A temporary name, removed when it goes out of scope.
struct Temporary<'a> {
    dir: BorrowedFd<'a>,
    name: String,
}

impl Temporary<'_> {
    /// Gives the file its name; never replaces another file.
    fn rename_to(&self, name: &str) -> rustix::io::Result<()> {
        let (dir, from) = (self.dir.as_fd(), self.name.as_str());
        match renameat_with(dir, from, dir, name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(Errno::EXIST),
            // NFS and older kernels lack this flag.
            Err(_) => linkat(dir, from, dir, name, AtFlags::empty()),
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // Already gone if it was renamed.
        let _ = unlinkat(self.dir, self.name.as_str(), AtFlags::empty());
    }
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
        let dir = File::open(root.path()).unwrap();
        create(dir.as_fd(), "a", &marked).unwrap();
        create_by_renaming(dir.as_fd(), "b", &marked).unwrap();
        create_in_place(dir.as_fd(), "c", &marked).unwrap();
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
        let dir = File::open(root.path()).unwrap();
        let checked = Cell::new(0);
        let mark = |_: &File| {
            checked.set(checked.get() + 1);
            assert!(!root.path().join("a").exists());
            Ok(())
        };
        for create in [create, create_by_renaming] {
            create(dir.as_fd(), "a", &mark).unwrap();
            std::fs::remove_file(root.path().join("a")).unwrap();
        }
        assert_eq!(checked.get(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_marked_is_removed() {
        let root = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let dir = File::open(root.path()).unwrap();
        let mark = |_: &File| Err(io::ErrorKind::StorageFull.into());
        for create in [create, create_by_renaming, create_in_place] {
            let error = create(dir.as_fd(), "a", &mark).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_existing_file_is_never_replaced() {
        let root = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let dir = File::open(root.path()).unwrap();
        std::fs::write(root.path().join("a"), "precious").unwrap();
        for create in [create, create_by_renaming, create_in_place] {
            let error = create(dir.as_fd(), "a", &marked).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        let content = std::fs::read(root.path().join("a")).unwrap();
        assert_eq!(content, b"precious");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
