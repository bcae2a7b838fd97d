//! Linux native AIO: io_setup(2), io_submit(2), io_getevents(2), io_destroy(2).
//!
//! The C library has no wrappers for them. The structures are those of `linux/aio_abi.h`.

use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::time::Duration;

use anyhow::{Error, Result};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;

use super::{Completion, EngineSetup, IoEngine, Operation, QueuedEngine};
use crate::plan::FsyncMode;
use crate::workload::fileio::requests::Extent;
use crate::workload::fileio::transfer::retry;

/// `aio_context_t`.
type ContextId = libc::c_ulong;

/// `struct iocb`. The key and the read/write flags, whose order depends on the byte order, are both
/// 0 here.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct Iocb {
    data: u64,
    key_and_rw_flags: [u32; 2],
    opcode: u16,
    priority: i16,
    descriptor: u32,
    buffer: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    eventfd: u32,
}

/// `IOCB_CMD_PREAD` and related opcodes.
const PREAD: u16 = 0;
const PWRITE: u16 = 1;
const FSYNC: u16 = 2;
const FDSYNC: u16 = 3;

/// `struct io_event`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct IoEvent {
    data: u64,
    iocb: u64,
    result: i64,
    second_result: i64,
}

/// Delay between retries, and their number, when the kernel lacks resources for a request and no
/// completion would free any.
const RETRY_DELAY: Duration = Duration::from_millis(1);
const MAX_RETRIES: u32 = 1000;

/// AIO context of one thread.
#[derive(Debug)]
pub struct Aio {
    context: ContextId,
    files: Vec<RawFd>,
    flush: u16,
    /// Pushed, but not yet accepted by the kernel.
    pushed: Vec<Iocb>,
    /// Argument array of io_submit(2).
    pointers: Vec<*mut Iocb>,
    in_kernel: usize,
    events: Vec<IoEvent>,
}

impl IoEngine for Aio {
    type Shared = EngineSetup;

    fn share(setup: EngineSetup) -> Result<EngineSetup> {
        Ok(setup)
    }
}

impl Aio {
    fn iocb(&self, tag: u32, file: u32, opcode: u16) -> Iocb {
        Iocb {
            data: tag.into(),
            opcode,
            descriptor: self.files[file as usize] as u32,
            ..Iocb::default()
        }
    }

    fn transfer(&self, tag: u32, opcode: u16, extent: Extent, memory: *const u8) -> Iocb {
        Iocb {
            buffer: memory as u64,
            bytes: extent.len as u64,
            offset: extent.offset as i64,
            ..self.iocb(tag, extent.file, opcode)
        }
    }

    /// Submits as many pushed requests as the kernel accepts: all, or at least one if it has none
    /// in flight.
    fn submit_pushed(&mut self) -> nix::Result<()> {
        let mut retries_left = MAX_RETRIES;
        while !self.pushed.is_empty() {
            match retry(|| self.io_submit()) {
                Ok(0) | Err(Errno::EAGAIN) => {
                    if self.in_kernel > 0 {
                        return Ok(());
                    }
                    retries_left = retries_left.checked_sub(1).ok_or(Errno::EAGAIN)?;
                    std::thread::sleep(RETRY_DELAY);
                }
                Ok(accepted) => {
                    self.pushed.drain(..accepted);
                    self.in_kernel += accepted;
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn io_submit(&mut self) -> nix::Result<usize> {
        self.pointers.clear();
        self.pointers
            .extend(self.pushed.iter_mut().map(|iocb| &raw mut *iocb));
        // SAFETY: the pointers are to this many structures, which the kernel copies; the caller of
        // `push` keeps their memory valid.
        let accepted = unsafe {
            libc::syscall(
                libc::SYS_io_submit,
                self.context,
                self.pointers.len(),
                self.pointers.as_ptr(),
            )
        };
        Errno::result(accepted).map(|accepted| accepted as usize)
    }

    fn io_getevents(&mut self, timeout: Option<Duration>) -> nix::Result<usize> {
        let timeout = timeout.map(TimeSpec::from_duration);
        let timeout = timeout.as_ref().map_or(ptr::null(), |spec| {
            ptr::from_ref::<libc::timespec>(spec.as_ref())
        });
        // SAFETY: the kernel writes no more events than there is room for, and reads a timespec, if
        // any, that outlives the call.
        let got = unsafe {
            libc::syscall(
                libc::SYS_io_getevents,
                self.context,
                1,
                self.events.len(),
                self.events.as_mut_ptr(),
                timeout,
            )
        };
        Errno::result(got).map(|got| got as usize)
    }
}

impl QueuedEngine for Aio {
    unsafe fn new(setup: &EngineSetup, _memory: &mut [u8]) -> Result<Self> {
        let depth = setup.depth;
        let mut context: ContextId = 0;
        // SAFETY: the kernel writes one aio_context_t, which must be 0 beforehand.
        let created = unsafe { libc::syscall(libc::SYS_io_setup, depth, &raw mut context) };
        Errno::result(created).map_err(|errno| setup_error(errno, depth))?;
        let descriptors = setup.files.descriptors();
        Ok(Self {
            context,
            files: descriptors.iter().map(AsRawFd::as_raw_fd).collect(),
            flush: match setup.fsync_mode {
                FsyncMode::Fsync => FSYNC,
                FsyncMode::Fdatasync => FDSYNC,
            },
            pushed: Vec::with_capacity(depth as usize),
            pointers: Vec::with_capacity(depth as usize),
            in_kernel: 0,
            events: vec![IoEvent::default(); depth as usize],
        })
    }

    unsafe fn push(&mut self, tag: u32, operation: Operation) {
        self.pushed.push(match operation {
            Operation::Read(extent, memory) => self.transfer(tag, PREAD, extent, memory),
            Operation::Write(extent, memory) => self.transfer(tag, PWRITE, extent, memory),
            Operation::Flush(file) => self.iocb(tag, file, self.flush),
        });
    }

    fn in_flight(&self) -> usize {
        self.pushed.len() + self.in_kernel
    }

    fn submit(&mut self) -> nix::Result<()> {
        let submitted = self.submit_pushed();
        if submitted.is_err() {
            self.pushed.clear();
        }
        submitted
    }

    fn wait(
        &mut self,
        completions: &mut Vec<Completion>,
        timeout: Option<Duration>,
    ) -> nix::Result<()> {
        self.submit()?;
        let got = retry(|| self.io_getevents(timeout))?;
        self.in_kernel -= got;
        completions.extend(self.events[..got].iter().map(|event| Completion {
            tag: event.data as u32,
            moved: match usize::try_from(event.result) {
                Ok(moved) => Ok(moved),
                Err(_) => Err(Errno::from_raw(-event.result as i32)),
            },
        }));
        Ok(())
    }
}

impl Drop for Aio {
    fn drop(&mut self) {
        // SAFETY: `new` created the context. The call returns when the kernel has completed
        // everything in flight, so that the memory may be freed afterward.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.context) };
    }
}

fn setup_error(errno: Errno, depth: u32) -> Error {
    let advice = match errno {
        Errno::EAGAIN => {
            ": more than the sysctl fs.aio-max-nr allows; raise it, or use a smaller depth or fewer \
             threads"
        }
        Errno::ENOSYS | Errno::EPERM => {
            ": this kernel has no native AIO, or a seccomp profile (of a container, for instance) \
             forbids it; use --io sync"
        }
        _ => "",
    };
    Error::new(errno).context(format!(
        "setting up native AIO for {depth} requests in flight{advice}"
    ))
}
