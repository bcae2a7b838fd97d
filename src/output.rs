//! Where text and documents go: standard output, or a file that appears whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::terminal;

/// Writes to standard output, at once.
///
/// A reader that went away is no error: what it did not want to see needs no message.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing to standard output"),
    }
}

/// Where a document goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output, and nothing else is on it.
    Stdout,
    /// A file, which appears whole or not at all.
    File(PathBuf),
}

impl From<&str> for Destination {
    fn from(word: &str) -> Self {
        match word {
            "-" => Self::Stdout,
            path => Self::File(path.into()),
        }
    }
}

impl Destination {
    /// Writes a document as JSON with a newline at its end.
    pub fn write<T: Serialize>(&self, document: &T) -> Result<()> {
        let mut text =
            serde_json::to_string_pretty(document).context("making JSON of the result")?;
        text.push('\n');
        self.write_text(&terminal::json(text))
    }

    /// Writes a text as it is.
    pub fn write_text(&self, text: &str) -> Result<()> {
        match self {
            Self::Stdout => print(text),
            Self::File(path) => write_whole(path, |out| out.write_all(text.as_bytes()))
                .with_context(|| format!("writing the file {}", path.display())),
        }
    }

    /// Tells whether [`Destination::write`] has a chance, before a long run: the folder is
    /// there and takes a new file.
    pub fn check(&self) -> Result<()> {
        let Self::File(path) = self else {
            return Ok(());
        };
        if is_special(path) {
            return Ok(());
        }
        ensure!(
            !path.is_dir(),
            "the result file {} can't be written: it is a folder",
            path.display()
        );
        tempfile::tempfile_in(folder_of(path))
            .map(drop)
            .with_context(|| format!("the result file {} can't be written", path.display()))
    }
}

/// Writes a file beside its final name, syncs it and renames it.
///
/// A special file such as /dev/null or a pipe is written to as it is.
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    if is_special(path) {
        let mut out = BufWriter::new(OpenOptions::new().write(true).open(path)?);
        fill(&mut out)?;
        return out.flush();
    }
    let folder = folder_of(path);
    let beside = tempfile::Builder::new()
        .prefix(".wbench-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)?;
    let mut out = BufWriter::new(beside);
    fill(&mut out)?;
    let beside = out.into_inner()?;
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    File::open(folder)?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Something is there that is neither a file nor a folder: it can't be replaced.
pub fn is_special(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| !found.is_file() && !found.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        std::fs::write(&path, "old").unwrap();
        Destination::File(path.clone()).write(&[1, 2]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<Vec<u32>>(&text).unwrap(), [1, 2]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_found_before_the_run() {
        let path = PathBuf::from("/no/such/folder/result.json");
        let error = Destination::File(path).check().unwrap_err();
        assert!(
            format!("{error:#}").contains("/no/such/folder"),
            "{error:#}"
        );
    }
}
