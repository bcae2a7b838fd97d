//! Creation, opening, checks and removal of the test files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, ftruncate, unlinkat};

use super::holes::{self, Reporting};
use super::lock::{self, Access, Unlocked};
use super::requests::Extent;
use super::transfer::{TOO_LARGE, retry};
use super::{birth, cache, direct, leftover, mark, pattern, refusal, seal};
use crate::descriptors::{OTHER_DESCRIPTORS, raise_limit};
use crate::format::count;
use crate::plan::{FilePlan, FileSet, FileioParams, IoMode, OpenFlags};
use crate::signal;

/// Which files count as test files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Files with the right name, as for sysbench 0.4.12.
    Name,
    /// Files with the right name that this tool created, or whose data it wrote.
    Stamp,
}

/// A set of test files in a directory.
///
/// Follows no symbolic link, and opens only regular files.
#[derive(Debug)]
pub struct TestFiles {
    /// Holds the lock, which lasts as long as the descriptor is open.
    folder: Arc<OwnedFd>,
    path: PathBuf,
    set: FileSet,
    validate: bool,
    recreate: bool,
    rule: Rule,
    /// Files that this process created and has not removed.
    made: Mutex<BTreeMap<u32, FileId>>,
    /// How the file system reports holes, once known.
    holes: OnceLock<Reporting>,
}

/// Identity of a file, independent of its name.
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

/// Why a file cannot be used; `prepare` fixes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unfit {
    Missing,
    /// Its size in bytes.
    Small(u64),
    /// Offset of a part that was never written.
    Hole(u64),
}

/// What exists under the name of a test file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Regular(u64),
    Other(&'static str),
}

impl TestFiles {
    /// Returns the file set of a plan, whose directory must exist.
    pub fn of(plan: &FilePlan, rule: Rule) -> Result<Self> {
        let path = plan.dir.as_path();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = retry(|| open(path, flags, Mode::empty())).map_err(|errno| {
            let advice = match errno {
                Errno::ENOENT => "create it, or choose another with --dir",
                Errno::ENOTDIR => "choose a directory with --dir",
                _ => "choose another with --dir",
            };
            Error::new(errno).context(format!(
                "cannot open the directory of the test files, {} ({advice})",
                path.display()
            ))
        })?;
        Ok(Self::in_directory(Arc::new(folder), plan, rule))
    }

    fn in_directory(folder: Arc<OwnedFd>, plan: &FilePlan, rule: Rule) -> Self {
        Self {
            folder,
            path: plan.dir.clone(),
            set: plan.set,
            validate: plan.validate,
            recreate: plan.recreate,
            rule,
            made: Mutex::default(),
            holes: OnceLock::new(),
        }
    }

    /// Returns the same files under another plan for the same directory, with the same lock and the
    /// same record of what this process created.
    pub fn planned_as(&self, plan: &FilePlan) -> Self {
        let files = Self::in_directory(Arc::clone(&self.folder), plan, self.rule);
        files.made().append(&mut self.made());
        files
    }

    /// Locks the files until this value and those derived from it by [`Self::planned_as`] are
    /// dropped; an exclusive lock may replace a shared one.
    ///
    /// Fails if another process uses the files. Returns a message if they cannot be locked at all.
    pub fn lock(&self, access: Access) -> Result<Option<Unlocked>> {
        lock::acquire(self.folder.as_fd(), &self.path, access)
    }

    /// Returns the file set.
    pub fn set(&self) -> FileSet {
        self.set
    }

    /// Returns whether the blocks are sealed.
    pub fn validate(&self) -> bool {
        self.validate
    }

    /// Returns whether to rewrite files that are already complete.
    pub fn recreate(&self) -> bool {
        self.recreate
    }

    /// Returns the path of a file, for messages.
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
            &*self.folder,
            name(file).as_str(),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        );
        match found {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(Error::new(errno).context(self.about("looking at", file))),
        }
    }

    /// Opens a file of the set to read it again after a run, without its pages in the page cache.
    pub(super) fn open_to_verify(&self, file: u32) -> Result<File> {
        let opened = self.open_to_look(file)?;
        cache::drop_pages(&opened).with_context(|| self.about("syncing", file))?;
        Ok(opened)
    }

    /// Syncs the whole set to the device and drops its pages from the page cache.
    pub fn drop_cache(&self) -> Result<()> {
        for file in self.numbers() {
            signal::go_on()?;
            cache::drop_pages(&self.open_to_look(file)?)
                .with_context(|| self.about("syncing", file))?;
        }
        Ok(())
    }

    /// Returns how many bytes of the set are cached; `None` if the kernel does not report it.
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

    /// Returns whether a regular file may be used, overwritten and removed as a test file.
    fn is_ours(&self, file: u32) -> Result<bool> {
        Ok(self.rule == Rule::Name || self.is_marked(file, &self.open_to_look(file)?)?)
    }

    fn is_marked(&self, file: u32, opened: &File) -> Result<bool> {
        mark::is_on(opened).with_context(|| self.about("reading", file))
    }

    fn open_to_look(&self, file: u32) -> Result<File> {
        Ok(self.open_one(file, OFlag::O_RDONLY)?.into())
    }

    /// Returns whether a file needs no rewrite: it has the right size and this tool's data from its
    /// first block to its last, sealed if required.
    fn is_right(&self, file: u32) -> Result<bool> {
        if self.rule == Rule::Name || self.find(file)? != Found::Regular(self.set.file_size) {
            return Ok(false);
        }
        let opened = self.open_to_look(file)?;
        if self.first_hole(file, &opened)?.is_some() {
            return Ok(false);
        }
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

    /// Returns the files of the set whose names exist.
    pub fn present(&self) -> Result<BTreeSet<u32>> {
        let mut present = BTreeSet::new();
        for file in self.numbers() {
            if self.find(file)? != Found::Nothing {
                present.insert(file);
            }
        }
        Ok(present)
    }

    /// Returns whether no file of the set exists.
    pub fn are_absent(&self) -> Result<bool> {
        Ok(self.present()?.is_empty())
    }

    /// Fails if a file of the set cannot be used.
    pub fn check(&self) -> Result<()> {
        for file in self.numbers() {
            if let Some(unfit) = self.unfit(file)? {
                bail!(
                    "the test file {} {unfit}; run 'prepare' with the same number of files, total \
                     and block size",
                    self.path_of(file).display(),
                    unfit = unfit.among(self.set.file_size)
                );
            }
        }
        Ok(())
    }

    /// Returns the files that a job must write before it can use the set: those that are missing,
    /// too small or not written in full, or all of them if the plan says so. Fails if a file may
    /// not be replaced.
    pub fn to_complete(&self) -> Result<Vec<u32>> {
        self.check_replaceable()?;
        let mut needed = Vec::new();
        for file in self.numbers() {
            if self.recreate || self.unfit(file)?.is_some() {
                needed.push(file);
            }
        }
        Ok(needed)
    }

    /// Returns why a file cannot be used; fails if `prepare` may not fix it.
    fn unfit(&self, file: u32) -> Result<Option<Unfit>> {
        let path = self.path_of(file);
        let path = path.display();
        let size = match self.find(file)? {
            Found::Nothing => return Ok(Some(Unfit::Missing)),
            Found::Other(kind) => bail!("{path} is {kind}, not a test file"),
            Found::Regular(size) => size,
        };
        if self.rule == Rule::Stamp {
            let opened = self.open_to_look(file)?;
            ensure!(
                self.is_marked(file, &opened)?,
                "{path} {NOT_OURS}; remove it, or choose another directory with --dir"
            );
            if size >= self.set.file_size {
                return Ok(self.first_hole(file, &opened)?.map(Unfit::Hole));
            }
        }
        Ok((size < self.set.file_size).then_some(Unfit::Small(size)))
    }

    /// Returns the offset of a part of an open file that was never written.
    fn first_hole(&self, file: u32, opened: &File) -> Result<Option<u64>> {
        let reporting = *self
            .holes
            .get_or_init(|| Reporting::of(self.folder.as_fd()));
        reporting
            .first_hole(opened, self.set.file_size)
            .with_context(|| self.about("reading", file))
    }

    /// Returns whether part of the set is known to be unwritten. Under [`Rule::Stamp`] such a set
    /// fails [`Self::check`]; files that other programs made are accepted.
    pub fn have_holes(&self) -> Result<bool> {
        if self.rule == Rule::Stamp {
            return Ok(false);
        }
        for file in self.numbers() {
            let opened = self.open_to_look(file)?;
            if holes::reported(&opened, self.set.file_size).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Fails if something under the set's names may not be replaced.
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
                    "{path} {NOT_OURS} and is in the way of a test file; remove it, or choose \
                     another directory with --dir"
                ),
            }
        }
        Ok(())
    }

    /// Creates the set anew, empty, and opens it.
    pub fn create(&self, params: &FileioParams) -> Result<Vec<OwnedFd>> {
        self.check_replaceable()?;
        self.raise_descriptor_limit()?;
        self.remove_temporaries()?;
        let files: Vec<_> = self
            .numbers()
            .map(|file| {
                self.clear_the_way(file)?;
                self.create_one(file)?;
                self.open_made(file, flags_of(params.flags))
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

    /// Raises the descriptor limit to fit the files of the set.
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

    /// Opens the existing set.
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

    /// Fails if the directory does not support the way in which the run opens files, before any of
    /// them is written.
    pub fn check_folder(&self, params: &FileioParams) -> Result<()> {
        let refused =
            params.flags == OpenFlags::Direct && direct::is_supported_in(&self.path) == Some(false);
        let why = || refusal::no_direct(&self.path);
        ensure!(!refused, "{}: {}", self.about("opening", 0), why());
        Ok(())
    }

    /// Fails if requests violate the O_DIRECT alignment that the file system reports.
    fn check_direct(&self, files: &[OwnedFd], params: &FileioParams) -> Result<()> {
        let (Some(first), OpenFlags::Direct) = (files.first(), params.flags) else {
            return Ok(());
        };
        direct::check_fit(first.as_fd(), &self.path, params)
            .with_context(|| format!("O_DIRECT in {}", self.path.display()))
    }

    /// Creates an empty file with its mark. Its identity is recorded before it has a name, because
    /// the clean-up removes only what it can identify.
    fn create_one(&self, file: u32) -> Result<()> {
        let mark = |made: &File| {
            mark::put_on(made, file, self.set.file_size)?;
            let stat = fstat(made)?;
            self.made().insert(file, FileId::of(&stat));
            Ok(())
        };
        birth::create(self.folder.as_fd(), &name(file), &mark).map_err(|error| {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
            let doing = self.about("creating", file);
            refusal::of_opening(doing, &self.path, OFlag::O_CREAT, errno)
        })?;
        Ok(())
    }

    /// Opens a file that this process created. By its name: the descriptor of a file created
    /// without a name shows no name in a trace of the process.
    fn open_made(&self, file: u32, flags: OFlag) -> Result<OwnedFd> {
        let opened = self.open_one(file, OFlag::O_RDWR | flags)?;
        let stat = fstat(&opened).with_context(|| self.about("looking at", file))?;
        ensure!(
            self.made().get(&file) == Some(&FileId::of(&stat)),
            "{} was replaced by another process",
            self.path_of(file).display()
        );
        Ok(opened)
    }

    /// Opens an existing file of the set.
    fn open_one(&self, file: u32, flags: OFlag) -> Result<OwnedFd> {
        let opened = self.open_name(file, flags)?;
        let stat = fstat(&opened).with_context(|| self.about("looking at", file))?;
        match Found::of(&stat) {
            Found::Regular(_) => Ok(opened),
            Found::Other(kind) => {
                bail!(
                    "{} is {kind}, not a test file",
                    self.path_of(file).display()
                )
            }
            Found::Nothing => unreachable!("what is open is something"),
        }
    }

    /// Opens whatever has the name of a test file, except a symbolic link.
    fn open_name(&self, file: u32, flags: OFlag) -> Result<OwnedFd> {
        // O_NONBLOCK: opening a FIFO must not block; no effect on a regular file.
        let safe = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_LARGEFILE;
        let name = name(file);
        let opened = retry(|| openat(&*self.folder, name.as_str(), flags | safe, Mode::empty()));
        opened.map_err(|errno| {
            refusal::of_opening(self.about("opening", file), &self.path, flags, errno)
        })
    }

    /// Returns the files that `prepare` must write: those that are not complete, or all if
    /// requested. Fails if something may not be replaced.
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

    /// Syncs the directory, so that the names of the set reach their device.
    pub fn sync_folder(&self) -> Result<()> {
        retry(|| fsync(&*self.folder))
            .with_context(|| format!("syncing the directory {}", self.path.display()))
    }

    /// Creates an empty file of the set to be filled, bypassing the page cache if possible.
    pub(super) fn create_to_fill(&self, file: u32) -> Result<(File, bool)> {
        self.clear_the_way(file)?;
        self.create_one(file)?;
        let made = self.open_made(file, OFlag::empty())?;
        let direct = direct::switch(made.as_fd(), true).is_ok();
        Ok((File::from(made), direct))
    }

    /// Removes the set: under [`Rule::Stamp`] only files that this program wrote. Also removes
    /// files with temporary names that a killed process left.
    ///
    /// Tries all of them, then fails for those that remain.
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
        self.remove_temporaries()?;
        match left.as_slice() {
            [] => Ok(()),
            [(file, why), ..] => bail!(
                "left {} in {} that belong to something else, the first one {}: it {why}; remove \
                 them, or choose another directory with --dir",
                count(left.len() as u64, "file"),
                self.path.display(),
                name(*file)
            ),
        }
    }

    /// Removes files with temporary names that a killed process left. The lock guarantees that no
    /// process is creating one.
    pub(super) fn remove_temporaries(&self) -> Result<()> {
        leftover::remove_temporaries(&*self.folder)
            .with_context(|| format!("removing temporary files in {}", self.path.display()))
    }

    /// Removes whatever has this name if allowed; otherwise returns why not.
    fn remove_one(&self, file: u32) -> Result<Option<String>> {
        match self.find(file)? {
            Found::Nothing => Ok(None),
            Found::Other(kind) => Ok(Some(format!("is {kind}"))),
            Found::Regular(_) if self.rule == Rule::Name => self.unlink(file).map(|()| None),
            Found::Regular(_) => {
                let opened = self.open_to_look(file)?;
                if !self.is_marked(file, &opened)? {
                    return Ok(Some(NOT_OURS.to_owned()));
                }
                let looked_at = fstat(&opened).with_context(|| self.about("looking at", file))?;
                let left = self.unlink_if(file, FileId::of(&looked_at))?;
                Ok(left.map(str::to_owned))
            }
        }
    }

    /// Removes a name if it still refers to this file; otherwise returns why not.
    fn unlink_if(&self, file: u32, id: FileId) -> Result<Option<&'static str>> {
        match self.stat(file)? {
            Some(stat) if FileId::of(&stat) != id => Ok(Some("was put there by another process")),
            _ => self.unlink(file).map(|()| None),
        }
    }

    /// Removes what blocks a new file; fails if that may not be removed.
    fn clear_the_way(&self, file: u32) -> Result<()> {
        match self.remove_one(file)? {
            None => Ok(()),
            Some(why) => bail!(
                "{} is in the way of a test file, and {why}; remove it, or choose another \
                 directory with --dir",
                self.path_of(file).display()
            ),
        }
    }

    /// Removes the files that this process created: all that it can, then fails with the first
    /// error.
    pub fn remove_made(&self) -> Result<()> {
        let made = self.made().clone();
        let removed = made
            .into_iter()
            .map(|(file, id)| self.unlink_if(file, id).map(drop));
        removed.fold(Ok(()), Result::and)
    }

    /// Keeps all files that this process created.
    pub fn keep_made(&self) {
        self.made().clear();
    }

    /// Keeps these files, if this process created them.
    pub fn keep(&self, files: &BTreeSet<u32>) {
        self.made().retain(|file, _| !files.contains(file));
    }

    fn unlink(&self, file: u32) -> Result<()> {
        match unlinkat(
            &*self.folder,
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

/// Removes what this process created when it goes out of scope, also on a panic.
#[derive(Debug)]
pub struct CleanUp<'a>(pub &'a TestFiles);

impl Drop for CleanUp<'_> {
    fn drop(&mut self) {
        // The normal path calls `remove_made` itself and reports its errors.
        let _ = self.0.remove_made();
    }
}

impl Unfit {
    /// Describes the defect of a file that must have this size.
    fn among(self, file_size: u64) -> impl fmt::Display {
        match self {
            Self::Missing => "is missing".to_owned(),
            Self::Small(size) => {
                format!("is too small: {size} bytes instead of {file_size}")
            }
            Self::Hole(offset) => format!(
                "was not written in full: the part at offset {offset} is a hole, and reading it \
                 reaches no device"
            ),
        }
    }
}

impl Found {
    fn of(stat: &FileStat) -> Self {
        match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFREG => Self::Regular(u64::try_from(stat.st_size).unwrap_or(0)),
            SFlag::S_IFDIR => Self::Other("a directory"),
            SFlag::S_IFLNK => Self::Other("a symbolic link"),
            SFlag::S_IFIFO => Self::Other("a pipe"),
            SFlag::S_IFSOCK => Self::Other("a socket"),
            _ => Self::Other("a device"),
        }
    }
}

/// What is wrong with a file that has the right name but not our mark or content.
const NOT_OURS: &str = "was not written by wbench";

/// Prefix of a test file's name, before the number.
const NAME: &str = "test_file.";

fn name(file: u32) -> String {
    format!("{NAME}{file}")
}

/// Returns whether a test file may have this name.
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
