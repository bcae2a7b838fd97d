//! Fills the test files at the speed of the disk.
//!
//! Several files are written concurrently, each by one thread from start to end, in large pieces
//! and bypassing the page cache if the file system allows it, while a second thread generates the
//! data. So a file that has its full size has all of its data.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, Scope};

use anyhow::{Context, Error, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::uio::pwrite;

use super::content::{Content, Piece, Waiting};
use super::files::TestFiles;
use super::transfer::{TransferError, retry};
use super::{direct, source};
use crate::signal;

/// Number of files written concurrently.
const LANES: usize = 4;

/// Number of pieces generated ahead of each writer.
const AHEAD: usize = 2;

/// O_DIRECT is used only for whole multiples of this; the end of a file may be shorter.
const DIRECT_UNIT: usize = 4096;

/// Writes the whole set and syncs it; calls `written` with each number of bytes completed.
///
/// Complete files stay unchanged. On an error, the created files are left to
/// [`TestFiles::remove_made`].
pub fn prepare(files: &TestFiles, written: &mut dyn FnMut(u64)) -> Result<()> {
    let numbers = files.to_be_written()?;
    write(files, &numbers, written)
}

/// Like [`prepare`], but only for these files of the set.
pub fn write(files: &TestFiles, numbers: &[u32], written: &mut dyn FnMut(u64)) -> Result<()> {
    let set = files.set();
    let complete = u64::from(set.files.get()) - numbers.len() as u64;
    written(complete * set.file_size);
    files.remove_temporaries()?;
    write_files(files, numbers, written)?;
    files.sync_folder()
}

/// State shared by the threads.
struct Shared<'a> {
    files: &'a TestFiles,
    content: Content,
    waiting: Waiting<'a>,
    stopped: AtomicBool,
}

/// Creates these files and writes them from start to end.
fn write_files(files: &TestFiles, numbers: &[u32], written: &mut dyn FnMut(u64)) -> Result<()> {
    let shared = Shared {
        files,
        content: Content::of(files),
        waiting: Waiting::new(numbers),
        stopped: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let (report, reports) = mpsc::channel();
        let mut result = Ok(());
        for _ in 0..LANES.min(numbers.len()) {
            let (shared, report) = (&shared, report.clone());
            result = spawn(scope, move || fill_files(shared, &report));
            if result.is_err() {
                shared.stopped.store(true, Ordering::Relaxed);
                break;
            }
        }
        drop(report);
        for progress in reports {
            match progress {
                Ok(bytes) => written(bytes),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    })
}

/// Starts a thread; fails if the system cannot create more.
fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() + Send + 'scope,
) -> Result<()> {
    let spawned = thread::Builder::new().spawn_scoped(scope, work);
    spawned.map(drop).context(
        "creating a thread to write the test files; raise the limit of processes (ulimit -u, or \
         pids.max of the control group)",
    )
}

/// Fills files until none is waiting or another thread has failed; reports the bytes of each piece,
/// or its own failure.
fn fill_files(shared: &Shared<'_>, report: &mpsc::Sender<Result<u64>>) {
    let progress = |bytes| {
        // The receiver outlives these threads.
        let _ = report.send(Ok(bytes));
        !shared.stopped.load(Ordering::Relaxed)
    };
    if let Err(error) = fill_until(shared, progress) {
        shared.stopped.store(true, Ordering::Relaxed);
        let _ = report.send(Err(error));
    }
}

/// Fills files one after another until none is waiting, or `progress`, which is called with the
/// bytes of each piece, returns false.
fn fill_until(shared: &Shared<'_>, mut progress: impl FnMut(u64) -> bool) -> Result<()> {
    let Shared { files, content, .. } = *shared;
    let (spent, reused) = mpsc::channel();
    let (made, pieces) = mpsc::sync_channel::<Piece>(AHEAD);
    for _ in 0..=AHEAD {
        spent.send(source::map(content.piece)?)?;
    }
    thread::scope(|scope| {
        spawn(scope, move || {
            content.make_pieces(&shared.waiting, &reused, &made);
        })?;
        // These channel ends are dropped with this closure, which ends the other thread.
        let (pieces, spent) = (pieces, spent);
        let mut sink = None;
        for piece in &pieces {
            signal::go_on()?;
            if piece.offset == 0 {
                sink = Some(Sink::create(files, piece.file)?);
            }
            let sink = sink
                .as_mut()
                .context("a piece before the start of a file")?;
            sink.write(&piece)?;
            let bytes = piece.data().len() as u64;
            if piece.offset + bytes == content.file_size {
                sink.sync()?;
            }
            if !progress(bytes) {
                break;
            }
            // The generating thread may have finished already.
            let _ = spent.send(piece.into_memory());
        }
        Ok(())
    })
}

/// A file that is being filled.
struct Sink<'a> {
    files: &'a TestFiles,
    number: u32,
    file: File,
    direct: bool,
}

impl<'a> Sink<'a> {
    fn create(files: &'a TestFiles, number: u32) -> Result<Self> {
        let (file, direct) = files.create_to_fill(number)?;
        let sink = Self {
            files,
            number,
            file,
            direct,
        };
        if direct {
            sink.reserve()?;
        }
        Ok(sink)
    }

    /// Reserves the file's space at once, so that files written concurrently are not interleaved on
    /// the disk. All of it is written afterwards.
    fn reserve(&self) -> Result<()> {
        let size = i64::try_from(self.files.set().file_size)?;
        match retry(|| fallocate(&self.file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, size)) {
            Err(Errno::ENOSPC) => {
                let path = self.files.path_of(self.number);
                bail!(
                    "reserving {size} bytes for {}: no space left on the device; take a smaller \
                     total size, or another directory with --dir",
                    path.display()
                )
            }
            // A file system that cannot reserve space can still write.
            _ => Ok(()),
        }
    }

    fn write(&mut self, piece: &Piece) -> Result<()> {
        let data = piece.data();
        let mut done = 0;
        while done < data.len() {
            let rest = &data[done..];
            let part = match rest.len() / DIRECT_UNIT * DIRECT_UNIT {
                whole if self.direct && whole > 0 => &rest[..whole],
                _ => {
                    self.leave_direct()?;
                    rest
                }
            };
            let offset = piece.offset + done as u64;
            let moved = retry(|| pwrite(&self.file, part, offset as i64));
            match moved {
                Ok(0) => return Err(self.failed(piece, moved)),
                Ok(n) => done += n,
                Err(Errno::EINVAL) if self.direct => self.leave_direct()?,
                Err(_) => return Err(self.failed(piece, moved)),
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.file
            .sync_all()
            .with_context(|| format!("syncing {}", self.files.path_of(self.number).display()))
    }

    /// Switches the following writes to the page cache.
    fn leave_direct(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.direct, false) {
            direct::switch(&self.file, false).context("switching O_DIRECT off")?;
        }
        Ok(())
    }

    fn failed(&self, piece: &Piece, moved: nix::Result<usize>) -> Error {
        TransferError {
            doing: "writing",
            path: self.files.path_of(self.number),
            offset: piece.offset,
            len: piece.data().len(),
            moved,
        }
        .into()
    }
}
