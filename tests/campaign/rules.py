"""The rules for a run with an injected fault."""

import json
import re
from dataclasses import dataclass

from running import tree
from strace import CRASH, PROCESS_START, PROGRAM, THREAD_START, calls

# The counts of a run, which are the same in each.
COUNTS = ["events", "bytes_read", "bytes_written", "reads", "writes", "fsyncs"]

# Lines of a sysbench report that are the same in each run, without its times.
REPORT_COUNTS = re.compile(
    r"Operations performed:[^(\n]*|[\d.]+ MB transferred|total number of events: .*|"
    r"Read \S+  Written \S+  Total transferred \S+|Number of .*|\d+ files, .*|\S+ total file size"
)

REMOVAL = {"unlink", "unlinkat", "rmdir"}


class Violation(Exception):
    """A result that contradicts itself or the clean run."""


@dataclass(frozen=True)
class Observation:
    """What must be the same in every run that ends with exit status 0."""

    results: list
    host: dict
    stdout: str
    tree: dict
    before: dict  # the tree before the run


def results_in(text):
    """The results in a document: one, or an array."""
    document = json.loads(text)
    return document if isinstance(document, list) else [document]


def document_of(command, directory, ended):
    """The text of a command's result; None where there is none."""
    if command.result is None:
        return None
    if command.result == "-":
        return ended.stdout or None
    path = directory / command.result
    return path.read_text() if path.exists() else None


def observe(command, directory, ended, before):
    """The observation of a run that ended with exit status 0."""
    text = document_of(command, directory, ended)
    results = [] if text is None else results_in(text)
    if command.result and not results:
        raise Violation("exit status 0 without a result")
    return Observation(
        results=sorted((_counted(result) for result in results), key=json.dumps),
        host=_host(results),
        stdout=_stdout(command, ended.stdout),
        tree=tree(directory),
        before=before,
    )


def observe_or_error(command, directory, ended, before):
    """The observation of a run, or what is wrong with its result."""
    try:
        return observe(command, directory, ended, before), []
    except (Violation, ValueError, KeyError, TypeError) as error:
        return None, [f"result: {type(error).__name__}: {error}"]


def _stdout(command, text):
    if command.stdout == "same":
        return text
    if command.stdout == "counts":
        return "\n".join(REPORT_COUNTS.findall(text))
    return ""


def _counted(result):
    """What a result says of the work that was done."""
    if result["schema"].startswith("wbench.env/"):
        return {"schema": result["schema"], "keys": sorted(result)}
    totals = result["totals"]
    if totals["events"] != sum(thread["events"] for thread in result["threads"]):
        raise Violation("the events of the threads are not those of the totals")
    if result["status"] == "complete":
        rate = totals["events"] / totals["wall_s"]
        if abs(result["rates"]["events_per_s"] - rate) > rate * 1e-6:
            raise Violation("the rate is not events by time")
        if (result["error"] is not None) or not result["latency_ns"]["histogram"]:
            raise Violation("a complete result with an error or without latencies")
    same = ["schema", "suite", "labels", "workload", "status", "ended_by", "error"]
    launch = dict(result["launch"] or {})
    launch.pop("host", None)
    return {
        **{key: result[key] for key in same},
        "launch": launch,
        "keys": sorted(result),
        "threads": len(result["threads"]),
        "totals": {key: totals[key] for key in COUNTS},
    }


def _host(results):
    """What was found out of the machine, by the field's path."""
    found = {}
    # strace itself installs a filter.
    of_strace = {"host.confinement.seccomp", "host.confinement.seccomp_filters"}
    for result in results:
        _leaves("host", result["host"], found)
        # Of the process that launched it.
        _leaves("host", (result.get("launch") or {}).get("host"), found)
        storage = dict(result["storage"] or {})
        storage.pop("path", None)
        # A property of the time of the run, not of the machine.
        storage.pop("page_cache", None)
        _leaves("storage", storage, found)
    return {path: values for path, values in found.items() if path not in of_strace}


# The filter that `strace --seccomp-bpf` installs.
STRACE_FILTER = {"host.confinement.seccomp", "host.confinement.seccomp_filters"}


def _leaves(path, value, found):
    if path in STRACE_FILTER:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            _leaves(f"{path}.{key}", inner, found)
    else:
        found.setdefault(path, set()).add(tuple(value) if isinstance(value, list) else value)


def may_remain(hit, ended):
    """Whether files may stay: removing them failed, or telling whose they are, and it says so."""
    return "was not removed" in ended.stderr or any(
        call.name in REMOVAL or (call.name == "newfstatat" and '"test_file.' in call.text)
        for call in hit
    )


def differences(clean, seen, may_remain=False):
    """What of a run is not as in the clean run."""
    found = []
    for name in ["results", "stdout"] if may_remain else ["results", "stdout", "tree"]:
        if getattr(clean, name) != getattr(seen, name):
            found.append(f"{name}: {_first_difference(getattr(clean, name), getattr(seen, name))}")
    for path, values in seen.host.items():
        # What could not be found out is null.
        wrong = values - clean.host.get(path, set()) - {None}
        if wrong:
            found.append(f"{path} is {wrong}, not {clean.host.get(path)}")
    return found


def _first_difference(clean, seen):
    clean, seen = (
        [f"{key} {value}" for key, value in it.items()]
        if isinstance(it, dict)
        else it.splitlines()
        if isinstance(it, str)
        else [json.dumps(one) for one in it]
        for it in (clean, seen)
    )
    missing = [line for line in clean if line not in seen][:2]
    added = [line for line in seen if line not in clean][:2]
    return f"{missing} became {added}"[:600]


@dataclass
class Verdict:
    """What a run came to: a column of the table, and the rules that it broke."""

    outcome: str
    broken: list


# The columns of the table.
SAME = "as without"
FAILED = "error"
START = "in start-up"
UNREACHED = "not reached"
OUTCOMES = [SAME, FAILED, START, UNREACHED]


def judge(command, clean, directory, ended, trace):
    """Applies the rules to a run with a fault."""
    hit = [call for call in calls(trace) if call.injected]
    phases = {call.phase for call in hit}
    crash = _crash(ended, trace)
    if ended.hung:
        return Verdict(FAILED, ["hangs"])
    if crash and phases & {PROCESS_START, THREAD_START}:
        return Verdict(START, _left(command, clean, directory, ended, hit))
    if ended.status != 0 and phases == {PROCESS_START}:
        return Verdict(START, _left(command, clean, directory, ended, hit))
    if ended.status == 0:
        outcome = SAME if hit else UNREACHED
        # What a reader that went away did not read is missing in the output alone.
        unread = any(call.text.startswith("write(1,") and "EPIPE" in call.text for call in hit)
        seen, broken = observe_or_error(command, directory, ended, clean.before)
        broken = [] if unread else broken or differences(clean, seen, may_remain(hit, ended))
        broken += _left(command, clean, directory, ended, hit)
    else:
        outcome = FAILED
        broken = _failure(command, clean, directory, ended, hit)
    return Verdict(outcome, broken + ([crash] if crash else []))


def _crash(ended, trace):
    if "panicked at" in ended.stderr + ended.stdout:
        return "panics: " + re.search(r"panicked at.*\n?.*", ended.stderr + ended.stdout)[0]
    if CRASH.search(trace):
        return f"is killed by {CRASH.search(trace)[1]}"
    if ended.status < 0 and not ended.hung:
        return f"is killed by signal {-ended.status}"
    return None


def _failure(command, clean, directory, ended, hit):
    """The rules of a run that ends with an error."""
    broken = []
    if ended.status > 0 and ended.status not in command.statuses and _in_program(hit):
        broken.append(f"exit status {ended.status}")
    to_stderr = any(call.text.startswith("write(2,") for call in hit)
    if not ended.stderr.strip() and not to_stderr and _in_program(hit):
        broken.append("fails without a message")
    try:
        text = document_of(command, directory, ended)
        for result in [] if text is None else results_in(text):
            broken += _kept(clean, result)
    except (Violation, ValueError, KeyError, TypeError) as error:
        broken.append(f"result: {type(error).__name__}: {error}")
    return broken + _left(command, clean, directory, ended, hit)


def _in_program(hit):
    return any(call.phase == PROGRAM for call in hit)


def _kept(clean, result):
    """The rules of a result of a run that failed."""
    if result["schema"].startswith("wbench.env/"):
        return []
    counted = _counted(result)
    if result["status"] == "complete":
        return [] if counted in clean.results else [f"a complete result with {counted['totals']}"]
    return [] if result["error"] else [f"a {result['status']} result without an error"]


def _left(command, clean, directory, ended, hit):
    """What a failed run left that it should not have left."""
    allowed = {*clean.tree, *clean.before, command.result}
    if command.journal:
        allowed.add(f"{command.result}.partial")
    broken = []
    for name in tree(directory):
        if name in allowed:
            continue
        base = name.rsplit("/", 1)[-1]
        named = base in ended.stderr or any(part in ended.stderr for part in name.split("/"))
        if not (named and may_remain(hit, ended)):
            broken.append(f"leaves {name}" + (" (named)" if named else ""))
    return broken
