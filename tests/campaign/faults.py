#!/usr/bin/env python3
"""The campaign of injected faults: every system call of every command, made to fail or delayed.

Each command line runs once under strace(1), which records its system calls. Each distinct call is
then, at the first, a middle and the last time that it is made, by the main thread and by others,
made to fail in each way that it may, and delayed by a second. The rules that each run must follow
are in rules.py. Exit status 1 where a run breaks one.
"""

import argparse
import os
import random
import shlex
import sys
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import rules
import strace
from commands import COMMANDS, Command
from running import GUARD_S, add_options, describe_system, directory_in, kill_survivors, run, tree


@dataclass(frozen=True)
class Case:
    """A fault in a command."""

    command: Command
    call: str
    fault: str
    number: int

    def name(self):
        return f"{self.command.name}: {self.call}:{self.fault}:when={self.number}"


class Campaign:
    """Runs commands in directories of their own."""

    def __init__(self, binary, base):
        self.base = base
        self.binary = base / "wbench"
        self.binary.symlink_to(binary)
        (base / "sysbench").symlink_to(binary)
        self.clean = {}

    @contextmanager
    def prepared(self, command):
        """A directory with what a command needs, the path of a trace, and a mark of its own."""
        with directory_in(self.base, "run-") as directory:
            work = directory / "work"
            work.mkdir()
            for arguments in command.setup:
                self.must(command, arguments, work, directory.name)
            yield work, directory / "trace", directory.name

    def must(self, command, arguments, work, mark):
        """Runs a command line without a fault, which must succeed."""
        ended = run(command.argv(self.binary, arguments), work, mark, GUARD_S)
        if ended.status != 0:
            raise rules.Violation(f"'{arguments}' without a fault: {ended.status}: {ended.stderr}")
        return ended

    def record(self, command):
        """The cases of a command, and the observation of a run without a fault."""
        with self.prepared(command) as (work, _, mark):
            before = tree(work)
            ended = self.must(command, command.arguments, work, mark)
            clean = rules.observe(command, work, ended, before)
        with self.prepared(command) as (work, trace, mark):
            argv = [*strace.recording(trace), *command.argv(self.binary)]
            ended = run(argv, work, mark, GUARD_S)
            different = rules.differences(clean, rules.observe(command, work, ended, before))
            if different:
                raise rules.Violation(f"{command.name} differs without a fault: {different}")
            calls = strace.calls(trace.read_text(errors="replace"))
        self.clean[command] = clean
        return [
            Case(command, call, fault, number)
            for call, numbers in injection_points(calls).items()
            for fault in [*strace.errors_of(call), strace.DELAY]
            for number in numbers
        ]

    def judge(self, case):
        """Runs a case, and the command again where it failed."""
        command = case.command
        with self.prepared(command) as (work, trace, mark):
            injection = strace.injection(trace, case.call, case.fault, case.number)
            ended = run([*injection, *command.argv(self.binary)], work, mark, GUARD_S)
            kill_survivors(mark)
            if not trace.exists():
                raise RuntimeError(f"{case.name()}: no trace: {ended}")
            text = trace.read_text(errors="replace")
            verdict = rules.judge(command, self.clean[command], work, ended, text)
            if ended.status > 0 and not verdict.broken:
                hit = [call for call in strace.calls(text) if call.injected]
                verdict.broken += self.recover(command, work, mark, rules.may_remain(hit, ended))
            return verdict, ended

    def recover(self, command, work, mark, may_remain):
        """After a failure, the command must succeed as it does without a fault."""
        again, clean = command.again(), self.clean[command]
        ended = run(again.argv(self.binary), work, mark, GUARD_S)
        if ended.status != 0:
            return [f"can't be repeated: exit status {ended.status}: {ended.stderr}"]
        seen, broken = rules.observe_or_error(command, work, ended, clean.before)
        broken = broken or rules.differences(clean, seen, may_remain)
        return [f"repeated: {it}" for it in broken]


def injection_points(calls):
    """Where each distinct call is made to fail: the first, a middle and the last time that the
    main thread makes it, and that others make it, counted as strace counts."""
    made = defaultdict(list)
    for call in calls:
        # One that is newer than strace can't be injected into.
        if not call.name.startswith("syscall_"):
            made[call.name, call.leader].append(call.number)
    found = defaultdict(set)
    for (name, _), numbers in made.items():
        found[name] |= {numbers[0], numbers[len(numbers) // 2], numbers[-1]}
    return {name: sorted(numbers) for name, numbers in sorted(found.items())}


def sampled(cases, number, seed):
    """A part of the cases, the same for each seed."""
    return random.Random(seed).sample(cases, min(number, len(cases)))


def run_all(campaign, cases, jobs, report):
    """Runs at most `jobs` cases concurrently."""
    with ThreadPoolExecutor(jobs) as pool:
        done = []
        for case, outcome in zip(cases, pool.map(campaign.judge, cases)):
            done.append((case, report(case, *outcome)))
            if len(done) % 1000 == 0:
                print(f"{len(done)} of {len(cases)}", flush=True)
        return done


def show_violation(case, verdict, ended):
    """Prints what a run has broken, and how to see it again."""
    if verdict.broken:
        injection = strace.injection("TRACE", case.call, case.fault, case.number)
        print(f"VIOLATION {case.name()}", flush=True)
        for sentence in verdict.broken:
            print(f"    {sentence}")
        print(f"    exit status {ended.status}: {ended.stderr.strip()[-500:]}")
        print(f"    {shlex.join(injection)} wbench {case.command.arguments}", flush=True)
    return verdict


def table(verdicts):
    """The counts of outcomes, a line for each group of commands, in Markdown."""
    rows = {}
    for case, verdict in verdicts:
        row = rows.setdefault(case.command.group(), Counter())
        row["runs"] += 1
        row[verdict.outcome] += 1
        row["delays" if case.fault == strace.DELAY else "errors"] += 1
        row["violations"] += bool(verdict.broken)
    columns = ["runs", "errors", "delays", *rules.OUTCOMES, "violations"]
    rows["all"] = sum(rows.values(), Counter())
    lines = ["| command | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(str(row[it]) for it in columns) + " |")
    return "\n".join(lines)


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--sample", type=int, help="run this many cases, drawn by the seed")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample [default: 1]")
    parser.add_argument("--only", default="", help="commands whose name contains this")
    parser.add_argument("--call", help="faults in this system call alone")
    jobs = os.cpu_count() + 1
    parser.add_argument("--jobs", type=int, default=jobs, help="runs at a time [default: CPUs + 1]")
    return parser.parse_args()


def main():
    args = parse_arguments()
    with directory_in(args.dir, "faults-") as base:
        campaign = Campaign(args.binary, base)
        commands = [command for command in COMMANDS if args.only in command.name]
        with ThreadPoolExecutor(args.jobs) as pool:
            cases = [case for found in pool.map(campaign.record, commands) for case in found]
        cases = [case for case in cases if args.call in (None, case.call)]
        total = len(cases)
        if args.sample is not None:
            cases = sampled(cases, args.sample, args.seed)
        print(f"{len(cases)} of {total} cases, seed {args.seed}", flush=True)
        delayed = [case for case in cases if case.fault == strace.DELAY]
        failing = [case for case in cases if case.fault != strace.DELAY]
        verdicts = run_all(campaign, failing, args.jobs, show_violation)
        # A delayed run mostly waits.
        verdicts += run_all(campaign, delayed, 4 * args.jobs, show_violation)
    print(describe_system(args))
    print(table(verdicts))
    return 1 if any(verdict.broken for _, verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
