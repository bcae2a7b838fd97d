//! The files below a directory that may contain results.

use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Error;

/// What a directory contains.
#[derive(Debug, Default)]
pub struct Contents {
    /// Regular files, by name.
    pub files: Vec<PathBuf>,
    /// Entries that are neither regular files nor directories, and the kind of each.
    pub skipped: Vec<(PathBuf, &'static str)>,
    /// Entries that cannot be read.
    pub errors: Vec<(PathBuf, Error)>,
}

impl Contents {
    /// Lists a directory and all directories below it.
    ///
    /// Hidden entries are ignored: a result that is being written is one. Symbolic links to
    /// directories are skipped, as they may form a loop.
    pub fn of(directory: &Path) -> Self {
        let mut contents = Self::default();
        contents.add_directory(directory);
        contents
    }

    fn add_directory(&mut self, directory: &Path) {
        let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.errors.push((directory.to_owned(), error.into())),
        };
        entries.sort_unstable_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.add_directory(&entry.path()),
                Ok(kind) if kind.is_symlink() => self.add_link(entry.path()),
                Ok(kind) => self.add(entry.path(), kind),
                Err(error) => self.errors.push((entry.path(), error.into())),
            }
        }
    }

    fn add_link(&mut self, link: PathBuf) {
        match fs::metadata(&link) {
            Ok(target) if target.is_dir() => {
                self.skipped.push((link, "a symbolic link to a directory"));
            }
            Ok(target) => self.add(link, target.file_type()),
            Err(error) => {
                let error = Error::new(error).context("cannot follow this symbolic link");
                self.errors.push((link, error));
            }
        }
    }

    fn add(&mut self, path: PathBuf, kind: FileType) {
        match irregular(kind) {
            None => self.files.push(path),
            Some(kind) => self.skipped.push((path, kind)),
        }
    }
}

/// Opens a file found in a directory; `Err` within `Ok` is the kind of what has replaced it since.
///
/// Does not block on a FIFO without a writer or on a terminal.
pub fn open(path: &Path) -> io::Result<Result<File, &'static str>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    Ok(match irregular(file.metadata()?.file_type()) {
        None => Ok(file),
        Some(kind) => Err(kind),
    })
}

/// The kind of a file that is not a regular file; `None` for a regular one.
fn irregular(kind: FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a directory"),
        kind if kind.is_fifo() => Some("a FIFO"),
        kind if kind.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}
