"""Processes in directories of their own, with a guard against hangs."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Nothing takes this long, not even on a busy machine with a delay in each thread.
GUARD_S = 120

# Marks the processes of one run, so that those that outlive it are found.
MARK = "WBENCH_CAMPAIGN"


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    status: int  # negative: the signal that killed it
    stdout: str
    stderr: str
    hung: bool = False


def start(argv, directory, mark):
    """Starts a process in a session of its own."""
    return subprocess.Popen(
        [str(argument) for argument in argv],
        cwd=directory,
        env={"PATH": os.environ.get("PATH", ""), MARK: mark},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process, guard_s):
    """Waits for the end of a process; one that takes longer than the guard is killed and hung."""
    hung = False
    try:
        out, err = process.communicate(timeout=guard_s)
    except subprocess.TimeoutExpired:
        hung = True
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
    return Ended(process.returncode, _text(out), _text(err), hung)


def run(argv, directory, mark, guard_s):
    """Runs a process to its end."""
    return finish(start(argv, directory, mark), guard_s)


def _text(data):
    return data.decode("utf-8", "replace")


def survivors(mark):
    """Process ids of what a run has left running."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            # Field 3, after the name in parentheses: a zombie has ended.
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if wanted in variables and state != "Z":
            found.append(int(entry.name))
    return found


def kill_survivors(mark):
    """Ends what a run has left running."""
    for pid in survivors(mark):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


@contextmanager
def directory_in(base, prefix):
    """A new directory, removed at the end."""
    base.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def tree(directory):
    """Names below a directory, with the size of each test file."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        is_test_file = re.fullmatch(r"test_file\.\d+", path.name)
        found[name] = path.lstat().st_size if is_test_file and path.exists() else None
    return found


def add_options(parser):
    """The options of what is run, and where."""
    binary = next(ROOT.glob("target/*/release/wbench"), None)
    parser.add_argument(
        "--binary",
        type=_resolved,
        default=binary,
        required=binary is None,
        help="the program under test [default: the release build]",
    )
    parser.add_argument(
        "--dir",
        type=_resolved,
        default=ROOT / "target/campaign",
        help="runs get directories in this one [default: target/campaign]",
    )


def _resolved(text):
    return Path(text).resolve()


def describe_system(args):
    """What was run, when and where, in one line."""
    version = subprocess.run([args.binary, "--version"], capture_output=True, text=True, check=True)
    kind = subprocess.run(
        ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", args.dir],
        capture_output=True,
        text=True,
        check=True,
    )
    system = os.uname()
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return (
        f"{day}, {version.stdout.strip()}, Linux {system.release}, {system.machine},"
        f" {os.cpu_count()} CPUs, {kind.stdout.strip()}"
    )
