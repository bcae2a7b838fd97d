"""System calls recorded, delayed and made to fail by strace(1)."""

import re
from collections import defaultdict
from dataclasses import dataclass

# A line of `strace -f -o FILE`: the thread, then what it did.
LINE = re.compile(r"(\d+) +(.*)")
CALL = re.compile(r"([a-z_0-9]+)\(")
MARK = re.compile(r"\((?:INJECTED|DELAYED)")
CRASH = re.compile(r"\+\+\+ killed by (SIG(?:ABRT|SEGV|BUS|ILL|FPE|TRAP|SYS|PIPE|XFSZ))")

# Calls that show how far a thread is: a program's image, a thread of the C library, and the
# alternate signal stack, the last thing that Rust's runtime sets up before main and before the
# function of a thread.
MARKERS = ("execve", "rseq", "sigaltstack")

# The phases of a thread. What fails in the first two fails in the C library or Rust's runtime.
PROCESS_START = "process start"
THREAD_START = "thread start"
PROGRAM = "program"


@dataclass
class Call:
    """A system call of a thread."""

    name: str
    text: str
    phase: str
    number: int  # from 1, among those of this name in this thread: what `when=` counts
    leader: bool  # made by the main thread of the traced program
    injected: bool = False  # made to fail, or delayed


def calls(trace):
    """The system calls of a trace, in order."""
    phases = {}
    counts = defaultdict(int)
    latest = {}
    first = None
    found = []
    for line in trace.splitlines():
        parts = LINE.match(line)
        if not parts:
            continue
        thread, text = parts.groups()
        called = CALL.match(text)
        if called:
            name = called[1]
            if name == "execve" and " = -1 " not in text:
                phases[thread] = PROCESS_START
            # A child between fork and exec runs code of its parent, and makes no rseq.
            elif name == "rseq" and phases.get(thread) != PROCESS_START:
                phases[thread] = THREAD_START
            counts[thread, name] += 1
            first = first or thread
            phase = phases.get(thread, PROGRAM)
            call = Call(name, text, phase, counts[thread, name], leader=thread == first)
            found.append(call)
            latest[thread] = call
            if text.startswith("sigaltstack({"):
                phases[thread] = PROGRAM
        # A call that others interrupted in the trace has its end on a line of its own.
        if MARK.search(text) and thread in latest:
            latest[thread].injected = True
            if not called:
                latest[thread].text += text
    return found


def recording(trace_file):
    """strace's arguments to record all calls."""
    return ["strace", "-f", "-qq", "-s", "0", "-o", trace_file]


def injection(trace_file, call, fault, number):
    """strace's arguments for a fault in one call of each thread."""
    traced = ",".join(sorted({call, *MARKERS}))
    return [
        *["strace", "-f", "-qq", "--seccomp-bpf", "-s", "40", "-o", trace_file],
        *["-e", f"trace={traced}", "-e", f"inject={call}:{fault}:when={number}"],
    ]


# What a call can fail with where nothing is wrong with the program. Calls that are not named fail
# as seccomp filters and old kernels make them fail.
FAULTS = {
    "read": ["EIO", "EINTR", "EAGAIN"],
    "pread64": ["EIO", "EINTR", "EAGAIN", "retval=0"],
    "write": ["EIO", "ENOSPC", "EINTR", "EAGAIN", "EPIPE", "retval=0"],
    "pwrite64": ["EIO", "ENOSPC", "EINTR", "EAGAIN", "EFBIG", "retval=0"],
    "openat": ["EACCES", "ENOENT", "EMFILE", "EIO", "EINTR", "ENOMEM"],
    "openat2": ["EACCES", "EMFILE", "EIO", "EINTR", "EAGAIN", "ENOSYS", "EXDEV"],
    "statx": ["EIO", "EACCES", "ENOMEM"],
    "newfstatat": ["EIO", "EACCES", "ENOMEM"],
    "fstat": ["EIO"],
    "fstatfs": ["EIO", "EINTR"],
    "statfs": ["EIO", "EACCES"],
    "readlink": ["EIO", "EACCES", "ENOENT"],
    "readlinkat": ["EIO", "EACCES", "ENOENT"],
    "getdents64": ["EIO"],
    "getcwd": ["ENOENT"],
    "mkdir": ["ENOSPC", "EACCES", "EEXIST", "EIO"],
    "mkdirat": ["ENOSPC", "EACCES", "EEXIST", "EIO"],
    "rmdir": ["EIO", "EBUSY", "EPERM"],
    "unlink": ["EIO", "EBUSY", "EPERM"],
    "unlinkat": ["EIO", "EBUSY", "EPERM"],
    "rename": ["EIO", "ENOSPC", "EBUSY", "EPERM"],
    "renameat": ["EIO", "ENOSPC", "EBUSY", "EPERM"],
    "renameat2": ["EIO", "ENOSPC", "EBUSY", "EPERM", "EINVAL"],
    "linkat": ["EIO", "ENOSPC", "EPERM", "EEXIST"],
    "flock": ["EINTR", "ENOLCK", "EAGAIN", "EOPNOTSUPP"],
    "fsync": ["EIO", "ENOSPC", "EINTR"],
    "fdatasync": ["EIO", "ENOSPC", "EINTR"],
    "sync_file_range": ["EIO", "ENOSPC"],
    "msync": ["EIO", "ENOMEM"],
    "ftruncate": ["EIO", "EFBIG", "EINTR", "ENOSPC"],
    "fallocate": ["ENOSPC", "EOPNOTSUPP", "EIO", "EINTR"],
    "fcntl": ["EINVAL", "EPERM", "ENOLCK", "EMFILE"],
    "fadvise64": ["EINVAL"],
    "lseek": ["EINVAL", "ENXIO"],
    "fsetxattr": ["EOPNOTSUPP", "ENOSPC", "EPERM", "EDQUOT"],
    "fgetxattr": ["EOPNOTSUPP", "ENODATA", "EIO"],
    "flistxattr": ["EOPNOTSUPP", "EIO"],
    "mincore": ["EAGAIN", "ENOMEM"],
    "io_setup": ["EAGAIN", "ENOMEM", "ENOSYS"],
    "io_submit": ["EAGAIN", "EIO", "EINTR", "retval=0"],
    "io_getevents": ["EINTR", "EIO", "retval=0"],
    "io_destroy": ["EINVAL"],
    "io_uring_setup": ["ENOMEM", "EPERM", "ENOSYS", "EMFILE"],
    "io_uring_register": ["ENOMEM", "EINVAL", "EOPNOTSUPP"],
    "io_uring_enter": ["EINTR", "EAGAIN", "EBUSY", "EIO", "retval=0"],
    "mmap": ["ENOMEM"],
    "mremap": ["ENOMEM"],
    "mprotect": ["ENOMEM"],
    "mlock": ["ENOMEM", "EPERM"],
    "madvise": ["EINVAL", "EAGAIN", "ENOMEM"],
    # It returns the old end of the heap where it fails.
    "brk": ["retval=0"],
    "clone": ["EAGAIN", "ENOMEM"],
    "clone3": ["EAGAIN", "ENOMEM", "ENOSYS"],
    "vfork": ["EAGAIN", "ENOMEM"],
    "fork": ["EAGAIN", "ENOMEM"],
    "execve": ["EACCES", "ENOENT", "ENOMEM", "E2BIG"],
    "wait4": ["EINTR"],
    "waitid": ["EINTR"],
    "pipe2": ["EMFILE", "ENFILE"],
    "poll": ["EINTR", "ENOMEM"],
    "ppoll": ["EINTR", "ENOMEM"],
    "dup2": ["EBUSY", "EINTR", "EMFILE"],
    "dup3": ["EBUSY", "EINTR", "EMFILE"],
    "kill": ["EPERM", "ESRCH"],
    "pidfd_open": ["EMFILE", "ENOSYS", "EPERM"],
    "pidfd_send_signal": ["ENOSYS", "EPERM", "ESRCH"],
    "socketpair": ["EMFILE", "ENFILE"],
    "recvfrom": ["EINTR"],
    "recvmsg": ["EINTR"],
    "setpgid": ["EPERM", "EACCES"],
    "clock_nanosleep": ["EINTR"],
    "sched_setaffinity": ["EINVAL", "EPERM"],
    "sched_getaffinity": ["EPERM", "ENOSYS"],
    "getrandom": ["ENOSYS", "EPERM", "EINTR"],
    "prlimit64": ["EPERM", "ENOSYS"],
}
SECCOMP = ["EPERM", "ENOSYS"]

# They don't fail in working programs, no filter refuses them, and the C library does not look. A
# wake-up by futex(2) can't fail, and strace can't tell it from a wait, which can. Of ioctl(2), the
# runtime alone makes use: it asks for a terminal and sets pipes to non-blocking. A close(2) that
# fails has closed, while one that strace makes fail has not.
NEVER_FAIL = {
    "close",
    "exit",
    "exit_group",
    "munmap",
    "rt_sigprocmask",
    "rt_sigreturn",
    "restart_syscall",
    "arch_prctl",
    "set_tid_address",
    "set_robust_list",
    "rseq",
    "gettid",
    "getpid",
    "getppid",
    "getuid",
    "geteuid",
    "sched_yield",
    "futex",
    "ioctl",
}

DELAY = "delay_enter=1000000"


def errors_of(call):
    """What is injected into a call, as strace names it."""
    if call in NEVER_FAIL:
        return []
    faults = FAULTS.get(call, SECCOMP)
    return [fault if "=" in fault else f"error={fault}" for fault in faults]

