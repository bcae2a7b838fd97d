"""The command lines of the fault campaign, and what each leaves when nothing fails."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from running import ROOT

MODES = ["seqwr", "seqrewr", "seqrd", "rndrd", "rndwr", "rndrw"]
ENGINES = ["sync", "aio", "uring", "mmap"]

# Small, and without the calibration of the clock where that is not what is tried.
SET = "--files 2 --total-size 64K"
QUICK = "--clock monotonic --quiet --threads 2"
RESULT = "result.json"


@dataclass(frozen=True)
class Command:
    """A command line, run in a directory of its own."""

    name: str
    arguments: str
    program: str = "wbench"
    setup: tuple = ()  # command lines that are run before, without a fault
    result: str | None = RESULT  # a file, "-" for standard output, None if there is no result
    stdout: str = "ignored"  # or "same": every byte, "counts": of a sysbench report
    journal: bool = False  # results are kept in FILE.partial, and --resume completes them
    statuses: tuple = (1,)  # of a failure
    row: str = ""  # of the table

    def group(self):
        """The row of the table."""
        return self.row or self.name.replace(",", "").split()[0]

    def argv(self, binary, arguments=None):
        """The arguments, with the program's path."""
        arguments = (arguments or self.arguments).replace("@wbench@", str(binary))
        return [binary.with_name(self.program), *shlex.split(arguments)]

    def again(self):
        """The command line that must succeed after a failure."""
        arguments = self.arguments.replace("--quiet", "--quiet --resume", 1)
        return replace(self, arguments=arguments) if self.journal else self


def _whole_job(mode, engine):
    depth = "--depth 2" if engine in ("aio", "uring") else ""
    limits = "--events 20 --fsync-freq 7" if mode.startswith("rnd") else ""
    return Command(
        f"fileio {mode} {engine}",
        f"fileio --mode {mode} --io {engine} {depth} {SET} {limits} {QUICK} --json {RESULT}",
        row=f"fileio --io {engine}, six modes",
    )


def _sysbench(name, arguments, **rest):
    return Command(f"sysbench {name}", arguments, "sysbench", result=None, stdout="counts", **rest)


PREPARE = f"fileio prepare {SET} --quiet"
SYSBENCH_SET = "--test=fileio --file-num=2 --file-total-size=64K"
RUN = f"fileio run --mode rndrw {SET} --events 20 --fsync-freq 7"
PROFILE = Path(__file__).with_name("profile.toml")
SUITE = f"suite --profile {PROFILE} --quiet --json {RESULT}"
SWEEP = f"sweep --concurrency 1,2 --count 2 --lead 0.3 --quiet --json {RESULT}"
MEASURED = f"fileio --mode rndrw {SET} --events 20 --clock monotonic"
EXAMPLES = ROOT / "docs/examples"
ONE_RESULT = EXAMPLES / "quiet/1.json"

COMMANDS = [
    Command("cpu", f"cpu --max-prime 100 --events 50 {QUICK} --json {RESULT}"),
    Command(
        "cpu, TSC, intervals, pinned",
        "cpu --max-prime 1000 --events 2000 --threads 2 --pin --report-interval 0.02"
        f" --label env=a --json {RESULT}",
    ),
    Command(
        "cpu, JSON on stdout",
        f"cpu --max-prime 100 --events 50 {QUICK} --json -",
        result="-",
    ),
    Command("memory write", f"memory --total-size 64K {QUICK} --json {RESULT}"),
    Command(
        "memory read, random, local",
        f"memory --oper read --access rnd --scope local --total-size 64K {QUICK} --json {RESULT}",
    ),
    *[_whole_job(mode, engine) for mode in MODES for engine in ENGINES],
    Command(
        "fileio, page cache",
        f"fileio --mode rndrw --flags none --drop-cache {SET} --events 20 {QUICK} --json {RESULT}",
    ),
    Command(
        "fileio, validated",
        f"fileio --mode rndrw --validate --fsync-all {SET} --events 20 {QUICK} --json {RESULT}",
    ),
    Command("fileio prepare", PREPARE, result=None),
    Command("fileio run", f"{RUN} {QUICK} --json {RESULT}", setup=(PREPARE,)),
    Command("fileio cleanup", f"fileio cleanup {SET}", setup=(PREPARE,), result=None),
    Command("suite", SUITE, journal=True),
    Command("suite, 2 rounds", f"{SUITE} --repeat 2", journal=True),
    Command("sweep", f"{SWEEP} -- {MEASURED}", journal=True),
    Command(
        "sweep, waves",
        f"{SWEEP} --runner waves --timeout 300"
        f" --launch native= --launch shell='sh -c \"exec $0 $@\" @wbench@ {{args}}' -- {MEASURED}",
        journal=True,
    ),
    Command(
        "sweep cpu",
        f"{SWEEP} -- cpu --max-prime 100 --events 50 --clock monotonic",
        journal=True,
    ),
    Command(
        "compare",
        f"compare {EXAMPLES}/quiet {EXAMPLES}/busy",
        result=None,
        stdout="same",
        statuses=(1, 2),
    ),
    Command(
        "compare to a page",
        f"compare {EXAMPLES}/quiet {EXAMPLES}/busy --format html --output page.html",
        result=None,
        stdout="same",
        statuses=(1, 2),
    ),
    Command(
        "compare as CSV",
        f"compare {EXAMPLES}/quiet {EXAMPLES}/busy --format csv",
        result=None,
        stdout="same",
        statuses=(1, 2),
    ),
    Command("show", f"show {ONE_RESULT}", result=None, stdout="same"),
    Command("show as sysbench", f"show {ONE_RESULT} --format sysbench", result=None, stdout="same"),
    Command("env", "env --json env.json", result="env.json"),
    _sysbench("cpu", "--test=cpu --cpu-max-prime=100 --max-requests=50 --num-threads=2 run"),
    _sysbench("memory", "--test=memory --memory-total-size=64K --num-threads=2 run"),
    _sysbench("fileio prepare", f"{SYSBENCH_SET} prepare"),
    _sysbench(
        "fileio run",
        f"{SYSBENCH_SET} --file-test-mode=rndrw --max-requests=20 --num-threads=2 run",
        setup=(f"{SYSBENCH_SET} prepare",),
    ),
    _sysbench(
        "fileio cleanup", f"{SYSBENCH_SET} cleanup", setup=(f"{SYSBENCH_SET} prepare",)
    ),
]
