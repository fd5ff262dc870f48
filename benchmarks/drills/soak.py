"""All faults mixed, for minutes; what a worker takes must be what it took before."""

from __future__ import annotations

import signal
import sys
import time

from benchmarks.drills.crew import Crew, wait_until_gone
from benchmarks.drills.payloads import put_bad_payload
from benchmarks.drills.poisons import KINDS
from benchmarks.drills.trial import Trial
from benchmarks.fleet import strike

_LEASE = 5
#: How much more memory, and how many more files, are nothing to speak of.
_MORE_MEMORY, _MORE_FILES = 1.3, 4
#: From one fault to the next, in seconds.
_BETWEEN = (0.5, 4.0)
_SAY_EVERY = 60.0
_QUIET = 5.0
#: Without those that need a limit of memory, or outlive their worker by design.
_KINDS = [kind for kind in KINDS if kind not in ("memory", "process")]
_PREFIXES_OF_JOBS = ("rq:job:", "rq:results:", "rq:executions:")


def soak(trial: Trial, *, minutes: float) -> None:
    """Strike two workers and the store in all ways; a third one sees it all."""
    trial.lease = _LEASE
    trial.use_queues(4)
    trial.load.has_families = False  # RQ's own `enqueue` does not try again
    witness = trial.crew(host="witness")
    prey = [trial.crew(host=host) for host in ("one", "two")]
    trial.warm_up()
    trial.work(_QUIET)
    before = _taken(trial, witness)
    started = said = time.monotonic()
    while time.monotonic() < started + 60 * minutes:
        trial.dice.choice(_FAULTS)(trial, trial.dice.choice(prey))
        trial.work(trial.dice.uniform(*_BETWEEN))
        if time.monotonic() > said + _SAY_EVERY:
            said = time.monotonic()
            minute = (said - started) / 60
            sent = len(trial.load.sent)
            print(f"drill: minute {minute:.0f}, {sent} jobs", file=sys.stderr)
    trial.work(_QUIET)
    trial.wait_for_the_rest()
    time.sleep(_QUIET)
    _compare(trial, before, _taken(trial, witness))


def _taken(trial: Trial, crew: Crew) -> dict[str, float]:
    """Return what an idle worker takes, of this machine and of the store."""
    client = trial.server.client
    lasting = [
        key
        for key in client.scan_iter(count=1000)
        if not key.decode().startswith(_PREFIXES_OF_JOBS) and client.ttl(key) == -1
    ]
    return {
        "memory": max(process.memory_info().rss for process in crew.tree()),
        "files": max(process.num_fds() for process in crew.tree()),
        "keys": len(lasting),
        "connections": len(client.client_list()),
    }


def _compare(trial: Trial, before: dict[str, float], after: dict[str, float]) -> None:
    print(f"drill: before {before}, after {after}", file=sys.stderr)
    if after["memory"] > before["memory"] * _MORE_MEMORY:
        trial.problems.append(f"memory grew: {before} {after}")
    for name in ("files", "keys", "connections"):
        if after[name] > before[name] + _MORE_FILES:
            trial.problems.append(f"{name} grew: {before} {after}")


def _kill_child(trial: Trial, crew: Crew) -> None:
    chosen = crew.prey()[:1]
    trial.struck(strike(chosen, signal.SIGKILL))


def _kill_all(trial: Trial, crew: Crew) -> None:
    trial.kill(crew, crew.tree())


def _kill_parent(trial: Trial, crew: Crew) -> None:
    trial.kill(crew, crew.parents())


def _deploy(trial: Trial, crew: Crew) -> None:
    family, since = crew.tree(), time.monotonic()
    strike(crew.parents(), signal.SIGTERM)
    crew.codes(crew.setup.grace + 5.0)
    wait_until_gone(family, 10.0)
    trial.ended(family, since)


def _freeze(trial: Trial, crew: Crew) -> None:
    trial.freeze(crew, trial.dice.uniform(0.5, 2.0) * _LEASE)


def _stop_store(trial: Trial, _crew: Crew) -> None:
    number = trial.dice.choice((signal.SIGTERM, signal.SIGKILL))
    trial.stop_store(number, trial.dice.uniform(0.0, 2.0))


def _fill_store(trial: Trial, _crew: Crew) -> None:
    trial.fill_store(trial.dice.uniform(0.5, 2.0))


def _poison(trial: Trial, _crew: Crew) -> None:
    kind = trial.dice.choice(_KINDS)
    trial.load.send("poison", kind, fails=KINDS[kind])


def _bad_payload(trial: Trial, _crew: Crew) -> None:
    put_bad_payload(trial)


def _trap(trial: Trial, _crew: Crew) -> None:
    trial.load.send_as("work", trial.load.victim("in_task"))


_FAULTS = (
    *(_kill_child, _kill_all, _kill_parent, _deploy, _freeze),
    *(_stop_store, _fill_store, _poison, _bad_payload, _trap),
)
