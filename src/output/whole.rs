//! Atomic replacement of files, with a fallback to writing in place.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use libc::O_NOFOLLOW;

use super::Target;
use super::target::directory_of;

/// How a document was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum WriteMethod {
    /// As its destination requires: replaced atomically, or written sequentially.
    Normal,
    /// In place: this file is a mount point and cannot be replaced.
    InPlace(PathBuf),
}

impl WriteMethod {
    /// Returns a note for the user, if any.
    pub fn remark(&self) -> Option<String> {
        match self {
            Self::Normal => None,
            Self::InPlace(path) => Some(format!(
                "{} is a mount point and cannot be replaced, so it was written in place; mount its \
                 directory instead, so that the file is replaced atomically",
                path.display()
            )),
        }
    }
}

/// Writes a temporary file beside the target, syncs it and renames it; writes in place if the
/// target is a mount point.
pub(crate) fn write_whole(
    target: &Target,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<WriteMethod> {
    let path = match target {
        Target::Replace(path) => path,
        Target::InPlace(path) | Target::Special(path) => return in_place(path, fill),
    };
    let directory = directory_of(path);
    let mut beside = named(directory)?;
    filled(beside.as_file_mut(), fill)?;
    match beside.persist(path) {
        Ok(_) => File::open(directory)?
            .sync_all()
            .map(|()| WriteMethod::Normal),
        // A mount point that was not detected as one.
        Err(refused) if refused.error.kind() == ErrorKind::ResourceBusy => {
            let mut copy = refused.file.reopen()?;
            in_place(path, |out| io::copy(&mut copy, out).map(drop))
        }
        Err(refused) => Err(refused.error),
    }
}

/// Creates a hidden temporary file in a directory, removed on drop.
pub(crate) fn named(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".wbench-")
        .permissions(PermissionsExt::from_mode(0o666))
        .tempfile_in(directory)
}

/// Fills a new file and syncs it.
pub(crate) fn filled(
    file: &mut File,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(&mut *file);
    fill(&mut out)?;
    out.flush()?;
    drop(out);
    file.sync_all()
}

/// Overwrites the contents of a file.
fn in_place(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<WriteMethod> {
    let mut file = OpenOptions::new()
        .write(true)
        .custom_flags(O_NOFOLLOW)
        .open(path)?;
    // Truncate after writing: the old contents keep the space allocated for the new ones.
    filled(&mut file, fill)?;
    let length = file.stream_position()?;
    file.set_len(length)?;
    file.sync_all()?;
    Ok(WriteMethod::InPlace(path.to_owned()))
}
