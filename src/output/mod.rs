//! Output of text and documents to standard output, a pipe, or a file that is replaced atomically.

mod pipe;
mod reserve;
mod target;
mod whole;

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};
use serde::Serialize;

use crate::error::Advice;
use crate::terminal;

pub(crate) use reserve::Reserve;
pub(crate) use target::{Target, directory_of};
pub use whole::WriteMethod;
pub(crate) use whole::{filled, named, write_whole};

/// Writes to standard output, unbuffered.
///
/// A closed pipe is not an error: the reader does not want the rest.
pub fn print(text: &str) -> Result<()> {
    let stdout = io::stdout().lock();
    match pipe::write_all(stdout.as_fd(), text.as_bytes()) {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        other => other.context("writing to standard output"),
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    error
        .downcast_ref()
        .is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The destination of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output, which then has nothing else on it.
    Stdout,
    /// A file, replaced atomically; or a pipe or device.
    File(PathBuf),
}

impl FromStr for Destination {
    type Err = Error;

    fn from_str(argument: &str) -> Result<Self> {
        ensure!(
            !argument.is_empty(),
            "the file name is empty; name a file, or - for standard output"
        );
        Ok(match argument {
            "-" => Self::Stdout,
            path => Self::File(path.into()),
        })
    }
}

impl Destination {
    /// Writes a document as JSON with a final newline.
    pub fn write<T: Serialize>(&self, document: &T) -> Result<WriteMethod> {
        let mut text =
            serde_json::to_string_pretty(document).context("converting the result to JSON")?;
        text.push('\n');
        self.write_text(&terminal::json(text))
    }

    /// Writes a text unchanged.
    pub fn write_text(&self, text: &str) -> Result<WriteMethod> {
        let path = match self {
            Self::Stdout => return print(text).map(|()| WriteMethod::Normal),
            Self::File(path) => path,
        };
        let written = match Target::of(path)? {
            Target::Special(path) => pipe::write_to(&path, text.as_bytes()),
            target => {
                write_whole(&target, |out| out.write_all(text.as_bytes())).map_err(Error::from)
            }
        };
        written.map_err(|error| {
            advise(error, MAKE_ROOM).context(format!("cannot write {}", path.display()))
        })
    }

    /// Fails if [`Destination::write`] would fail, as far as that can be checked before a long run.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(path) => Target::of(path)?.check(),
        }
    }

    /// Checks the destination and reserves space for a document.
    pub fn reserve(&self) -> Result<ReservedDestination<'_>> {
        self.check()?;
        let mut reserved = ReservedDestination {
            destination: self,
            reserve: None,
            may_block: false,
        };
        if let Self::File(path) = self {
            match Target::of(path)? {
                Target::Special(_) => reserved.may_block = true,
                // The existing contents provide the space.
                Target::InPlace(_) => {}
                Target::Replace(path) => reserved.reserve = Reserve::beside(&path)?,
            }
        }
        Ok(reserved)
    }
}

/// A destination with space reserved for its document.
#[derive(Debug)]
pub struct ReservedDestination<'a> {
    destination: &'a Destination,
    reserve: Option<Reserve>,
    may_block: bool,
}

impl ReservedDestination<'_> {
    /// Returns whether writing may wait indefinitely for a reader.
    pub fn may_block(&self) -> bool {
        self.may_block
    }

    /// Writes the document, in the reserved space if necessary.
    pub fn write<T: Serialize>(&mut self, document: &T) -> Result<WriteMethod> {
        drop(self.reserve.take());
        self.destination.write(document)
    }
}

/// Returns whether writing failed because the disk or quota was full, so that it may succeed later.
pub fn is_out_of_space(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref()
            .is_some_and(|error: &io::Error| reserve::is_out_of_space(error))
    })
}

/// What to do if a document cannot be written because its disk is full.
const MAKE_ROOM: &str = "make room, or name a file on another disk";

/// Attaches advice to an error in writing a document: `if_full` if the disk or quota is full, or how
/// to raise the limit if the file became too large; otherwise nothing.
pub fn advise(error: Error, if_full: &'static str) -> Error {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref().map(|error: &io::Error| error.kind())
    };
    match error.chain().find_map(kind) {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            error.context(Advice(if_full))
        }
        Some(io::ErrorKind::FileTooLarge) => {
            error.context(Advice("raise the file size limit (ulimit -f)"))
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_atomically_without_leaving_temporary_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("result.json");
        std::fs::write(&path, "old").unwrap();
        let written = Destination::File(path.clone()).write(&[1, 2]).unwrap();
        assert_eq!(written, WriteMethod::Normal);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<Vec<u32>>(&text).unwrap(), [1, 2]);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_directory_is_detected_before_the_run() {
        let path = PathBuf::from("/no/such/directory/result.json");
        let error = Destination::File(path).check().unwrap_err();
        assert!(
            format!("{error:#}").contains("/no/such/directory"),
            "{error:#}"
        );
    }

    #[test]
    fn writing_to_a_symbolic_link_replaces_its_target_and_keeps_the_link() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name| directory.path().join(name);
        std::fs::write(at("file"), "old").unwrap();
        std::os::unix::fs::symlink("file", at("first")).unwrap();
        std::os::unix::fs::symlink(at("first"), at("second")).unwrap();
        let written = Destination::File(at("second")).write(&[1]).unwrap();
        assert_eq!(written, WriteMethod::Normal);
        assert!(at("second").is_symlink() && at("first").is_symlink());
        let text = std::fs::read_to_string(at("file")).unwrap();
        assert_eq!(serde_json::from_str::<Vec<u32>>(&text).unwrap(), [1]);
    }

    #[test]
    fn a_symbolic_link_to_a_missing_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("missing", &link).unwrap();
        let destination = Destination::File(link);
        for error in [
            destination.check().unwrap_err(),
            destination.write(&[1]).unwrap_err(),
        ] {
            assert!(format!("{error:#}").contains("missing file"), "{error:#}");
        }
        assert!(!directory.path().join("missing").exists());
    }

    #[test]
    fn an_empty_destination_is_invalid_and_a_dash_is_standard_output() {
        assert!("".parse::<Destination>().is_err());
        assert_eq!("-".parse::<Destination>().unwrap(), Destination::Stdout);
    }
}
