//! Why a test file could not be opened, and what to do about it.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Error, anyhow};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::geteuid;

/// Returns why a file cannot be opened with O_DIRECT.
pub(super) fn no_direct(dir: &Path) -> String {
    format!(
        "the file system of {} does not support O_DIRECT; choose a directory on a disk with --dir (in a \
         container, a mounted one), or use --flags none",
        absolute(dir).display()
    )
}

/// Returns the error of opening a file in this directory with these flags.
pub(super) fn describe(doing: String, dir: &Path, flags: OFlag, errno: Errno) -> Error {
    let place = absolute(dir);
    let place = place.display();
    let why = match errno {
        Errno::EINVAL if flags.contains(OFlag::O_DIRECT) => no_direct(dir),
        Errno::EMFILE | Errno::ENFILE => {
            "too few file descriptors; raise the limit (ulimit -n), or use fewer files".to_owned()
        }
        Errno::ELOOP => {
            return anyhow!("{doing}: it is a symbolic link, not a test file; remove it");
        }
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
pub(super) fn absolute(dir: &Path) -> Cow<'_, Path> {
    std::path::absolute(dir).map_or(dir.into(), Cow::Owned)
}
