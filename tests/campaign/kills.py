#!/usr/bin/env python3
"""The campaign of kills: signals at random times during whole jobs, suites and sweeps.

Each job is ended by a signal after a random part of its duration, and then completed: a
suite or sweep by --resume, a whole job by `wbench fileio cleanup` and a second run. Each rule
is in the function that checks it. Exit status 1 if one is broken.
"""

import argparse
import json
import os
import random
import shlex
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from commands import PROFILE
from running import (
    GUARD_S,
    add_options,
    describe_system,
    directory_in,
    finish,
    kill_survivors,
    run,
    start,
    survivors,
    tree,
)

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL]

# Long enough for a signal in each phase, and short enough for thousands of runs.
SET = "--files 4 --total-size 2M"
EVENTS = 60
RESULT = "result.json"
PARTIAL = f"{RESULT}.partial"


@dataclass(frozen=True)
class Job:
    """A command that is ended by a signal, and what completes it."""

    name: str
    arguments: str
    results: int  # in a complete result file
    completion: str = ""
    cleanup: str = ""


WHOLE = (
    f"fileio --mode rndrw --flags dsync {SET} --events {EVENTS} --threads 2 --quiet"
    f" --json {RESULT}"
)
SUITE = f"suite --profile {PROFILE} --repeat 3 --quiet --json {RESULT}"
SWEEP_OPTIONS = f"--concurrency 1,2 --count 2 --lead 0.1 --quiet --json {RESULT}"
SWEPT = f"fileio --mode rndrw --flags dsync {SET} --events {EVENTS}"

JOBS = [
    Job("whole job", WHOLE, 1, completion=WHOLE, cleanup=f"fileio cleanup {SET}"),
    Job(
        "suite",
        SUITE,
        12,
        completion=f"{SUITE} --resume",
        cleanup="fileio cleanup --files 2 --total-size 64K",
    ),
    Job(
        "sweep",
        f"sweep {SWEEP_OPTIONS} -- {SWEPT}",
        4,
        completion=f"sweep {SWEEP_OPTIONS} --resume -- {SWEPT}",
    ),
]

# The columns of the table.
BEFORE = "before the handler"
INTERRUPTED = "128 + n"
KILLED = "killed"
DONE = "too late"
OUTCOMES = [BEFORE, INTERRUPTED, KILLED]


@dataclass(frozen=True)
class Case:
    """A signal after a random part of the duration of a job."""

    job: Job
    signal: signal.Signals
    duration_s: float
    seed: str

    def delays(self):
        """Moments of the job, until one of them meets it."""
        drawn = random.Random(self.seed)
        while True:
            yield drawn.random() * self.duration_s


@dataclass
class Verdict:
    """What a kill came to, and the rules that it broke."""

    outcome: str
    broken: list
    ended: object
    delay_s: float
    too_late: int = 0  # earlier attempts, in which the job had completed


def key(result):
    """Identifies a result in its suite or sweep."""
    suite, launch = result["suite"], result["launch"]
    return json.dumps(
        [
            suite and [suite["measurement"], suite["round"]],
            launch and [result["labels"]["env"], launch["concurrency"], launch["instance"]],
        ]
    )


def may_remain(name, killed):
    """What may remain of a job ended by SIGKILL that has been completed: a temporary result file
    that was being written. The directory of a killed sweep is removed by the next one."""
    return killed and name.startswith(".wbench-")


def kept_results(work):
    """The results that a job has kept: whole lines of the journal, or else the result file."""
    partial, final = work / PARTIAL, work / RESULT
    if partial.exists():
        lines = partial.read_text().split("\n")
        # The last one is empty, or was cut.
        return [json.loads(line) for line in lines[:-1]]
    if final.exists():
        document = json.loads(final.read_text())
        return document if isinstance(document, list) else [document]
    return []


class Campaign:
    """Runs jobs in directories of their own."""

    def __init__(self, binary, base):
        self.binary, self.base = binary, base

    def duration(self, job):
        """How long a job takes, the median of five."""
        times = []
        for _ in range(5):
            with directory_in(self.base, "run-") as work:
                began = time.monotonic()
                ended = self.run(job.arguments, work)
                times.append(time.monotonic() - began)
                broken = self.rules_of_completion(job, work, ended, [], killed=False)
                if broken:
                    raise RuntimeError(f"{job.name} without a signal: {broken}")
        return sorted(times)[2]

    def run(self, arguments, work):
        return run([self.binary, *shlex.split(arguments)], work, work.name, GUARD_S)

    def judge(self, case):
        """Sends a job its signal while it runs, and completes it."""
        for too_late, delay_s in enumerate(case.delays()):
            verdict = self.attempt(case, delay_s)
            verdict.too_late = too_late
            if verdict.outcome != DONE or verdict.broken:
                return verdict

    def attempt(self, case, delay_s):
        """Runs a job, sends it a signal after a delay, and completes it."""
        job = case.job
        with directory_in(self.base, "run-") as work:
            process = start([self.binary, *shlex.split(job.arguments)], work, work.name)
            time.sleep(delay_s)
            if process.poll() is None:
                process.send_signal(case.signal)
            ended = finish(process, GUARD_S)
            outcome, broken = self.rules_of_end(case, work, ended)
            kill_survivors(work.name)
            if not broken:
                broken = self.complete(job, work, outcome == KILLED)
            return Verdict(outcome, broken, ended, delay_s)

    def rules_of_end(self, case, work, ended):
        """The exit status says what ended the job, and what a signal can be caught for is gone."""
        broken = []
        if ended.hung:
            return INTERRUPTED, ["hangs"]
        if "panicked at" in ended.stderr:
            broken.append("panics")
        if ended.status == 0:
            outcome = DONE
        elif case.signal == signal.SIGKILL:
            outcome = KILLED
        elif ended.status == -case.signal:
            outcome = BEFORE
        else:
            outcome = INTERRUPTED
            if ended.status != 128 + case.signal:
                broken.append(f"exit status {ended.status}, not {128 + case.signal}")
        if ended.status < 0:
            # The kernel ends the instances of a sweep that was killed, and they remove their files.
            deadline = time.monotonic() + GUARD_S
            while survivors(work.name) and time.monotonic() < deadline:
                time.sleep(0.01)
        left = survivors(work.name)
        if left:
            broken.append(f"leaves processes {left}")
        if outcome != KILLED:
            allowed = {RESULT} if outcome in (DONE, INTERRUPTED) else set()
            broken += [f"leaves {name}" for name in tree(work) if name not in allowed]
        try:
            broken += self.rules_of_results(case.job, outcome, work)
        except (ValueError, KeyError, TypeError) as error:
            broken.append(f"results: {type(error).__name__}: {error}")
        return outcome, broken

    def rules_of_results(self, job, outcome, work):
        """What is there is whole: an interrupted result says so, and none is there twice."""
        results = kept_results(work)
        keys = [key(result) for result in results]
        broken = [f"{it} is there twice" for it in set(keys) if keys.count(it) > 1]
        for result in results:
            if result["totals"]["events"] != sum(it["events"] for it in result["threads"]):
                broken.append("the events of the threads are not those of the totals")
            if result["status"] == "complete" and result["error"]:
                broken.append("a complete result with an error")
        return broken

    def complete(self, job, work, killed):
        """After the kill: the files are removed, and what is missing is measured."""
        before = kept_results(work)
        if job.cleanup:
            ended = self.run(job.cleanup, work)
            if ended.status != 0:
                return [f"cleanup: exit status {ended.status}: {ended.stderr}"]
            left = [name for name in tree(work) if name.startswith("test_file")]
            if left:
                return [f"cleanup leaves {left}"]
        ended = self.run(job.completion, work)
        kept = [] if job.completion == job.arguments else before
        return self.rules_of_completion(job, work, ended, kept, killed)

    def rules_of_completion(self, job, work, ended, before, killed):
        """A completed job has each of its results once, those from before among them, and leaves
        nothing else."""
        if ended.status != 0:
            return [f"completed: exit status {ended.status}: {ended.stderr}"]
        try:
            results = kept_results(work)
        except ValueError as error:
            return [f"completed: {error}"]
        broken = []
        keys = {key(result) for result in results}
        complete = [result for result in results if result["status"] == "complete"]
        if not len(keys) == len(results) == len(complete) == job.results:
            broken.append(
                f"completed: {len(results)} results, {len(keys)} different, {len(complete)}"
                f" complete, of {job.results}"
            )
        lost = [it for it in before if it["status"] == "complete" and it not in results]
        if lost:
            broken.append(f"completed: {len(lost)} results from before are lost or changed")
        left = set(tree(work)) - {RESULT}
        broken += [f"completed: leaves {name}" for name in left if not may_remain(name, killed)]
        return broken


def cases_of(job, number, duration_s, seed):
    """Kills of a job by each signal, the same for each seed."""
    for each in SIGNALS:
        for i in range(number):
            yield Case(job, each, duration_s, f"{seed}:{job.name}:{each.name}:{i}")


def table(verdicts):
    """The counts of outcomes, a line for each job and signal, in Markdown."""
    rows = {}
    for case, verdict in verdicts:
        row = rows.setdefault((case.job.name, case.signal.name), Counter())
        row["kills"] += 1
        row[verdict.outcome] += 1
        row[DONE] += verdict.too_late
        row["violations"] += bool(verdict.broken)
    columns = ["kills", *OUTCOMES, "violations", DONE]
    rows["all", ""] = sum(rows.values(), Counter())
    lines = ["| job | signal | " + " | ".join(columns) + " |"]
    lines.append("| --- | --- |" + " ---: |" * len(columns))
    for names, row in rows.items():
        cells = [*names, *(str(row[it]) for it in columns)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--number", type=int, default=200, help="kills by each signal, of each job")
    parser.add_argument("--seed", type=int, help="seed of the delays [default: drawn]")
    parser.add_argument("--only", default="", help="jobs whose name contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    args = parser.parse_args()
    args.seed = random.randrange(1 << 32) if args.seed is None else args.seed
    return args


def main():
    args = parse_arguments()
    verdicts = []
    with directory_in(args.dir, "kills-") as base:
        campaign = Campaign(args.binary, base)
        for job in [job for job in JOBS if args.only in job.name]:
            duration_s = campaign.duration(job)
            print(f"{job.name}: {duration_s:.3f} s, seed {args.seed}", flush=True)
            cases = list(cases_of(job, args.number, duration_s, args.seed))
            with ThreadPoolExecutor(args.jobs) as pool:
                for case, verdict in zip(cases, pool.map(campaign.judge, cases)):
                    verdicts.append((case, verdict))
                    show_violation(case, verdict)
    print(describe_system(args))
    print(table(verdicts))
    return 1 if any(verdict.broken for _, verdict in verdicts) else 0


def show_violation(case, verdict):
    """Prints what a kill has broken."""
    if verdict.broken:
        event = f"{case.signal.name} after {verdict.delay_s:.4f} s"
        print(f"VIOLATION {case.job.name}: {event} of '{case.job.arguments}'")
        for sentence in verdict.broken:
            print(f"    {sentence}")
        print(f"    exit status {verdict.ended.status}: {verdict.ended.stderr.strip()[-500:]}")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
