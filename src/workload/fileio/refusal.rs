//! Why a test file could not be opened, with what to do about it.

use std::path::Path;

use anyhow::{Error, anyhow};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::geteuid;

/// What is wrong where O_DIRECT is refused.
pub(super) const NO_DIRECT: &str = "the file system does not support O_DIRECT; take a folder on a \
    disk with --dir (one that is mounted into it, in a container), or --flags none";

/// The error of a file in this folder that was to be opened with these flags.
pub(super) fn of_opening(doing: String, folder: &Path, flags: OFlag, errno: Errno) -> Error {
    let whole = std::path::absolute(folder);
    let folder = whole.as_deref().unwrap_or(folder).display();
    let why = match errno {
        Errno::EINVAL if flags.contains(OFlag::O_DIRECT) => NO_DIRECT.to_owned(),
        Errno::EMFILE | Errno::ENFILE => {
            "too few file descriptors; raise the limit (ulimit -n), or take fewer files".to_owned()
        }
        Errno::ELOOP => return anyhow!("{doing}: it is a symbolic link, no test file; remove it"),
        Errno::EACCES | Errno::EPERM if flags.contains(OFlag::O_CREAT) => format!(
            "user {} may not make files in {folder}; let it, or take another folder with --dir",
            geteuid()
        ),
        Errno::EROFS => format!(
            "{folder} is read-only; mount a folder there that can be written, or take another with \
             --dir"
        ),
        _ => return Error::new(errno).context(doing),
    };
    Error::new(errno).context(format!("{doing}: {why}"))
}
