//! Why a test file could not be opened, and what to do about it.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Error, anyhow};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::geteuid;

/// Explains that O_DIRECT was refused.
pub(super) fn no_direct(folder: &Path) -> String {
    format!(
        "the file system of {} does not support O_DIRECT; choose a directory on a disk with --dir (in a \
         container, a mounted one), or use --flags none",
        whole(folder).display()
    )
}

/// Returns the error of opening a file in this directory with these flags.
pub(super) fn of_opening(doing: String, folder: &Path, flags: OFlag, errno: Errno) -> Error {
    let place = whole(folder);
    let place = place.display();
    let why = match errno {
        Errno::EINVAL if flags.contains(OFlag::O_DIRECT) => no_direct(folder),
        Errno::EMFILE | Errno::ENFILE => {
            "too few file descriptors; raise the limit (ulimit -n), or take fewer files".to_owned()
        }
        Errno::ELOOP => return anyhow!("{doing}: it is a symbolic link, no test file; remove it"),
        Errno::EACCES | Errno::EPERM if flags.contains(OFlag::O_CREAT) => format!(
            "user {} may not create files in {place}; grant write permission, or choose another directory with --dir",
            geteuid()
        ),
        Errno::EROFS => format!(
            "{place} is read-only; mount a writable directory there, or choose another with --dir"
        ),
        _ => return Error::new(errno).context(doing),
    };
    Error::new(errno).context(format!("{doing}: {why}"))
}

/// Returns the absolute path of a directory, if it can be determined.
pub(super) fn whole(folder: &Path) -> Cow<'_, Path> {
    std::path::absolute(folder).map_or(folder.into(), Cow::Owned)
}
