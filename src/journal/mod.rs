//! The results of a long job while it goes on, so that whatever ends it, what it has is kept.
//!
//! Beside the result file that will be, FILE, stands `FILE.partial`: a line of JSON for each
//! result, in the order in which they came. When the job ends, by itself or by a signal, the lines
//! become the array that FILE holds. A job that is resumed begins with what both hold.
//!
//! The job at work holds the lock of `FILE.partial`, from before it reads anything until FILE is
//! there, so that no other job takes or adds results meanwhile.

mod holder;
mod lock;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow};

use crate::host::is_mount_point;
use crate::output::{Destination, Reserve, Target, Written, is_out_of_space, write_whole};
use crate::result::RunResult;
use lock::LockedFile;

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
    /// In the file beside `target`.
    Beside {
        file: LockedFile,
        partial: PathBuf,
        target: Target,
        reserve: Option<Reserve>,
    },
}

impl Journal {
    /// Begins a job whose results go to `destination`.
    ///
    /// Refuses to begin where there are results already, all or some: what took hours is not
    /// written over.
    pub fn begin(destination: &Destination) -> Result<Self> {
        destination.check()?;
        let Some((target, path)) = file_of(destination)? else {
            return Ok(Self::in_memory(destination));
        };
        if has_content(&path) {
            return Err(holds_results(&path));
        }
        let partial = partial_of(&path);
        let (file, is_new) = claim(&partial)?;
        if !is_new {
            return Err(holds_results(&partial));
        }
        // Another job may have ended since.
        if has_content(&path) {
            file.remove(&partial)?;
            return Err(holds_results(&path));
        }
        Ok(Self::beside(target, partial, file))
    }

    /// Fails at once where [`Journal::begin`], or [`Journal::resume`], would, as far as that can be
    /// known without changing anything: for jobs that have much to do before they begin.
    pub fn check(destination: &Destination, resumes: bool) -> Result<()> {
        destination.check()?;
        let Some((_, path)) = file_of(destination)? else {
            return Ok(());
        };
        let partial = partial_of(&path);
        let is_there = LockedFile::open(&partial)?.is_some();
        match resumes {
            false if is_there => Err(holds_results(&partial)),
            false if has_content(&path) => Err(holds_results(&path)),
            _ => Ok(()),
        }
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
        let Some((target, path)) = file_of(destination)? else {
            return Ok((Self::in_memory(destination), Vec::new()));
        };
        let partial = partial_of(&path);
        let (file, is_new) = claim(&partial)?;
        let chosen = found(&file, &partial, &path).and_then(|found| {
            choose(found).with_context(|| format!("cannot resume {}", path.display()))
        });
        let found = match chosen {
            Ok(found) => found,
            Err(error) => {
                if is_new {
                    file.remove(&partial)?;
                }
                return Err(error);
            }
        };
        // Written anew and whole: a line cut in half is gone, and an array becomes lines.
        let file = file.replace(&partial, |out| {
            found.iter().try_for_each(|result| line(out, result))
        })?;
        Ok((Self::beside(target, partial, file), found))
    }

    fn in_memory(destination: &Destination) -> Self {
        let (results, destination) = (Vec::new(), destination.clone());
        Self(Store::Memory {
            results,
            destination,
        })
    }

    fn beside(target: Target, partial: PathBuf, file: LockedFile) -> Self {
        Self(Store::Beside {
            reserve: reserve(&partial),
            file,
            partial,
            target,
        })
    }

    /// What the user has to see to where the file system has no locks.
    pub fn remark(&self) -> Option<String> {
        let Store::Beside { file, partial, .. } = &self.0 else {
            return None;
        };
        let errno = file.unlocked()?;
        Some(format!(
            "cannot lock {}: {}; make sure that no other job writes to it",
            partial.display(),
            errno.desc()
        ))
    }

    /// Takes a result: whole or, with an error, not at all.
    pub fn add(&mut self, result: RunResult) -> Result<()> {
        match &mut self.0 {
            Store::Memory { results, .. } => {
                results.push(result);
                Ok(())
            }
            Store::Beside {
                file,
                partial,
                reserve: reserved,
                ..
            } => {
                let added = append(file, &result).map_err(Error::from).or_else(|error| {
                    // What filled the disk left this much.
                    match is_out_of_space(&error) && reserved.take().is_some() {
                        true => append(file, &result).map_err(Error::from),
                        false => Err(error),
                    }
                });
                if reserved.is_none() {
                    *reserved = reserve(partial);
                }
                added.with_context(|| {
                    format!(
                        "a result can't be kept in {}; make room, then go on with --resume",
                        partial.display()
                    )
                })
            }
        }
    }

    /// Ends the job: the results become one array, in their destination. Where that fails, what
    /// there was before stays.
    pub fn finish(self) -> Result<Written> {
        let (file, partial, target) = match self.0 {
            Store::Memory {
                results,
                destination,
            } => return destination.write(&results),
            Store::Beside {
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
        .with_context(|| {
            format!(
                "cannot write {}; the results so far are in {}: make room, then go on with --resume",
                target.path().display(),
                partial.display()
            )
        })?;
        file.remove(&partial)?;
        Ok(written)
    }
}

/// The file that a destination is; None where it is written to as it is, once and at the end.
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

/// Where the results of a job stand while it goes on.
fn partial_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn reserve(partial: &Path) -> Option<Reserve> {
    // Without it a full disk is found when it is full.
    Reserve::beside(partial).ok().flatten()
}

/// There is a file, and not the empty one that something has to be mounted on.
fn has_content(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|there| there.len() > 0 || !is_mount_point(path))
}

fn holds_results(there: &Path) -> Error {
    anyhow!(
        "{} holds results already: add what is missing with --resume, or name another file with \
         --json",
        there.display()
    )
}

/// Locks the file of a job, and tells whether it is new.
fn claim(partial: &Path) -> Result<(LockedFile, bool)> {
    loop {
        if let Some(file) = LockedFile::create(partial)? {
            return Ok((file, true));
        }
        // Where it has gone meanwhile, its job has ended.
        if let Some(file) = LockedFile::open(partial)? {
            return Ok((file, false));
        }
    }
}

/// The results so far: of a job at work, or else of its end. An empty journal is of a job that was
/// killed before it wrote what it began with.
fn found(mut file: &File, partial: &Path, path: &Path) -> Result<Vec<RunResult>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)
        .with_context(|| format!("cannot read {}", partial.display()))?;
    match text.iter().rposition(|&byte| byte == b'\n') {
        Some(last) => lines(&text[..=last], partial),
        None => array(path),
    }
}

/// Its line feeds are layout only: those of a text are escaped.
fn line(out: &mut dyn Write, result: &RunResult) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(result)?;
    text.retain(|&byte| byte != b'\n');
    text.push(b'\n');
    out.write_all(&text)
}

fn append(mut file: &File, result: &RunResult) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    line(&mut file, result).inspect_err(|_| {
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

/// The results of whole lines.
fn lines(text: &[u8], partial: &Path) -> Result<Vec<RunResult>> {
    String::from_utf8_lossy(text)
        .lines()
        .enumerate()
        .map(|(i, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}, line {}: no result", partial.display(), i + 1))
        })
        .collect()
}

/// The results of an earlier end; none where there is no such file.
fn array(path: &Path) -> Result<Vec<RunResult>> {
    if !has_content(path) {
        return Ok(Vec::new());
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "cannot resume {}: it holds no array of results",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
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
        assert_eq!(journal.finish().unwrap(), Written::AsItIs);
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
        finish(journal);
        assert_eq!(instances(&read(&path)), ["1", "2"]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_job_without_results_ends_in_an_empty_array() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.json");
        let journal = Journal::begin(&Destination::File(path.clone())).unwrap();
        finish(journal);
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
        finish(journal);

        let (mut journal, found) = Journal::resume(&destination).unwrap();
        assert_eq!(instances(&found), ["1"]);
        journal.add(result(2)).unwrap();
        // Killed here, in the middle of a line.
        let half = serde_json::to_vec(&result(3)).unwrap();
        let Store::Beside { file, .. } = &mut journal.0 else {
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
    fn what_holds_no_array_of_results_is_not_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "my notes").unwrap();
        let error = Journal::resume(&Destination::File(path.clone())).unwrap_err();
        assert!(format!("{error:#}").contains("notes.txt"), "{error:#}");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "my notes");
    }

    #[test]
    fn one_job_at_a_time_has_the_journal_and_the_other_says_who() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.json");
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
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_journal_that_is_replaced_is_locked_all_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.json.partial");
        let file = LockedFile::create(&path).unwrap().unwrap();
        let file = file.replace(&path, |out| out.write_all(b"new")).unwrap();
        // The new file has the lock before it has the name.
        assert!(LockedFile::open(&path).is_err());
        drop(file);
        assert!(LockedFile::open(&path).unwrap().is_some());
    }

    #[test]
    fn a_job_killed_before_its_array_became_lines_still_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.json");
        let destination = Destination::File(path.clone());
        let mut journal = Journal::begin(&destination).unwrap();
        journal.add(result(1)).unwrap();
        finish(journal);
        std::fs::write(partial_of(&path), "").unwrap();
        let (_, found) = Journal::resume(&destination).unwrap();
        assert_eq!(instances(&found), ["1"]);
    }

    #[test]
    fn a_resume_that_is_refused_leaves_all_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.json");
        let destination = Destination::File(path.clone());
        let mut journal = Journal::begin(&destination).unwrap();
        journal.add(result(1)).unwrap();
        finish(journal);
        let refused = Journal::resume_with(&destination, |_| Err(anyhow!("another host")));
        assert!(refused.is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(instances(&read(&path)), ["1"]);
    }

    #[test]
    fn a_journal_never_goes_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.json");
        let target = folder.path().join("target");
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
