//! Linux native AIO: io_setup(2), io_submit(2), io_getevents(2), io_destroy(2).
//!
//! The C library has no wrappers for them. The structures are those of `linux/aio_abi.h`.

use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::time::Duration;

use anyhow::{Error, Result};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;

use super::Fileio;
use super::queued::{Completion, Operation, Queue};
use super::requests::Extent;
use super::transfer::retry;
use crate::plan::FsyncMode;

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
struct Event {
    data: u64,
    iocb: u64,
    result: i64,
    second_result: i64,
}

/// Pause between retries, and their number, when the kernel lacks resources for a request and no
/// completion would free any.
const PAUSE: Duration = Duration::from_millis(1);
const PATIENCE: u32 = 1000;

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
    events: Vec<Event>,
}

impl Aio {
    /// Creates a context for the configured queue depth.
    pub(super) fn new(fileio: &Fileio) -> Result<Self> {
        let depth = fileio.params.depth.get();
        let mut context: ContextId = 0;
        // SAFETY: the kernel writes one aio_context_t, which must be 0 beforehand.
        let made = unsafe { libc::syscall(libc::SYS_io_setup, depth, &raw mut context) };
        Errno::result(made).map_err(|errno| {
            let advice = match errno {
                Errno::EAGAIN => {
                    ": more than the sysctl fs.aio-max-nr allows; raise it, or take a smaller depth \
                     or fewer threads"
                }
                Errno::ENOSYS | Errno::EPERM => {
                    ": this kernel has no native AIO, or a seccomp profile (of a container, for \
                     instance) forbids it; take --io sync"
                }
                _ => "",
            };
            Error::new(errno).context(format!("asking for {depth} asynchronous requests{advice}"))
        })?;
        Ok(Self {
            context,
            files: fileio.files.iter().map(AsRawFd::as_raw_fd).collect(),
            flush: match fileio.params.fsync_mode {
                FsyncMode::Fsync => FSYNC,
                FsyncMode::Fdatasync => FDSYNC,
            },
            pushed: Vec::with_capacity(depth as usize),
            pointers: Vec::with_capacity(depth as usize),
            in_kernel: 0,
            events: vec![Event::default(); depth as usize],
        })
    }

    fn iocb(&self, token: u32, file: u32, opcode: u16) -> Iocb {
        Iocb {
            data: token.into(),
            opcode,
            descriptor: self.files[file as usize] as u32,
            ..Iocb::default()
        }
    }

    fn transfer(&self, token: u32, opcode: u16, extent: Extent, memory: *const u8) -> Iocb {
        Iocb {
            buffer: memory as u64,
            bytes: extent.len as u64,
            offset: extent.offset as i64,
            ..self.iocb(token, extent.file, opcode)
        }
    }

    /// Submits as many pushed requests as the kernel accepts: all, or at least one if it has none
    /// in flight.
    fn hand_over(&mut self) -> nix::Result<()> {
        let mut patience = PATIENCE;
        while !self.pushed.is_empty() {
            match retry(|| self.io_submit()) {
                Ok(0) | Err(Errno::EAGAIN) => {
                    if self.in_kernel > 0 {
                        return Ok(());
                    }
                    patience = patience.checked_sub(1).ok_or(Errno::EAGAIN)?;
                    std::thread::sleep(PAUSE);
                }
                Ok(taken) => {
                    self.pushed.drain(..taken);
                    self.in_kernel += taken;
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
        let taken = unsafe {
            libc::syscall(
                libc::SYS_io_submit,
                self.context,
                self.pointers.len(),
                self.pointers.as_ptr(),
            )
        };
        Errno::result(taken).map(|taken| taken as usize)
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

impl Queue for Aio {
    unsafe fn push(&mut self, token: u32, operation: Operation) {
        self.pushed.push(match operation {
            Operation::Read(extent, memory) => self.transfer(token, PREAD, extent, memory),
            Operation::Write(extent, memory) => self.transfer(token, PWRITE, extent, memory),
            Operation::Flush(file) => self.iocb(token, file, self.flush),
        });
    }

    fn in_flight(&self) -> usize {
        self.pushed.len() + self.in_kernel
    }

    fn submit(&mut self) -> nix::Result<()> {
        let handed_over = self.hand_over();
        if handed_over.is_err() {
            self.pushed.clear();
        }
        handed_over
    }

    fn wait(&mut self, done: &mut Vec<Completion>, timeout: Option<Duration>) -> nix::Result<()> {
        self.submit()?;
        let got = retry(|| self.io_getevents(timeout))?;
        self.in_kernel -= got;
        done.extend(self.events[..got].iter().map(|event| Completion {
            token: event.data as u32,
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
        // everything in flight, so that the memory may be freed afterwards.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.context) };
    }
}
