//! Opening the files of a set, for a run or to be filled.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{fdatasync, fsync, ftruncate};

use super::{FileEntry, FileId, TestFiles, create, direct, name, open_error, ownership};
use crate::descriptors::{OTHER_DESCRIPTORS, raise_limit};
use crate::plan::{FileioParams, FsyncMode, IoMode, OpenFlags};
use crate::workload::fileio::requests::Extent;
use crate::workload::fileio::transfer::{TOO_LARGE, TransferError, retry};

/// The files of a set, open for a run.
#[derive(Debug)]
pub struct OpenFiles {
    test_files: Arc<TestFiles>,
    descriptors: Vec<OwnedFd>,
}

impl OpenFiles {
    /// Opens the files of a run; in the mode that creates them, creates them empty.
    pub fn open(test_files: Arc<TestFiles>, params: &FileioParams) -> Result<Self> {
        test_files.raise_descriptor_limit()?;
        let descriptors = match params.mode.creates_files() {
            true => test_files.create_all(params)?,
            false => test_files.open_all(params)?,
        };
        Ok(Self {
            test_files,
            descriptors,
        })
    }

    /// Returns the descriptors, in file order.
    pub fn descriptors(&self) -> &[OwnedFd] {
        &self.descriptors
    }

    /// Returns the size of each file in bytes.
    pub fn file_size(&self) -> u64 {
        self.test_files.set().file_size
    }

    /// Returns the path of a file, for messages.
    pub fn path_of(&self, file: u32) -> PathBuf {
        self.test_files.path_of(file)
    }

    /// Removes the content of the files of a mode that creates them, as if they had just been created.
    pub fn empty(&self, params: &FileioParams) -> Result<()> {
        (0..)
            .zip(&self.descriptors)
            .try_for_each(|(number, file)| self.test_files.empty(number, file, params))
    }

    /// Flushes everything written to a file to its device.
    pub fn flush(&self, file: u32, fsync_mode: FsyncMode) -> Result<()> {
        let descriptor = &self.descriptors[file as usize];
        let flushed = match fsync_mode {
            FsyncMode::Fsync => retry(|| fsync(descriptor)),
            FsyncMode::Fdatasync => retry(|| fdatasync(descriptor)),
        };
        flushed.map_err(|errno| self.flush_error(file, fsync_mode, errno))
    }

    /// Returns the error of a failed flush.
    #[cold]
    pub fn flush_error(&self, file: u32, fsync_mode: FsyncMode, errno: Errno) -> Error {
        let call = match fsync_mode {
            FsyncMode::Fsync => "fsync",
            FsyncMode::Fdatasync => "fdatasync",
        };
        Error::new(errno).context(format!("{call} of {}", self.path_of(file).display()))
    }

    /// Returns the error of a failed or short transfer; `doing` is "reading" or "writing".
    #[cold]
    pub fn transfer_error(
        &self,
        doing: &'static str,
        extent: Extent,
        moved: nix::Result<usize>,
    ) -> Error {
        TransferError {
            doing,
            path: self.path_of(extent.file),
            offset: extent.offset,
            len: extent.len,
            moved,
        }
        .into()
    }
}

impl TestFiles {
    /// Creates the set anew, empty, and opens it.
    fn create_all(&self, params: &FileioParams) -> Result<Vec<OwnedFd>> {
        self.check_replaceable()?;
        self.remove_temporaries()?;
        let files: Vec<_> = self
            .numbers()
            .map(|file| self.create_and_open(file, flags_of(params.flags)))
            .collect::<Result<_>>()?;
        self.check_direct(&files, params)?;
        if params.io_mode == IoMode::Mmap {
            (0..)
                .zip(&files)
                .try_for_each(|(number, file)| self.extend(number, file))?;
        }
        Ok(files)
    }

    /// Opens the existing set.
    fn open_all(&self, params: &FileioParams) -> Result<Vec<OwnedFd>> {
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

    /// Creates a file of the set, empty, to be filled; bypasses the page cache if possible, which
    /// the second value states.
    pub fn create_to_fill(&self, file: u32) -> Result<(File, bool)> {
        let created = self.create_and_open(file, OFlag::empty())?;
        let direct = direct::switch(created.as_fd(), true).is_ok();
        Ok((File::from(created), direct))
    }

    /// Opens an existing file of the set, only to read it.
    pub(super) fn open_for_reading(&self, file: u32) -> Result<File> {
        Ok(self.open_one(file, OFlag::O_RDONLY)?.into())
    }

    /// Fails if the directory does not support the way in which the run opens files, before any of
    /// them is written.
    pub fn check_directory(&self, params: &FileioParams) -> Result<()> {
        let unsupported =
            params.flags == OpenFlags::Direct && direct::is_supported_in(&self.path) == Some(false);
        ensure!(
            !unsupported,
            "{}: {}",
            self.about("opening", 0),
            open_error::no_direct(&self.path)
        );
        Ok(())
    }

    /// Fails if requests violate the O_DIRECT alignment that the file system reports.
    fn check_direct(&self, files: &[OwnedFd], params: &FileioParams) -> Result<()> {
        let (Some(first), OpenFlags::Direct) = (files.first(), params.flags) else {
            return Ok(());
        };
        direct::check_alignment(first.as_fd(), &self.path, params)
            .with_context(|| format!("O_DIRECT in {}", self.path.display()))
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

    /// Removes the content of a file that the run created; the file keeps its ownership mark.
    fn empty(&self, number: u32, file: &OwnedFd, params: &FileioParams) -> Result<()> {
        let is_direct = params.flags == OpenFlags::Direct;
        let emptied = || -> Result<()> {
            retry(|| ftruncate(file, 0))?;
            // The mark may be a sector, which memory without alignment cannot be written to directly.
            if is_direct {
                direct::switch(file, false)?;
            }
            ownership::mark(&File::from(file.try_clone()?), number, self.set.file_size)?;
            if is_direct {
                direct::switch(file, true)?;
            }
            Ok(())
        };
        emptied().with_context(|| self.about("emptying", number))?;
        match params.io_mode {
            IoMode::Mmap => self.extend(number, file),
            _ => Ok(()),
        }
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

    /// Replaces a file by an empty one, and opens it by its name: the descriptor of a file created
    /// without a name shows no name in a trace of the process.
    fn create_and_open(&self, file: u32, flags: OFlag) -> Result<OwnedFd> {
        self.remove_existing(file)?;
        self.create_one(file)?;
        let opened = self.open_one(file, OFlag::O_RDWR | flags)?;
        let stat = fstat(&opened).with_context(|| self.about("checking", file))?;
        ensure!(
            self.created().get(&file) == Some(&FileId::of(&stat)),
            "{} was replaced by another process",
            self.path_of(file).display()
        );
        Ok(opened)
    }

    /// Creates an empty file with its ownership mark. Its identity is recorded before it has a name,
    /// because the clean-up removes only what it can identify.
    pub(super) fn create_one(&self, file: u32) -> Result<()> {
        let mark = |created: &File| {
            ownership::mark(created, file, self.set.file_size)?;
            let stat = fstat(created)?;
            self.created().insert(file, FileId::of(&stat));
            Ok(())
        };
        create::create(self.dir.as_fd(), &name::of(file), &mark).map_err(|error| {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
            let doing = self.about("creating", file);
            open_error::describe(doing, &self.path, OFlag::O_CREAT, errno)
        })?;
        Ok(())
    }

    /// Opens an existing file of the set.
    fn open_one(&self, file: u32, flags: OFlag) -> Result<OwnedFd> {
        // O_NONBLOCK: opening a FIFO must not block; no effect on a regular file.
        let safe = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_LARGEFILE;
        let name = name::of(file);
        let opened = retry(|| openat(&*self.dir, name.as_str(), flags | safe, Mode::empty()));
        let opened = opened.map_err(|errno| {
            open_error::describe(self.about("opening", file), &self.path, flags, errno)
        })?;
        let stat = fstat(&opened).with_context(|| self.about("checking", file))?;
        if let FileEntry::Other(kind) = FileEntry::of(&stat) {
            let path = self.path_of(file);
            bail!("{} is {kind}, not a test file", path.display());
        }
        Ok(opened)
    }
}

fn flags_of(flags: OpenFlags) -> OFlag {
    match flags {
        OpenFlags::None => OFlag::empty(),
        OpenFlags::Sync => OFlag::O_SYNC,
        OpenFlags::Dsync => OFlag::O_DSYNC,
        OpenFlags::Direct => OFlag::O_DIRECT,
    }
}
