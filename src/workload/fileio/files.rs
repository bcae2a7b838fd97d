//! The test files: made, opened, checked and removed.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, ftruncate, unlinkat};

use super::requests::Extent;
use super::transfer::{TOO_LARGE, retry};
use super::{cache, direct, mark, pattern, refusal, seal};
use crate::descriptors::{OTHER_DESCRIPTORS, raise_limit};
use crate::plan::{FilePlan, FileSet, FileioParams, IoMode, OpenFlags};
use crate::signal;

/// Which files count as test files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Those of the right name, as for sysbench 0.4.12.
    Name,
    /// Those of the right name that this tool has made, or whose data it has written.
    Stamp,
}

/// A set of test files in a folder.
///
/// No symbolic link is followed, and nothing but a regular file is opened.
#[derive(Debug)]
pub struct TestFiles {
    folder: OwnedFd,
    path: PathBuf,
    set: FileSet,
    validate: bool,
    recreate: bool,
    rule: Rule,
    /// Those that this process has made, and not removed.
    made: Mutex<BTreeMap<u32, FileId>>,
}

/// A file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl FileId {
    fn of(stat: &FileStat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }
}

/// What stands under the name of a test file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Regular(u64),
    Other(&'static str),
}

impl TestFiles {
    /// The set of a plan, in its folder, which has to be there.
    pub fn of(plan: &FilePlan, rule: Rule) -> Result<Self> {
        let path = plan.dir.as_path();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = retry(|| open(path, flags, Mode::empty())).map_err(|errno| {
            let advice = match errno {
                Errno::ENOENT => "make it, or name another with --dir",
                Errno::ENOTDIR => "name a folder with --dir",
                _ => "name another with --dir",
            };
            Error::new(errno).context(format!(
                "the folder of the test files, {}, can't be opened ({advice})",
                path.display()
            ))
        })?;
        Ok(Self {
            folder,
            path: path.to_owned(),
            set: plan.set,
            validate: plan.validate,
            recreate: plan.recreate,
            rule,
            made: Mutex::default(),
        })
    }

    /// The set.
    pub fn set(&self) -> FileSet {
        self.set
    }

    /// Their blocks are sealed.
    pub fn validate(&self) -> bool {
        self.validate
    }

    /// Files that are right already are to be written again.
    pub fn recreate(&self) -> bool {
        self.recreate
    }

    /// The files' names with their folder, for messages.
    pub fn path_of(&self, file: u32) -> PathBuf {
        self.path.join(name(file))
    }

    fn numbers(&self) -> std::ops::Range<u32> {
        0..self.set.files.get()
    }

    fn find(&self, file: u32) -> Result<Found> {
        Ok(self
            .stat(file)?
            .map_or(Found::Nothing, |stat| Found::of(&stat)))
    }

    fn stat(&self, file: u32) -> Result<Option<FileStat>> {
        let found = fstatat(
            &self.folder,
            name(file).as_str(),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        );
        match found {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(Error::new(errno).context(self.about("looking at", file))),
        }
    }

    /// A file of the set to be read again after a run, without what the page cache has of it.
    pub(super) fn open_to_verify(&self, file: u32) -> Result<File> {
        let opened = self.open_to_look(file)?;
        cache::drop_pages(&opened).with_context(|| self.about("syncing", file))?;
        Ok(opened)
    }

    /// Drops the pages of the whole set from the page cache, written to the device before.
    pub fn drop_cache(&self) -> Result<()> {
        for file in self.numbers() {
            signal::go_on()?;
            cache::drop_pages(&self.open_to_look(file)?)
                .with_context(|| self.about("syncing", file))?;
        }
        Ok(())
    }

    /// Bytes of the set that are in the page cache; None where the kernel doesn't tell.
    pub fn resident_bytes(&self) -> Result<Option<u64>> {
        let mut sum = 0;
        for file in self.numbers() {
            let opened = self.open_to_look(file)?;
            let Some(bytes) = cache::resident_bytes(&opened, self.set.file_size) else {
                return Ok(None);
            };
            sum += bytes;
        }
        Ok(Some(sum))
    }

    /// A regular file that may be used, overwritten and removed as a test file.
    fn is_ours(&self, file: u32) -> Result<bool> {
        Ok(self.rule == Rule::Name || mark::is_on(&self.open_to_look(file)?))
    }

    fn open_to_look(&self, file: u32) -> Result<File> {
        Ok(self.open_one(file, OFlag::O_RDONLY)?.into())
    }

    /// A file that needs not be written again: of the right size, with this tool's data from its
    /// first block to its last, sealed where that is wanted.
    fn is_right(&self, file: u32) -> Result<bool> {
        if self.rule == Rule::Name || self.find(file)? != Found::Regular(self.set.file_size) {
            return Ok(false);
        }
        let opened = self.open_to_look(file)?;
        let block = usize::try_from(self.set.block_size)?;
        let mut data = vec![0; block];
        for offset in [0, self.set.file_size - self.set.block_size] {
            let place = Extent {
                file,
                offset,
                len: block,
            };
            let read = opened.read_exact_at(&mut data, offset).is_ok();
            let stamped = data.first_chunk().is_some_and(pattern::is_stamped);
            if !read || !stamped || self.validate && seal::open(&data, place).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// None of the set is there.
    pub fn are_absent(&self) -> Result<bool> {
        for file in self.numbers() {
            if self.find(file)? != Found::Nothing {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fails where a file of the set is missing, too small, or none that a run may use.
    pub fn check(&self) -> Result<()> {
        for file in self.numbers() {
            let path = self.path_of(file);
            let path = path.display();
            match self.find(file)? {
                Found::Nothing => bail!("the test file {path} is missing; run 'prepare' first"),
                Found::Other(kind) => bail!("{path} is {kind}, no test file"),
                Found::Regular(size) => ensure!(
                    size >= self.set.file_size,
                    "the test file {path} is too small: {size} bytes, and {} are needed; run \
                     'prepare' with the same number of files, total and block size",
                    self.set.file_size
                ),
            }
            ensure!(
                self.is_ours(file)?,
                "{path} was not written by this program; remove it, or name another folder with --dir"
            );
        }
        Ok(())
    }

    /// Fails where something in the way of the set may not be replaced.
    pub fn check_replaceable(&self) -> Result<()> {
        for file in self.numbers() {
            let path = self.path_of(file);
            let path = path.display();
            match self.find(file)? {
                Found::Nothing => {}
                Found::Other(kind) => {
                    bail!("{path} is {kind}, in the way of a test file; remove it")
                }
                Found::Regular(_) => ensure!(
                    self.is_ours(file)?,
                    "{path} was not written by this program and is in the way of a test file; \
                     remove it, or name another folder with --dir"
                ),
            }
        }
        Ok(())
    }

    /// Makes the set anew, empty, and opens it.
    pub fn create(&self, params: &FileioParams) -> Result<Vec<OwnedFd>> {
        self.check_replaceable()?;
        self.raise_descriptor_limit()?;
        let files: Vec<_> = self
            .numbers()
            .map(|file| {
                self.clear_the_way(file)?;
                self.create_one(file, flags_of(params.flags))
            })
            .collect::<Result<_>>()?;
        self.check_direct(&files, params)?;
        if params.io_mode == IoMode::Mmap {
            (0..)
                .zip(&files)
                .try_for_each(|(number, file)| self.extend(number, file))?;
        }
        Ok(files)
    }

    /// Allows as many descriptors as the set has files.
    fn raise_descriptor_limit(&self) -> Result<()> {
        let files = self.set.files;
        let needed = u64::from(files.get()) + OTHER_DESCRIPTORS;
        raise_limit(
            needed,
            format_args!("{files} test files"),
            "use fewer files",
        )
        .map(drop)
    }

    /// Gives a new file its size, so that it can be stored to through a mapping.
    fn extend(&self, number: u32, file: &OwnedFd) -> Result<()> {
        let size = i64::try_from(self.set.file_size)?;
        retry(|| ftruncate(file, size)).map_err(|errno| {
            let about = self.about("extending", number);
            match errno {
                Errno::EFBIG => anyhow!("{about}: {TOO_LARGE}"),
                _ => Error::new(errno).context(about),
            }
        })
    }

    /// Opens the set as it is.
    pub fn open(&self, params: &FileioParams) -> Result<Vec<OwnedFd>> {
        self.raise_descriptor_limit()?;
        let access = match params.mode.writes() {
            true => OFlag::O_RDWR,
            false => OFlag::O_RDONLY,
        };
        let files: Vec<_> = self
            .numbers()
            .map(|file| self.open_one(file, access | flags_of(params.flags)))
            .collect::<Result<_>>()?;
        self.check_direct(&files, params)?;
        Ok(files)
    }

    /// Fails where the run is to open files in a way that their folder does not support, before
    /// any of them is written.
    pub fn check_folder(&self, params: &FileioParams) -> Result<()> {
        let refused =
            params.flags == OpenFlags::Direct && direct::is_supported_in(&self.path) == Some(false);
        let why = || refusal::no_direct(&self.path);
        ensure!(!refused, "{}: {}", self.about("opening", 0), why());
        Ok(())
    }

    /// Fails where requests don't fit what the file system says of O_DIRECT.
    fn check_direct(&self, files: &[OwnedFd], params: &FileioParams) -> Result<()> {
        let (Some(first), OpenFlags::Direct) = (files.first(), params.flags) else {
            return Ok(());
        };
        direct::check_fit(first.as_fd(), &self.path, params)
            .with_context(|| format!("O_DIRECT in {}", self.path.display()))
    }

    fn create_one(&self, file: u32, extra: OFlag) -> Result<OwnedFd> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | extra;
        let was_there = self.stat(file)?.is_some();
        let opened = self.open_name(file, flags, Mode::from_bits_truncate(0o600));
        match &opened {
            Ok(made) => {
                let id = self.identify_made(file, made)?;
                self.made().insert(file, id);
                mark::put_on(made);
            }
            // The file stands although O_DIRECT was refused for it.
            Err(error) if error.downcast_ref() == Some(&Errno::EINVAL) && !was_there => {
                if let Some(stat) = self.stat(file)? {
                    self.made().insert(file, FileId::of(&stat));
                }
            }
            Err(_) => {}
        }
        opened
    }

    /// Identifies a file that was just made. Removes it where that fails: the clean-up removes
    /// only what it can identify.
    fn identify_made(&self, file: u32, made: &OwnedFd) -> Result<FileId> {
        let stat = fstat(made).inspect_err(|_| _ = self.unlink(file));
        let stat = stat.with_context(|| self.about("looking at", file))?;
        Ok(FileId::of(&stat))
    }

    /// Opens a file of the set that is there.
    fn open_one(&self, file: u32, flags: OFlag) -> Result<OwnedFd> {
        let opened = self.open_name(file, flags, Mode::empty())?;
        let stat = fstat(&opened).with_context(|| self.about("looking at", file))?;
        match Found::of(&stat) {
            Found::Regular(_) => Ok(opened),
            Found::Other(kind) => bail!("{} is {kind}, no test file", self.path_of(file).display()),
            Found::Nothing => unreachable!("what is open is something"),
        }
    }

    /// Opens whatever has the name of a test file, except for a symbolic link.
    fn open_name(&self, file: u32, flags: OFlag, mode: Mode) -> Result<OwnedFd> {
        // O_NONBLOCK: a FIFO must not hang the open; it means nothing for a regular file.
        let safe = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_LARGEFILE;
        let name = name(file);
        retry(|| openat(&self.folder, name.as_str(), flags | safe, mode)).map_err(|errno| {
            refusal::of_opening(self.about("opening", file), &self.path, flags, errno)
        })
    }

    /// The files that `prepare` has to write: those that are not right already, or all where
    /// that was asked for. Fails where something may not be replaced.
    pub(super) fn to_be_written(&self) -> Result<Vec<u32>> {
        self.check_replaceable()?;
        let mut needed = Vec::new();
        for file in self.numbers() {
            if self.recreate || !self.is_right(file)? {
                needed.push(file);
            }
        }
        Ok(needed)
    }

    /// Has the names of the set reach their device.
    pub fn sync_folder(&self) -> Result<()> {
        retry(|| fsync(&self.folder))
            .with_context(|| format!("syncing the folder {}", self.path.display()))
    }

    /// An empty file of the set to be filled, past the page cache where that can be.
    pub(super) fn create_to_fill(&self, file: u32) -> Result<(File, bool)> {
        self.clear_the_way(file)?;
        let made = self.create_one(file, OFlag::empty())?;
        let direct = direct::switch(made.as_fd(), true).is_ok();
        Ok((File::from(made), direct))
    }

    /// Removes the set: under [`Rule::Stamp`] only files that this program wrote.
    ///
    /// Goes through all of them and then fails for those that were left.
    pub fn remove(&self) -> Result<()> {
        let mut left = Vec::new();
        let mut removed = Ok(());
        for file in self.numbers() {
            match self.remove_one(file) {
                Ok(None) => {}
                Ok(Some(why)) => left.push((file, why)),
                Err(error) => removed = removed.and(Err(error)),
            }
        }
        removed?;
        match left.as_slice() {
            [] => Ok(()),
            [(file, why), ..] => bail!(
                "{} of the names of test files in {} belong to something else and were left, the \
                 first {}: {why}",
                left.len(),
                self.path.display(),
                name(*file)
            ),
        }
    }

    /// Removes what stands under a name, if it may be removed; else tells why not.
    fn remove_one(&self, file: u32) -> Result<Option<&'static str>> {
        match self.find(file)? {
            Found::Nothing => Ok(None),
            Found::Other(kind) => Ok(Some(kind)),
            Found::Regular(_) if self.rule == Rule::Name => self.unlink(file).map(|()| None),
            Found::Regular(_) => {
                let opened = self.open_to_look(file)?;
                if !mark::is_on(&opened) {
                    return Ok(Some("not written by this program"));
                }
                let looked_at = fstat(&opened).with_context(|| self.about("looking at", file))?;
                self.unlink_if(file, FileId::of(&looked_at))
            }
        }
    }

    /// Removes a name where it still stands for this file; else tells why not.
    fn unlink_if(&self, file: u32, id: FileId) -> Result<Option<&'static str>> {
        match self.stat(file)? {
            Some(stat) if FileId::of(&stat) != id => Ok(Some("put there by another process")),
            _ => self.unlink(file).map(|()| None),
        }
    }

    /// Removes what is in the way of a new file; fails where that may not be removed.
    fn clear_the_way(&self, file: u32) -> Result<()> {
        match self.remove_one(file)? {
            None => Ok(()),
            Some(why) => bail!(
                "{} is in the way of a test file, and {why}; remove it, or name another folder \
                 with --dir",
                self.path_of(file).display()
            ),
        }
    }

    /// Removes the files that this process has made: all that it can, then fails with the first
    /// error.
    pub fn remove_made(&self) -> Result<()> {
        let made = self.made().clone();
        let removed = made
            .into_iter()
            .map(|(file, id)| self.unlink_if(file, id).map(drop));
        removed.fold(Ok(()), Result::and)
    }

    /// Takes over what this process has made under another description of the same files.
    pub fn take_over(&self, other: &Self) {
        self.made().append(&mut other.made());
    }

    /// The files that this process has made stay.
    pub fn keep_made(&self) {
        self.made().clear();
    }

    fn unlink(&self, file: u32) -> Result<()> {
        match unlinkat(
            &self.folder,
            name(file).as_str(),
            UnlinkatFlags::NoRemoveDir,
        ) {
            Ok(()) | Err(Errno::ENOENT) => {
                self.made().remove(&file);
                Ok(())
            }
            Err(errno) => Err(Error::new(errno).context(self.about("removing", file))),
        }
    }

    fn about(&self, doing: &str, file: u32) -> String {
        format!("{doing} the test file {}", self.path_of(file).display())
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<u32, FileId>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what this process has made when it goes out of scope, even by a panic.
#[derive(Debug)]
pub struct CleanUp<'a>(pub &'a TestFiles);

impl Drop for CleanUp<'_> {
    fn drop(&mut self) {
        // The orderly way calls `remove_made` itself and tells of its errors.
        let _ = self.0.remove_made();
    }
}

impl Found {
    fn of(stat: &FileStat) -> Self {
        match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFREG => Self::Regular(u64::try_from(stat.st_size).unwrap_or(0)),
            SFlag::S_IFDIR => Self::Other("a folder"),
            SFlag::S_IFLNK => Self::Other("a symbolic link"),
            SFlag::S_IFIFO => Self::Other("a pipe"),
            SFlag::S_IFSOCK => Self::Other("a socket"),
            _ => Self::Other("a device"),
        }
    }
}

/// What precedes the number in the name of a test file.
const NAME: &str = "test_file.";

fn name(file: u32) -> String {
    format!("{NAME}{file}")
}

/// Tells whether a test file may have this name.
pub(super) fn is_name(text: &str) -> bool {
    let number = text.strip_prefix(NAME).and_then(|text| text.parse().ok());
    number.is_some_and(|number| name(number) == text)
}

fn flags_of(flags: OpenFlags) -> OFlag {
    match flags {
        OpenFlags::None => OFlag::empty(),
        OpenFlags::Sync => OFlag::O_SYNC,
        OpenFlags::Dsync => OFlag::O_DSYNC,
        OpenFlags::Direct => OFlag::O_DIRECT,
    }
}

#[cfg(test)]
mod tests;
