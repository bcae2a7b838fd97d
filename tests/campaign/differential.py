#!/usr/bin/env python3
"""Runs generated command lines through sysbench 1.0.20 and wbench, and compares what they do.

Exit status, standard output and standard error with measured numbers masked, the files left behind
and, for fileio with one thread, the system calls on test files must agree. Each intended difference
is an entry of DIFFERENCES. Exit status 1 if there is any other.
"""

import argparse
import difflib
import os
import random
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

GUARD_S = 120

# Parts of an output that are measured, or that name the program.
MASKS = [
    (r"^(sysbench 1\.0\.20) \(.*\)$", r"\1"),
    (r"(events per second: )\s*[\d.]+$", r"\1#"),
    (r"(Total operations: \d+ \()\s*[\d.]+ per second", r"\1# per second"),
    (r"(MiB transferred \()[\d.]+ MiB/sec", r"\1# MiB/sec"),
    (r"((?:reads|writes|fsyncs)/s: +)[\d.]+$", r"\1#"),
    (r"((?:read|written), MiB/s: +)[\d.]+$", r"\1#"),
    (r"(total time: +)[\d.]+s$", r"\1#s"),
    (r"(avg/stddev\): +[\d.]+/)[\d.]+$", r"\1#"),
    (r"(execution time \(avg/stddev\): +)[\d.]+/", r"\1#/"),
    (r"(written in )[\d.]+ seconds \([\d.]+ MiB/sec\)", r"\1# seconds (# MiB/sec)"),
    (r"(thread # +\d+: ).*(events: )\d+$", r"\1\2#"),
    (r"(taken by event execution: )[\d.]+s$", r"\1#s"),
    (r"(eps: )[\d.]+( lat \(ms,\d+%\): )[\d.]+$", r"\1#\2#"),
    (r"^(\[ \d+s \] )[\d.]+ MiB/sec$", r"\1# MiB/sec"),
    (
        r"(reads: )[\d.]+( MiB/s writes: )[\d.]+( MiB/s fsyncs: )[\d.]+(/s latency \(ms,\d+%\): )[\d.]+$",
        r"\1#\2#\3#\4#",
    ),
]

LATENCY = re.compile(r"^( +(?:min|avg|max|sum|\d+th percentile):)( +)([\d.]+)$")
BUCKET = re.compile(r"^ *[\d.]+ \|[* ]{40} \d+$")


def masked(text, timed, requests):
    """The lines of an output without measured numbers. `timed`: a time limit ended the run.
    `requests`: lines of requests are between those of the threads."""
    lines = []
    for line in text.split("\n"):
        if UNORDERED.match(line) or requests and line.startswith("(last message repeated"):
            continue
        if requests and lines and line == lines[-1] and line.endswith("limit exceeded, exiting..."):
            continue  # Requests of other threads came between the messages of two threads.
        latency = LATENCY.match(line)
        if latency:  # Aligned to the right: the width is part of the format.
            line = f"{latency[1]} # to column {max(len(line), 53)}"
        for pattern, replacement in MASKS:
            line = re.sub(pattern, replacement, line)
        if BUCKET.match(line):
            line = "<bucket>"
            if lines and lines[-1] == line:
                continue
        if timed:
            line = re.sub(r"\d+(?:\.\d+)?", "#", line)
        lines.append(line)
    return lines



# Intended differences: the command lines concerned, and how the manual names the difference. They
# are run, and only have to end with a message instead of a crash.
DIFFERENCES = [
    (r"--help(?!=off)", "usage: no database options"),
    (r"--memory-(total|block)-size(=(x|-5|1\.5M|10X|)( |$)| )", "invalid sizes are refused"),
    (r"--(threads|report-interval|forced-shutdown)=-", "negative values are refused"),
    (r"--rand-type(=?)( |$)|--memory-(oper|scope|access-mode)(=?)( |$)", "an empty word is refused"),
    (r"^oltp_", "no Lua scripts"),
    (r"--file-rw-ratio=(x|inf)|--file-(num|async-backlog)=-", "invalid numbers are refused"),
    (r"--validate(?!=off).*--file-test-mode|--file-test-mode.*--validate(?!=off)", "validation"),
    (r"--file-extra-flags=(sync,direct|direct,dsync)", "flags that exclude each other"),
    (r"--file-fsync-all.*=async|=async.*--file-fsync-all", "fsyncs through the queue"),
    (r"=rndrw.*--file-io-mode=async|--file-io-mode=async.*=rndrw", "writes of async rndrw"),
    (r"--file-block-size=(1000000|3000)|--file-total-size=100001", "files are whole blocks"),
]

# Lines whose place depends on which of 1.0's threads comes first, and those of each request, which
# wbench does not print.
UNORDERED = re.compile(
    r"^DEBUG: ((Reporting|Checkpoints report) thread started|Executing request, .*"
    r"|Worker thread \(#\d+\) (started|initialized)|Event generating thread started)$"
)

WARNING = re.compile(r"^WARNING: (?!the --test option)")


def intended(line):
    return any(re.search(pattern, line + " ") for pattern, _ in DIFFERENCES)


def is_debugging(step):
    return "fileio" in step and re.search(r"--debug(?!=off)|--verbosity=5", step)


def trace_options(file):
    calls = "openat,pread64,pwrite64,fsync,fdatasync,unlink,msync,io_submit"
    # One file per thread: a call in a common file may be split by those of other threads.
    return ["strace", "-ff", "-qq", "-o", file, "-e", f"trace={calls}"]


def trace_lines(file):
    """The lines of the traces of all threads, in the order of their creation."""
    directory, name = os.path.split(file)
    threads = [trace for trace in os.listdir(directory) if trace.startswith(name + ".")]
    for trace in sorted(threads, key=lambda trace: int(trace.rpartition(".")[2])):
        path = os.path.join(directory, trace)
        yield from open(path, errors="replace")
        os.unlink(path)


def data_calls(file):
    """The data system calls on test files, in order."""
    files, calls = {}, []
    for line in trace_lines(file):
        opened = re.match(r'openat\([^,]+, "(?:[^"]*/)?test_file\.(\d+)", .*\)\s+= (\d+)', line)
        if opened:
            files[opened[2]] = opened[1]
            continue
        moved = re.match(r"(pread64|pwrite64)\((\d+), .*, (\d+), (\d+)\)\s+= ", line)
        if moved and moved[2] in files:
            calls.append(f"{moved[1]} {files[moved[2]]} {moved[4]} {moved[3]}")
            continue
        flushed = re.match(r"(fsync|fdatasync)\((\d+)\)", line)
        if flushed and flushed[2] in files:
            calls.append(f"{flushed[1]} {files[flushed[2]]}")
            continue
        for queued in re.finditer(
            r"aio_lio_opcode=IOCB_CMD_(\w+), aio_fildes=(\d+).*?aio_nbytes=(\d+), aio_offset=(\d+)",
            line if line.startswith("io_submit") else "",
        ):
            calls.append(f"{queued[1]} {files.get(queued[2])} {queued[4]} {queued[3]}")
    return calls


def run_steps(program, steps):
    """What a program does with the steps, in an empty directory."""
    outcomes = []
    with tempfile.TemporaryDirectory(dir=DIRECTORY) as directory:
        for step in steps:
            arguments = step.split()
            trace = None
            command = [program, *arguments]
            if "fileio" in arguments and "run" in arguments and "threads=" not in step:
                trace = os.path.join(DIRECTORY, f"{os.path.basename(directory)}.trace")
                command = trace_options(trace) + command
            process = subprocess.run(
                command,
                cwd=directory,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=GUARD_S,
                env={**os.environ, "WBENCH_SYSBENCH": "1.0"},
            )
            timed = "--time=1" in step
            stderr = [line for line in process.stderr.split("\n") if not WARNING.match(line)]
            outcome = {
                "status": [str(process.returncode)],
                "standard output": masked(process.stdout, timed, is_debugging(step)),
                "standard error": stderr,
                "files": sorted(
                    f"{name} {os.path.getsize(os.path.join(directory, name))}"
                    for name in os.listdir(directory)
                ),
            }
            if trace:
                calls = data_calls(trace)
                # The seeds of 1.0's threads depend on which of them starts first.
                # Without a percentile, 1.0 draws no number for the histogram of each event.
                if re.search(
                    r"--report.(interval=[1-9]|checkpoints=[1-9])|--rand.seed=0|--percentile=0|--(tx.)?rate=[1-9]",
                    step,
                ):
                    calls = []
                outcome["system calls"] = [] if timed else calls
            outcomes.append(outcome)
    return outcomes


def differences(steps):
    """The differences in what the two programs do."""
    found = []
    ours, theirs = run_steps(BINARY, steps), run_steps(SYSBENCH, steps)
    for step, our, their in zip(steps, ours, theirs):
        if intended(step):
            if our["status"][0] not in ("0", "1", "2"):
                found.append(f"$ sysbench {step}\n  ended with {our['status'][0]}")
            continue
        for what, lines in their.items():
            if lines != our[what]:
                diff = difflib.unified_diff(lines, our[what], "sysbench", "wbench", lineterm="", n=1)
                found.append(f"$ sysbench {step}\n  {what}:\n" + "\n".join(diff))
    return found


class Generator:
    """Command lines, drawn from a seed."""

    def __init__(self, seed, tests):
        self.random = random.Random(seed)
        self.tests = tests

    def maybe(self, probability, *choices):
        """One of the choices with this probability, else nothing."""
        if self.random.random() >= probability:
            return []
        return [self.random.choice(choices)]

    def general(self):
        return (
            self.maybe(0.3, "--threads=2", "--threads=3", "--num-threads=2", "--threads=1")
            + self.maybe(0.1, "--percentile=0", "--percentile=50", "--percentile=100", "--percentile=7")
            + self.maybe(0.1, "--histogram", "--histogram=on", "--histogram=off")
            + self.maybe(0.1, "--verbosity=0", "--verbosity=2", "--verbosity=4", "--verbosity=5")
            + self.maybe(0.1, "--debug", "--debug=on", "--debug=off")
            + self.maybe(0.1, "--validate", "--validate=off")
            + self.maybe(0.2, "--rand-seed=7", "--rand_seed=-3", "--rand-seed=0")
            + self.maybe(0.1, "--rand-type=uniform", "--rand-type=pareto", "--rand-spec-pct=5")
            + self.maybe(0.1, "--forced-shutdown=20", "--forced-shutdown=10%", "--forced-shutdown")
            + self.maybe(0.1, "--report-interval=30", "--report-interval=0", "--report_interval=9")
            + self.maybe(0.1, "--rate=20000", "--rate=50000", "--tx-rate=30000", "--rate=x", "--rate=0.5")
            + self.maybe(0.1, "--report-checkpoints=20,9", "--report-checkpoints=", "--thread-stack-size=128K")
            + self.maybe(0.05, "--mysql-host=x", "--db-driver=pgsql", "--pgsql_port=1", "--db-debug")
        )

    def invalid(self):
        return self.maybe(
            0.25,
            "--threads=0",
            "--threads=x",
            "--threads=-1",
            "--events=5K",
            "--events=1.5",
            "--time=x",
            "--percentile=101",
            "--percentile=-1",
            "--percentile=9.5",
            "--histogram=x",
            "--verbosity=9",
            "--verbosity=x",
            "--rand-type=x",
            "--rand-seed=x",
            "--forced-shutdown=x",
            "--forced-shutdown=-1",
            "--thread-stack-size=x",
            "--thread-stack-size=0",
            "--report-interval=x",
            "--report-checkpoints=x",
            "--no-such",
            "--no-such=1",
            "--cpu-max-primes=7",
            "--file-num=0",
            "--memory-oper=x",
            "--memory-oper",
            "--memory-block-size=x",
            "--memory-block-size=3",
            "--memory-total-size=x",
            "--cpu-max-prime=0",
            "--cpu-max-prime=x",
            "extra",
            "--version",
            "--help",
            "-events=3",
            "--",
        )

    def cpu(self):
        limits = self.maybe(
            1, *["--events=5", "--events=1", "--max-requests=7", "--events=12 --time=30"] * 3, "--time=1"
        )
        return [limits + self.maybe(1, "--cpu-max-prime=100", "--cpu-max-prime=1", "--cpu_max_prime=1000")]

    def memory(self):
        return [
            self.maybe(1, "--memory-total-size=1M", "--memory-total-size=999K", "--memory-total-size=1")
            + self.maybe(0.5, "--memory-block-size=8", "--memory-block-size=4K", "--memory-block-size=1k")
            + self.maybe(0.5, "--memory-oper=read", "--memory-oper=none", "--memory-oper=write")
            + self.maybe(0.3, "--memory-scope=local", "--memory-scope=global")
            + self.maybe(0.3, "--memory-access-mode=rnd", "--memory-access-mode=seq")
            + self.maybe(0.1, "--events=5", "--max-time=30")
        ]

    def fileio(self):
        files = self.maybe(
            1,
            "--file-num=1 --file-total-size=128K",
            "--file-num=4 --file-total-size=1M",
            "--file-num=3 --file-total-size=192K --file-block-size=4096",
            "--file-num=2 --file-total-size=256K --file-block-size=32K",
        )
        modes = ("seqwr", "seqrewr", "seqrd", "rndrd", "rndwr", "rndrw")

        def run():
            return (
                files
                + self.maybe(0.97, *(f"--file-test-mode={mode}" for mode in modes))
                + self.maybe(1, "--events=30", "--events=7", "--max-requests=100", "--events=64")
                + ["--rand-seed=" + str(self.random.randrange(1, 99))]
                + self.maybe(0.3, "--file-io-mode=mmap", "--file-io-mode=async", "--file-io-mode=sync")
                + self.maybe(0.4, "--file-fsync-freq=0", "--file-fsync-freq=3", "--file-fsync-freq=10")
                + self.maybe(0.2, "--file-fsync-end=off", "--file-fsync-all", "--file-fsync-all=on")
                + self.maybe(0.2, "--file-fsync-mode=fdatasync", "--file-fsync-mode=fsync")
                + self.maybe(0.2, "--file-rw-ratio=0", "--file-rw-ratio=1.6", "--file-rw-ratio=7")
                + self.maybe(0.2, "--file-merged-requests=2", "--file-merged-requests=5")
                + self.maybe(0.2, "--file-extra-flags=sync", "--file-extra-flags=dsync", "--file_extra_flags=direct")
                + self.maybe(0.05, "--file-test-mode=x", "--file-io-mode=x", "--file-fsync-mode=x", "--file-num=x")
                + self.maybe(0.03, "--file-block-size=x", "--file-total-size=x", "--file-merged-requests=-1")
            )

        first = self.maybe(0.9, "prepare")
        return [(files, "prepare")] * len(first) + [(run(), "run"), (run(), "run"), (files, "cleanup")]

    def threads(self):
        return [
            self.maybe(1, "--events=5", "--events=1", "--max-requests=7")
            + self.maybe(1, "--thread-yields=5", "--thread-yields=0", "--thread_yields=100")
            + self.maybe(0.5, "--thread-locks=1", "--thread-locks=20")
            + self.maybe(0.05, "--thread-locks=x", "--thread-yields=x")
        ]

    def mutex(self):
        return [
            self.maybe(1, "--mutex-locks=5", "--mutex-locks=1", "--mutex_locks=100")
            + self.maybe(1, "--mutex-loops=5", "--mutex-loops=0", "--mutex_loops=100")
            + self.maybe(0.5, "--mutex-num=1", "--mutex-num=20")
            + self.maybe(0.2, "--events=5", "--mutex-num=x", "--mutex-locks=x")
        ]

    def line(self, test, options, command):
        """A command line with its parts in any order that keeps test and command apart."""
        words = [word for option in options for word in option.split()]
        self.random.shuffle(words)
        at = sorted(self.random.randrange(len(words) + 1) for _ in range(2))
        words[at[1] : at[1]] = command
        words[at[0] : at[0]] = test
        return " ".join(words)

    def steps(self):
        test = self.random.choice(self.tests)
        commands = [self.random.choice(["run"] * 9 + ["help", "prepare", "cleanup", "x", ""])]
        lines = getattr(self, test)()
        named = [self.random.choice([test] * 30 + ["x", "run", ""])]
        if self.random.random() < 0.04:
            named = [f"--test={test}"]
        if test == "fileio":
            steps = [(options + (self.general() if command == "run" else []), command) for options, command in lines]
            return [self.line([test], options, [command]) for options, command in steps]
        return [
            self.line([it for it in named if it], options + self.general() + self.invalid(), [it for it in commands if it])
            for options in lines
        ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="the wbench to test")
    parser.add_argument("--sysbench", default="sysbench", help="sysbench 1.0.20")
    parser.add_argument("--dir", default=None, help="directory for temporary files")
    parser.add_argument("--seed", type=int, default=os.environ.get("WBENCH_DIFFERENTIAL_SEED", 1))
    parser.add_argument("--cases", type=int, default=os.environ.get("WBENCH_DIFFERENTIAL_CASES", 300))
    parser.add_argument("--tests", default="cpu,memory,threads,mutex,fileio")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    global BINARY, SYSBENCH, DIRECTORY
    SYSBENCH = options.sysbench
    with tempfile.TemporaryDirectory(dir=options.dir) as DIRECTORY:
        BINARY = os.path.join(DIRECTORY, "sysbench")
        os.symlink(os.path.abspath(options.binary), BINARY)
        generator = Generator(int(options.seed), options.tests.split(","))
        cases = [generator.steps() for _ in range(int(options.cases))]
        with ThreadPoolExecutor(options.jobs) as pool:
            found = [difference for case in pool.map(differences, cases) for difference in case]
    for difference in found:
        print(difference, "\n")
    print(f"{len(cases)} cases with seed {options.seed}, {len(found)} differences")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
