//! Journal of a running job: keeps its results no matter how the job ends.
//!
//! The journal of the result file FILE is `FILE.partial`, with one line of JSON per result in
//! order of completion. When the job ends, by itself or by a signal, the lines become the array in
//! FILE. A resumed job starts with the results of both.
//!
//! A job holds the lock of `FILE.partial` from before it reads anything until FILE is complete, so
//! that no other job takes or adds results in between.

mod format;
mod lock;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow};

use crate::error::describe_errno;
use crate::host::is_mount_point;
use crate::output::{
    Destination, Reserve, Target, WriteMethod, advise, is_out_of_space, write_whole,
};
use crate::result::RunResult;
use format::{append, parse_array, parse_lines, write_array, write_line};
use lock::LockedFile;

/// The results of a job so far.
#[derive(Debug)]
pub struct Journal(Store);

#[derive(Debug)]
enum Store {
    /// For a destination that cannot have a file beside it: lost with the process.
    Memory {
        results: Vec<RunResult>,
        destination: Destination,
    },
    /// In a file in the directory of `target`.
    File {
        file: LockedFile,
        partial: PathBuf,
        target: Target,
        reserve: Option<Reserve>,
    },
}

impl Journal {
    /// Begins a job that writes its results to `destination`.
    ///
    /// Fails if there are results already, complete or partial: these may have taken hours and are
    /// never overwritten.
    pub fn begin(destination: &Destination) -> Result<Self> {
        destination.check()?;
        let Some((target, path)) = file_of(destination)? else {
            return Ok(Self::in_memory(destination));
        };
        if has_content(&path) {
            return Err(contains_results(&path));
        }
        let partial = partial_of(&path);
        let (file, is_new) = claim(&partial)?;
        if !is_new {
            return Err(contains_results(&partial));
        }
        // Another job may have ended since the check.
        if has_content(&path) {
            file.remove(&partial)?;
            return Err(contains_results(&path));
        }
        Ok(Self::in_file(target, partial, file))
    }

    /// Fails early if [`Journal::begin`] or [`Journal::resume`] would fail, as far as that can be
    /// checked without side effects: for jobs with long preparations.
    pub fn check(destination: &Destination, resumes: bool) -> Result<()> {
        destination.check()?;
        let Some((_, path)) = file_of(destination)? else {
            return Ok(());
        };
        let partial = partial_of(&path);
        let exists = LockedFile::open(&partial)?.is_some();
        match resumes {
            false if exists => Err(contains_results(&partial)),
            false if has_content(&path) => Err(contains_results(&path)),
            _ => Ok(()),
        }
    }

    /// Resumes a job and returns all its complete results. Begins the job if there are none.
    pub fn resume(destination: &Destination) -> Result<(Self, Vec<RunResult>)> {
        Self::resume_with(destination, Ok)
    }

    /// Resumes a job with the results that `choose` selects. If `choose` fails, all files stay
    /// unchanged.
    pub fn resume_with(
        destination: &Destination,
        choose: impl FnOnce(Vec<RunResult>) -> Result<Vec<RunResult>>,
    ) -> Result<(Self, Vec<RunResult>)> {
        destination.check()?;
        let Some((target, path)) = file_of(destination)? else {
            return Ok((Self::in_memory(destination), Vec::new()));
        };
        let partial = partial_of(&path);
        let (file, is_new) = claim(&partial)?;
        let chosen = read_results(&file, &partial, &path)
            .and_then(choose)
            .with_context(|| format!("cannot resume {}", path.display()));
        let results = match chosen {
            Ok(results) => results,
            Err(error) => {
                if is_new {
                    file.remove(&partial)?;
                }
                return Err(error);
            }
        };
        // Rewrite the whole file: this drops a truncated line and turns an array into lines.
        let file = file.replace(&partial, |out| {
            results
                .iter()
                .try_for_each(|result| write_line(out, result))
        })?;
        Ok((Self::in_file(target, partial, file), results))
    }

    fn in_memory(destination: &Destination) -> Self {
        let (results, destination) = (Vec::new(), destination.clone());
        Self(Store::Memory {
            results,
            destination,
        })
    }

    fn in_file(target: Target, partial: PathBuf, file: LockedFile) -> Self {
        Self(Store::File {
            reserve: reserve(&partial),
            file,
            partial,
            target,
        })
    }

    /// Returns a note for the user if the file system does not support locks.
    pub fn remark(&self) -> Option<String> {
        let Store::File { file, partial, .. } = &self.0 else {
            return None;
        };
        let errno = file.unlocked()?;
        Some(format!(
            "cannot lock {}: {}; make sure that no other job writes to it",
            partial.display(),
            describe_errno(errno)
        ))
    }

    /// Adds a result: completely or, with an error, not at all.
    pub fn add(&mut self, result: RunResult) -> Result<()> {
        match &mut self.0 {
            Store::Memory { results, .. } => {
                results.push(result);
                Ok(())
            }
            Store::File {
                file,
                partial,
                reserve: reserved,
                ..
            } => {
                let added = append(file, &result).map_err(Error::from).or_else(|error| {
                    // The disk is full except for the reserved space.
                    match is_out_of_space(&error) && reserved.take().is_some() {
                        true => append(file, &result).map_err(Error::from),
                        false => Err(error),
                    }
                });
                if reserved.is_none() {
                    *reserved = reserve(partial);
                }
                added.map_err(|error| {
                    advise(error, "make room, then continue with --resume")
                        .context(format!("cannot add a result to {}", partial.display()))
                })
            }
        }
    }

    /// Ends the job: writes the results as one array to the destination. If that fails, the
    /// previous files stay.
    pub fn finish(self) -> Result<WriteMethod> {
        let (file, partial, target) = match self.0 {
            Store::Memory {
                results,
                destination,
            } => return destination.write(&results),
            Store::File {
                file,
                partial,
                target,
                ..
            } => (file, partial, target),
        };
        let written = write_whole(&target, |out| {
            let mut file: &File = &file;
            file.rewind()?;
            let lines = BufReader::new(file).lines();
            write_array(out, lines.map(|line| Ok(serde_json::from_str(&line?)?)))
        })
        .map_err(|error| {
            advise(error.into(), "make room, then continue with --resume").context(format!(
                "cannot write {} (the results so far are in {})",
                target.path().display(),
                partial.display()
            ))
        })?;
        file.remove(&partial)?;
        Ok(written)
    }
}

/// Returns the file of a destination; None for one that is written only once, at the end.
fn file_of(destination: &Destination) -> Result<Option<(Target, PathBuf)>> {
    let Destination::File(path) = destination else {
        return Ok(None);
    };
    Ok(match Target::of(path)? {
        Target::Special(_) => None,
        target => {
            let path = target.path().to_owned();
            Some((target, path))
        }
    })
}

/// Returns the path of the journal of a result file.
fn partial_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn reserve(partial: &Path) -> Option<Reserve> {
    // Best effort: without it, a full disk is detected only when a write fails.
    Reserve::beside(partial).ok().flatten()
}

/// Returns whether there is a file, other than an empty one that is a mount point.
fn has_content(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| metadata.len() > 0 || !is_mount_point(path))
}

fn contains_results(path: &Path) -> Error {
    anyhow!(
        "{} already contains results: add what is missing with --resume, or name another file with \
         --json",
        path.display()
    )
}

/// Locks the journal of a job and returns whether it is new.
fn claim(partial: &Path) -> Result<(LockedFile, bool)> {
    loop {
        if let Some(file) = LockedFile::create(partial)? {
            return Ok((file, true));
        }
        // If the file has disappeared, its job has ended: try again.
        if let Some(file) = LockedFile::open(partial)? {
            return Ok((file, false));
        }
    }
}

/// Returns the results so far: from the journal, or else from the result file. An empty journal is
/// left by a job that was killed before it wrote its first results.
fn read_results(mut file: &File, partial: &Path, path: &Path) -> Result<Vec<RunResult>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)
        .with_context(|| format!("cannot read {}", partial.display()))?;
    match text.iter().rposition(|&byte| byte == b'\n') {
        Some(last) => parse_lines(&text[..=last], partial),
        None if has_content(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            parse_array(&text, path)
        }
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn result(instance: u32) -> RunResult {
        let example = include_str!("../../docs/examples/quiet/1.json");
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

    fn finish(journal: Journal) {
        assert_eq!(journal.finish().unwrap(), WriteMethod::Normal);
    }

    fn read(path: &Path) -> Vec<RunResult> {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn a_finished_job_leaves_one_array_and_no_journal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("all.json");
        let mut journal = Journal::begin(&Destination::File(path.clone())).unwrap();
        journal.add(result(1)).unwrap();
        journal.add(result(2)).unwrap();
        assert!(!path.exists());
        finish(journal);
        assert_eq!(instances(&read(&path)), ["1", "2"]);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_job_without_results_leaves_an_empty_array() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("all.json");
        let journal = Journal::begin(&Destination::File(path.clone())).unwrap();
        finish(journal);
        assert_eq!(read(&path), []);
    }

    #[test]
    fn existing_results_are_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["all.json", "all.json.partial"] {
            let path = directory.path().join(name);
            std::fs::write(&path, "").unwrap();
            let destination = Destination::File(directory.path().join("all.json"));
            let error = Journal::begin(&destination).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("--resume"),
                "{error}"
            );
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_job_resumes_after_it_finished_and_after_it_was_killed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("all.json");
        let destination = Destination::File(path.clone());
        let (mut journal, found) = Journal::resume(&destination).unwrap();
        assert_eq!(found, []);
        journal.add(result(1)).unwrap();
        finish(journal);

        let (mut journal, found) = Journal::resume(&destination).unwrap();
        assert_eq!(instances(&found), ["1"]);
        journal.add(result(2)).unwrap();
        // Killed here, in the middle of a line.
        let half = serde_json::to_vec(&result(3)).unwrap();
        let Store::File { file, .. } = &mut journal.0 else {
            panic!("{journal:?}")
        };
        let mut file: &File = file;
        file.write_all(&half[..half.len() / 2]).unwrap();
        drop(journal);

        let (mut journal, found) = Journal::resume(&destination).unwrap();
        assert_eq!(instances(&found), ["1", "2"]);
        journal.add(result(4)).unwrap();
        finish(journal);
        assert_eq!(instances(&read(&path)), ["1", "2", "4"]);
    }

    #[test]
    fn a_file_without_an_array_of_results_is_not_resumed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes.txt");
        std::fs::write(&path, "my notes").unwrap();
        let error = Journal::resume(&Destination::File(path.clone())).unwrap_err();
        assert!(format!("{error:#}").contains("notes.txt"), "{error:#}");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "my notes");
    }

    #[test]
    fn a_second_job_fails_and_names_the_holder_of_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("all.json");
        let destination = Destination::File(path.clone());
        for first in [
            Journal::begin,
            |to: &Destination| Ok(Journal::resume(to)?.0),
        ] {
            let mut journal = first(&destination).unwrap();
            for resumes in [false, true] {
                let error = Journal::check(&destination, resumes).unwrap_err();
                assert!(error.to_string().contains("in use by"), "{error:#}");
            }
            for second in [
                Journal::begin,
                |to: &Destination| Ok(Journal::resume(to)?.0),
            ] {
                let error = second(&destination).unwrap_err().to_string();
                let holder = format!("in use by process {}, which", std::process::id());
                assert!(error.contains(&holder), "{error}");
            }
            journal.add(result(1)).unwrap();
            finish(journal);
            assert_eq!(read(&path).len(), 1);
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_journal_stays_locked_while_it_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("all.json.partial");
        let file = LockedFile::create(&path).unwrap().unwrap();
        let file = file.replace(&path, |out| out.write_all(b"new")).unwrap();
        // The new file has the lock before it has the name.
        assert!(LockedFile::open(&path).is_err());
        drop(file);
        assert!(LockedFile::open(&path).unwrap().is_some());
    }

    #[test]
    fn a_job_killed_before_it_converted_its_array_keeps_the_results() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("all.json");
        let destination = Destination::File(path.clone());
        let mut journal = Journal::begin(&destination).unwrap();
        journal.add(result(1)).unwrap();
        finish(journal);
        std::fs::write(partial_of(&path), "").unwrap();
        let (_, found) = Journal::resume(&destination).unwrap();
        assert_eq!(instances(&found), ["1"]);
    }

    #[test]
    fn a_refused_resume_leaves_the_files_unchanged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("all.json");
        let destination = Destination::File(path.clone());
        let mut journal = Journal::begin(&destination).unwrap();
        journal.add(result(1)).unwrap();
        finish(journal);
        let refused = Journal::resume_with(&destination, |_| Err(anyhow!("another host")));
        assert!(refused.is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_eq!(instances(&read(&path)), ["1"]);
    }

    #[test]
    fn a_journal_does_not_follow_a_symbolic_link() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("all.json");
        let target = directory.path().join("target");
        std::os::unix::fs::symlink(&target, partial_of(&path)).unwrap();
        let destination = Destination::File(path);
        for content in [None, Some("precious")] {
            if let Some(content) = content {
                std::fs::write(&target, content).unwrap();
            }
            for error in [
                Journal::begin(&destination).unwrap_err(),
                Journal::resume(&destination).unwrap_err(),
            ] {
                assert!(error.to_string().contains("symbolic link"), "{error:#}");
            }
            let now = std::fs::read_to_string(&target).ok();
            assert_eq!(now.as_deref(), content);
        }
    }
}
