//! Opens entries of a directory without leaving it: follows no symbolic link and crosses no mount
//! point.
//!
//! A bind mount of the same file system has the device number of its surroundings; only the mount
//! ID distinguishes it.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::Mode;

/// Opens an existing entry of a directory, by its name alone.
///
/// Fails with ELOOP or ENOTDIR for a symbolic link, with EXDEV for a mount point, and with ENOTSUP
/// if the kernel does not report whether it is one (before Linux 5.6, without /proc). The caller
/// ensures that opening has no side effects: O_NONBLOCK, O_PATH.
pub fn open(dir: impl AsFd, name: &CStr, flags: OFlag) -> nix::Result<OwnedFd> {
    if name.to_bytes().contains(&b'/') || name == c".." {
        return Err(Errno::EINVAL);
    }
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    let how = OpenHow::new().flags(flags).resolve(resolve);
    match retry(|| openat2(&dir, name, how)) {
        // Seccomp filters of container runtimes return EPERM for unknown system calls.
        Err(Errno::ENOSYS | Errno::EPERM) => open_and_check(dir, name, flags),
        opened => opened,
    }
}

/// Fallback of [`open`] without openat2(2).
fn open_and_check(dir: impl AsFd, name: &CStr, flags: OFlag) -> nix::Result<OwnedFd> {
    let opened = retry(|| openat(&dir, name, flags, Mode::empty()))?;
    match (mount_id(&dir), mount_id(&opened)) {
        (Some(one), Some(other)) if one == other => Ok(opened),
        (Some(_), Some(_)) => Err(Errno::EXDEV),
        _ => Err(Errno::ENOTSUP),
    }
}

/// Returns the ID of the mount of an open file; None if the kernel does not report it.
fn mount_id(file: impl AsFd) -> Option<u64> {
    let number = file.as_fd().as_raw_fd();
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    id.trim().parse().ok()
}

/// Repeats a call that a signal or a concurrent rename interrupted.
fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    type Open = fn(&File, &CStr, OFlag) -> nix::Result<OwnedFd>;

    const BOTH: [Open; 2] = [
        |d, n, f| open(d, n, f),
        |d, n, f| open_and_check(d, n, f | OFlag::O_NOFOLLOW),
    ];

    #[test]
    fn an_entry_is_opened_but_a_symbolic_link_or_a_mount_point_is_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let here = File::open(dir.path()).unwrap();
        let root = File::open("/").unwrap();
        for open in BOTH {
            let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
            open(&here, c"file", flags).unwrap();
            assert_eq!(open(&here, c"link", flags).unwrap_err(), Errno::ELOOP);
            assert_eq!(open(&here, c"none", flags).unwrap_err(), Errno::ENOENT);
            assert_eq!(open(&root, c"proc", flags).unwrap_err(), Errno::EXDEV);
        }
    }

    #[test]
    fn a_path_instead_of_a_name_is_refused() {
        let root = File::open("/").unwrap();
        for name in [c"..", c"proc/self", c"/"] {
            let error = open(&root, name, OFlag::O_RDONLY).unwrap_err();
            assert_eq!(error, Errno::EINVAL);
        }
    }
}
