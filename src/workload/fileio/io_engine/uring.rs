//! io_uring with registered files and buffers.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use anyhow::{Context, Error, Result};
use io_uring::types::{Fixed, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::{Completion, EngineSetup, IoEngine, Operation, QueuedEngine};
use crate::plan::FsyncMode;
use crate::size::Size;

/// The only registered buffer, which contains the memory of all requests.
const BUFFER: u16 = 0;

/// Delay between retries, and their number, when the kernel lacks resources for a request.
const RETRY_DELAY: Duration = Duration::from_millis(1);
const MAX_RETRIES: u32 = 1000;

/// io_uring of one thread.
pub struct Uring {
    ring: IoUring,
    flush: FsyncFlags,
    /// Pushed, but not completed.
    in_flight: usize,
    /// Nothing more is submitted; requests that the kernel has still complete.
    broken: bool,
}

impl std::fmt::Debug for Uring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uring")
            .field("in_flight", &self.in_flight)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl IoEngine for Uring {
    type Shared = EngineSetup;

    fn share(setup: EngineSetup) -> Result<EngineSetup> {
        Ok(setup)
    }
}

impl Uring {
    /// Enters the kernel: submits what was pushed, and waits for this many completions, or until
    /// the timeout.
    fn enter(&mut self, completions: usize, timeout: Option<Duration>) -> nix::Result<()> {
        let timeout = timeout.filter(|_| self.ring.params().is_feature_ext_arg());
        let entered = self.retry_enter(completions, timeout.map(Timespec::from).as_ref());
        if entered.is_err() {
            self.broken = true;
            self.in_flight -= self.ring.submission().len();
        }
        entered
    }

    fn retry_enter(&mut self, completions: usize, timeout: Option<&Timespec>) -> nix::Result<()> {
        for _ in 0..MAX_RETRIES {
            let submitter = self.ring.submitter();
            let entered = match timeout {
                None => submitter.submit_and_wait(completions),
                Some(timeout) => {
                    let arguments = SubmitArgs::new().timespec(timeout);
                    submitter.submit_with_args(completions, &arguments)
                }
            };
            match entered.map_err(errno_of) {
                Ok(_) | Err(Errno::ETIME) => return Ok(()),
                Err(Errno::EINTR) => {}
                // Completions have to be reaped first, or memory is temporarily short.
                Err(Errno::EAGAIN | Errno::EBUSY) if !self.ring.completion().is_empty() => {
                    return Ok(());
                }
                Err(Errno::EAGAIN | Errno::EBUSY) => std::thread::sleep(RETRY_DELAY),
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EAGAIN)
    }

    fn reap(&mut self, completions: &mut Vec<Completion>) {
        let before = completions.len();
        completions.extend(self.ring.completion().map(|entry| Completion {
            tag: entry.user_data() as u32,
            moved: match usize::try_from(entry.result()) {
                Ok(moved) => Ok(moved),
                Err(_) => Err(Errno::from_raw(-entry.result())),
            },
        }));
        self.in_flight -= completions.len() - before;
    }
}

impl QueuedEngine for Uring {
    unsafe fn new(setup: &EngineSetup, memory: &mut [u8]) -> Result<Self> {
        let ring = build(setup.depth).map_err(setup_error)?;
        let descriptors = setup.files.descriptors();
        let files: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let submitter = ring.submitter();
        submitter
            .register_files(&files)
            .with_context(|| format!("registering {} files with io_uring", files.len()))?;
        let buffer = libc::iovec {
            iov_base: memory.as_mut_ptr().cast(),
            iov_len: memory.len(),
        };
        // SAFETY: the caller keeps the memory valid until the ring is dropped.
        unsafe { submitter.register_buffers(&[buffer]) }.with_context(|| {
            format!(
                "registering a buffer of {} with io_uring: raise the limit of locked memory \
                 (ulimit -l), or use a smaller depth, smaller blocks or fewer threads",
                Size(memory.len() as u64)
            )
        })?;
        Ok(Self {
            ring,
            flush: match setup.fsync_mode {
                FsyncMode::Fsync => FsyncFlags::empty(),
                FsyncMode::Fdatasync => FsyncFlags::DATASYNC,
            },
            in_flight: 0,
            broken: false,
        })
    }

    unsafe fn push(&mut self, tag: u32, operation: Operation) {
        if self.broken {
            return;
        }
        let entry: squeue::Entry = match operation {
            Operation::Read(extent, memory) => {
                opcode::ReadFixed::new(Fixed(extent.file), memory, extent.len as u32, BUFFER)
                    .offset(extent.offset)
                    .build()
            }
            Operation::Write(extent, memory) => {
                opcode::WriteFixed::new(Fixed(extent.file), memory, extent.len as u32, BUFFER)
                    .offset(extent.offset)
                    .build()
            }
            Operation::Flush(file) => opcode::Fsync::new(Fixed(file)).flags(self.flush).build(),
        };
        // SAFETY: the caller guarantees that the memory outlives the operation.
        let pushed = unsafe { self.ring.submission().push(&entry.user_data(tag.into())) };
        pushed.expect("the ring has an entry for each tag");
        self.in_flight += 1;
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn submit(&mut self) -> nix::Result<()> {
        self.enter(0, None)
    }

    fn wait(
        &mut self,
        completions: &mut Vec<Completion>,
        timeout: Option<Duration>,
    ) -> nix::Result<()> {
        if self.broken {
            // Any system call of this thread delivers completions when it returns.
            std::thread::yield_now();
            self.reap(completions);
            return Ok(());
        }
        self.enter(1, timeout)?;
        self.reap(completions);
        Ok(())
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        let mut ignored = Vec::new();
        if !std::mem::replace(&mut self.broken, true) {
            self.in_flight -= self.ring.submission().len();
        }
        while self.in_flight > 0 {
            // A wait on a broken ring returns no error.
            let _ = self.wait(&mut ignored, None);
        }
    }
}

/// Builds a ring whose completions do not interrupt the thread, if the kernel supports that (since
/// 5.19; single issuer since 6.0).
fn build(entries: u32) -> io::Result<IoUring> {
    let quiet = IoUring::builder()
        .setup_coop_taskrun()
        .setup_single_issuer()
        .build(entries);
    match quiet {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => IoUring::new(entries),
        made => made,
    }
}

fn setup_error(error: io::Error) -> Error {
    let advice = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSYS) => {
            ": this kernel has no io_uring (Linux has it since 5.1), or a seccomp profile (of a \
             container, for instance) hides it; use --io aio or sync"
        }
        Some(Errno::EPERM | Errno::EACCES) => match disabled_by_sysctl() {
            true => {
                ": the sysctl kernel.io_uring_disabled forbids it; set it to 0, or use --io aio or \
                 sync"
            }
            false => {
                ": a seccomp profile (of a container, for instance) or another policy of this \
                 system forbids it; use --io aio or sync"
            }
        },
        Some(Errno::ENOMEM) => {
            ": raise the limit of locked memory (ulimit -l), or use a smaller depth or fewer \
             threads"
        }
        _ => "",
    };
    Error::new(error).context(format!("setting up io_uring{advice}"))
}

fn disabled_by_sysctl() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
        .is_ok_and(|value| value.trim() != "0")
}

fn errno_of(error: io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::UnknownErrno, Errno::from_raw)
}
