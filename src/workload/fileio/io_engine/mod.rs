//! I/O engines: how requests reach the kernel. One file each.
//!
//! An engine gets what [`EngineSetup`] contains, and the memory of its requests; it knows nothing of
//! the request stream, of validation or of statistics. Its line in `io_engines!` of the module above
//! selects the worker that drives it.

mod aio;
mod mmap;
mod sigbus;
mod sync;
mod uring;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::files::OpenFiles;
use super::requests::Extent;
use crate::plan::FsyncMode;

pub use aio::Aio;
pub use mmap::Mmap;
pub use sync::Psync;
pub use uring::Uring;

/// What the I/O engine of a run gets.
#[derive(Debug)]
pub struct EngineSetup {
    /// The open files.
    pub files: Arc<OpenFiles>,
    /// Whether requests may be writes.
    pub writes: bool,
    /// How a file is flushed.
    pub fsync_mode: FsyncMode,
    /// Maximum number of requests that a thread keeps in flight.
    pub depth: u32,
}

/// An I/O engine.
pub trait IoEngine: Sized {
    /// State that the threads of a run share.
    type Shared: Debug + Send + Sync;

    /// Creates the shared state, before the threads start.
    fn share(setup: EngineSetup) -> Result<Self::Shared>;
}

/// An engine whose calls return when the request has completed.
pub trait SynchronousEngine: IoEngine {
    /// Creates the engine of a thread.
    fn new(shared: &Self::Shared) -> Self;

    /// Fills the buffer, which is as long as the extent.
    fn read(&self, extent: Extent, buffer: &mut [u8]) -> Result<()>;

    /// Writes the data, which is as long as the extent.
    fn write(&self, extent: Extent, data: &[u8]) -> Result<()>;

    /// Flushes everything written to a file to its device.
    fn flush(&self, file: u32) -> Result<()>;
}

/// An engine with a kernel queue of requests.
///
/// Dropping it waits until the kernel no longer uses the memory of any operation.
pub trait QueuedEngine: IoEngine {
    /// Creates the engine of a thread, whose operations all use this memory.
    ///
    /// # Safety
    ///
    /// The memory must stay valid until the engine is dropped.
    unsafe fn new(shared: &Self::Shared, memory: &mut [u8]) -> Result<Self>;

    /// Adds an operation for the next [`QueuedEngine::submit`].
    ///
    /// # Safety
    ///
    /// The operation's memory must be valid for its length, and used by nothing else, until its
    /// completion was returned or the engine was dropped.
    unsafe fn push(&mut self, tag: u32, operation: Operation);

    /// Returns the number of operations pushed whose completion was not returned yet.
    fn in_flight(&self) -> usize;

    /// Submits the pushed operations, as many as the kernel accepts now.
    ///
    /// An error concerns the queue, not an operation: what was not submitted is then dropped.
    fn submit(&mut self) -> nix::Result<()>;

    /// Submits the rest, waits for at least one completion, and returns all that are available.
    ///
    /// Returns without any after `timeout`, if given and if the kernel supports such a wait. Errors
    /// are those of [`QueuedEngine::submit`].
    fn wait(
        &mut self,
        completions: &mut Vec<Completion>,
        timeout: Option<Duration>,
    ) -> nix::Result<()>;
}

/// A kernel operation.
#[derive(Debug, Clone, Copy)]
pub enum Operation {
    /// Read the extent into memory.
    Read(Extent, *mut u8),
    /// Write memory to the extent.
    Write(Extent, *const u8),
    /// Flush this file.
    Flush(u32),
}

/// A completed operation.
#[derive(Debug, Clone, Copy)]
pub struct Completion {
    /// The tag that it was pushed with.
    pub tag: u32,
    /// Bytes moved.
    pub moved: nix::Result<usize>,
}
