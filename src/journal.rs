//! The results of a long job while it goes on, so that whatever ends it, what it has is kept.
//!
//! Beside the result file that will be, FILE, stands `FILE.partial`: a line of JSON for each
//! result, in the order in which they came. When the job ends, by itself or by a signal, the lines
//! become the array that FILE holds. A job that is resumed begins with what both hold.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::output::{Destination, is_special, write_whole};
use crate::result::RunResult;

/// Results so far.
#[derive(Debug)]
pub struct Journal(Store);

#[derive(Debug)]
enum Store {
    /// Where nothing can stand beside the destination: lost with the process.
    Memory {
        results: Vec<RunResult>,
        destination: Destination,
    },
    /// In the file beside `path`.
    Beside {
        file: File,
        partial: PathBuf,
        path: PathBuf,
    },
}

impl Journal {
    /// Begins a job whose results go to `destination`.
    ///
    /// Refuses to begin where there are results already, all or some: what took hours is not
    /// written over.
    pub fn begin(destination: &Destination) -> Result<Self> {
        destination.check()?;
        let Some(path) = file_of(destination) else {
            return Ok(Self::in_memory(destination));
        };
        let partial = partial_of(path);
        for there in [path, &partial] {
            ensure!(
                !there.exists(),
                "{} holds results already: add what is missing with --resume, or name another \
                 file with --json",
                there.display()
            );
        }
        Self::beside(path, partial)
    }

    /// Goes on with a job, and gives the results that it has: all that are whole. Begins it where
    /// there are none.
    pub fn resume(destination: &Destination) -> Result<(Self, Vec<RunResult>)> {
        Self::resume_with(destination, Ok)
    }

    /// Goes on with a job and those of its results that are chosen to count. Where choosing fails,
    /// all stays as it was.
    pub fn resume_with(
        destination: &Destination,
        choose: impl FnOnce(Vec<RunResult>) -> Result<Vec<RunResult>>,
    ) -> Result<(Self, Vec<RunResult>)> {
        destination.check()?;
        let Some(path) = file_of(destination) else {
            return Ok((Self::in_memory(destination), Vec::new()));
        };
        let partial = partial_of(path);
        let found = match lines(&partial)? {
            Some(found) => found,
            None => array(path)?,
        };
        let found =
            choose(found).with_context(|| format!("{} can't be resumed", path.display()))?;
        // Written anew and whole: a line cut in half is gone, and an array becomes lines.
        write_whole(&partial, |out| {
            found.iter().try_for_each(|it| line(out, it))
        })
        .with_context(|| format!("writing the file {}", partial.display()))?;
        Ok((Self::beside(path, partial)?, found))
    }

    fn in_memory(destination: &Destination) -> Self {
        let (results, destination) = (Vec::new(), destination.clone());
        Self(Store::Memory {
            results,
            destination,
        })
    }

    fn beside(path: &Path, partial: PathBuf) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&partial)
            .with_context(|| format!("opening the file {}", partial.display()))?;
        let path = path.to_owned();
        Ok(Self(Store::Beside {
            file,
            partial,
            path,
        }))
    }

    /// Takes a result: whole or, with an error, not at all.
    pub fn add(&mut self, result: RunResult) -> Result<()> {
        match &mut self.0 {
            Store::Memory { results, .. } => {
                results.push(result);
                Ok(())
            }
            Store::Beside { file, partial, .. } => append(file, &result).with_context(|| {
                format!(
                    "a result can't be kept in {}; make room, then go on with --resume",
                    partial.display()
                )
            }),
        }
    }

    /// Ends the job: the results become one array, in their destination. Where that fails, what
    /// there was before stays.
    pub fn finish(self) -> Result<()> {
        match self.0 {
            Store::Memory {
                results,
                destination,
            } => destination.write(&results),
            Store::Beside { partial, path, .. } => {
                write_whole(&path, |out| {
                    let lines = BufReader::new(File::open(&partial)?).lines();
                    write_array(out, lines.map(|line| Ok(serde_json::from_str(&line?)?)))
                })
                .with_context(|| {
                    format!(
                        "writing the file {}; the results so far are in {}: make room, then go on \
                         with --resume",
                        path.display(),
                        partial.display()
                    )
                })?;
                std::fs::remove_file(&partial)
                    .with_context(|| format!("removing the file {}", partial.display()))
            }
        }
    }
}

/// The file that a destination is; None where it is written to as it is, once and at the end.
fn file_of(destination: &Destination) -> Option<&Path> {
    match destination {
        Destination::File(path) if !is_special(path) => Some(path),
        _ => None,
    }
}

/// Where the results of a job stand while it goes on.
fn partial_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Its line feeds are layout only: those of a text are escaped.
fn line(out: &mut dyn Write, result: &RunResult) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(result)?;
    text.retain(|&byte| byte != b'\n');
    text.push(b'\n');
    out.write_all(&text)
}

fn append(file: &mut File, result: &RunResult) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    line(file, result).inspect_err(|_| {
        // Where this fails too, a reader drops the half line.
        let _ = file.set_len(length);
    })
}

fn write_array(
    out: &mut dyn Write,
    results: impl Iterator<Item = io::Result<RunResult>>,
) -> io::Result<()> {
    let mut before = "[\n";
    for result in results {
        out.write_all(before.as_bytes())?;
        out.write_all(&serde_json::to_vec_pretty(&result?)?)?;
        before = ",\n";
    }
    out.write_all(if before == "[\n" { b"[]\n" } else { b"\n]\n" })
}

/// The whole lines of a partial file; None where there is no such file.
fn lines(partial: &Path) -> Result<Option<Vec<RunResult>>> {
    let text = match std::fs::read(partial) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("reading the file {}", partial.display()))?,
    };
    let whole = text
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let parsed: Result<Vec<_>> = String::from_utf8_lossy(&text[..whole])
        .lines()
        .enumerate()
        .map(|(i, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}, line {}: no result", partial.display(), i + 1))
        })
        .collect();
    parsed.map(Some)
}

/// The results of an earlier end; none where there is no such file.
fn array(path: &Path) -> Result<Vec<RunResult>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(|| format!("reading the file {}", path.display()))?,
    };
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} can't be resumed: it holds no array of results",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(instance: u32) -> RunResult {
        let example = include_str!("../docs/examples/quiet/1.json");
        let mut result: RunResult = serde_json::from_str(example).unwrap();
        result.labels = [("instance".to_owned(), instance.to_string())].into();
        result
    }

    fn instances(results: &[RunResult]) -> Vec<&str> {
        results
            .iter()
            .map(|result| result.labels["instance"].as_str())
            .collect()
    }

    fn read(path: &Path) -> Vec<RunResult> {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn a_job_ends_in_one_array_with_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.json");
        let mut journal = Journal::begin(&Destination::File(path.clone())).unwrap();
        journal.add(result(1)).unwrap();
        journal.add(result(2)).unwrap();
        assert!(!path.exists());
        journal.finish().unwrap();
        assert_eq!(instances(&read(&path)), ["1", "2"]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_job_without_results_ends_in_an_empty_array() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.json");
        let journal = Journal::begin(&Destination::File(path.clone())).unwrap();
        journal.finish().unwrap();
        assert_eq!(read(&path), []);
    }

    #[test]
    fn results_are_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["all.json", "all.json.partial"] {
            let there = folder.path().join(name);
            std::fs::write(&there, "").unwrap();
            let destination = Destination::File(folder.path().join("all.json"));
            let error = Journal::begin(&destination).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("--resume"),
                "{error}"
            );
            std::fs::remove_file(there).unwrap();
        }
    }

    #[test]
    fn a_job_goes_on_after_its_end_and_after_its_death() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.json");
        let destination = Destination::File(path.clone());
        let (mut journal, found) = Journal::resume(&destination).unwrap();
        assert_eq!(found, []);
        journal.add(result(1)).unwrap();
        journal.finish().unwrap();

        let (mut journal, found) = Journal::resume(&destination).unwrap();
        assert_eq!(instances(&found), ["1"]);
        journal.add(result(2)).unwrap();
        // Killed here, in the middle of a line.
        let half = serde_json::to_vec(&result(3)).unwrap();
        let Store::Beside { file, .. } = &mut journal.0 else {
            panic!("{journal:?}")
        };
        file.write_all(&half[..half.len() / 2]).unwrap();
        drop(journal);

        let (mut journal, found) = Journal::resume(&destination).unwrap();
        assert_eq!(instances(&found), ["1", "2"]);
        journal.add(result(4)).unwrap();
        journal.finish().unwrap();
        assert_eq!(instances(&read(&path)), ["1", "2", "4"]);
    }

    #[test]
    fn what_holds_no_array_of_results_is_not_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "my notes").unwrap();
        let error = Journal::resume(&Destination::File(path.clone())).unwrap_err();
        assert!(format!("{error:#}").contains("notes.txt"), "{error:#}");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "my notes");
    }
}
