//! Fills the test files at the speed of the disk.
//!
//! Several files are written concurrently, each by one thread from start to end, in large chunks
//! that bypass the page cache if the file system allows it, while a second thread generates the
//! data. So a file that has its full size has all of its data.

mod content;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, Scope};

use anyhow::{Context, Result};

use super::data::buffer;
use super::files::TestFiles;
use crate::signal;

use content::{Chunk, Content, FileQueue};
use writer::FileWriter;

/// Number of files written concurrently.
const CONCURRENT_FILES: usize = 4;

/// Number of chunks generated ahead of each writer.
const CHUNKS_AHEAD: usize = 2;

/// Writes the whole set and syncs it; calls `written` with each number of bytes completed.
///
/// Complete files stay unchanged. On an error, the created files are left to
/// [`TestFiles::remove_created`].
pub fn prepare(files: &TestFiles, written: &mut dyn FnMut(u64)) -> Result<()> {
    let numbers = files.files_to_prepare()?;
    write(files, &numbers, written)
}

/// Like [`prepare`], but only for these files of the set.
pub fn write(files: &TestFiles, numbers: &[u32], written: &mut dyn FnMut(u64)) -> Result<()> {
    let set = files.set();
    let complete = u64::from(set.files.get()) - numbers.len() as u64;
    written(complete * set.file_size);
    files.remove_temporaries()?;
    write_files(files, numbers, written)?;
    files.sync_directory()
}

/// State shared by the threads.
struct Preparation<'a> {
    files: &'a TestFiles,
    content: Content,
    queue: FileQueue<'a>,
    stopped: AtomicBool,
}

/// Creates these files and writes them from start to end.
fn write_files(files: &TestFiles, numbers: &[u32], written: &mut dyn FnMut(u64)) -> Result<()> {
    let preparation = Preparation {
        files,
        content: Content::of(files),
        queue: FileQueue::new(numbers),
        stopped: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let (sender, progress) = mpsc::channel();
        let mut result = Ok(());
        for _ in 0..CONCURRENT_FILES.min(numbers.len()) {
            let (preparation, sender) = (&preparation, sender.clone());
            result = spawn(scope, move || fill_files(preparation, &sender));
            if result.is_err() {
                preparation.stopped.store(true, Ordering::Relaxed);
                break;
            }
        }
        drop(sender);
        for bytes in progress {
            match bytes {
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

/// Fills files until the queue is empty or another thread has failed; sends the bytes of each
/// chunk, or its own error.
fn fill_files(preparation: &Preparation<'_>, progress: &mpsc::Sender<Result<u64>>) {
    let chunk_written = |bytes| {
        // The receiver outlives these threads.
        let _ = progress.send(Ok(bytes));
        !preparation.stopped.load(Ordering::Relaxed)
    };
    if let Err(error) = try_to_fill_files(preparation, chunk_written) {
        preparation.stopped.store(true, Ordering::Relaxed);
        let _ = progress.send(Err(error));
    }
}

/// Fills files one after another until the queue is empty, or `chunk_written`, which is called with
/// the bytes of each chunk, returns false.
fn try_to_fill_files(
    preparation: &Preparation<'_>,
    mut chunk_written: impl FnMut(u64) -> bool,
) -> Result<()> {
    let Preparation { files, content, .. } = *preparation;
    let (free, buffers) = mpsc::channel();
    let (generated, chunks) = mpsc::sync_channel::<Chunk>(CHUNKS_AHEAD);
    for _ in 0..=CHUNKS_AHEAD {
        free.send(buffer::map(content.chunk_size)?)?;
    }
    thread::scope(|scope| {
        spawn(scope, move || {
            content.generate(&preparation.queue, &buffers, &generated);
        })?;
        // These channel ends are dropped with this closure, which ends the other thread.
        let (chunks, free) = (chunks, free);
        let mut writer = None;
        for chunk in &chunks {
            signal::go_on()?;
            if chunk.offset == 0 {
                writer = Some(FileWriter::create(files, chunk.file)?);
            }
            let writer = writer
                .as_mut()
                .context("a chunk before the start of a file")?;
            writer.write(&chunk)?;
            let bytes = chunk.data().len() as u64;
            if chunk.offset + bytes == content.file_size {
                writer.sync()?;
            }
            if !chunk_written(bytes) {
                break;
            }
            // The generating thread may have finished already.
            let _ = free.send(chunk.into_buffer());
        }
        Ok(())
    })
}
