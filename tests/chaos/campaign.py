"""Many trials, by some processes at once, each with servers of its own; and what they found."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.chaos.judging import Kind, Violation
from tests.chaos.trial import Trial, run_trial
from tests.postgres.servers import Server, binaries

VERSIONS: Final = (15, 16, 18)
_PATIENCE: Final = 300.0
"""Seconds without news of any trial, after which the campaign gives up."""


def version_of(seed: int) -> int:
    """The PostgreSQL that a seed is tried on."""
    return VERSIONS[seed % len(VERSIONS)]


class Servers:
    """One of each version, started when it is first needed."""

    def __init__(self) -> None:
        self._running: dict[int, Server] = {}

    def of(self, major: int) -> Server:
        """A running server.

        Raises:
            RuntimeError: the machine has no such version.
        """
        if major not in self._running:
            programs = binaries(major)
            if programs is None:
                raise RuntimeError(f"no PostgreSQL {major} on this machine")
            server = self._running[major] = Server(major, programs)
            server.create()
            server.start()
        return self._running[major]

    def close(self) -> None:
        """End them."""
        for server in self._running.values():
            server.destroy()


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    """Ended with the block."""
    running = Servers()
    try:
        yield running
    finally:
        running.close()


def one_after_another(seeds: Sequence[int], keep: Path | None) -> Iterator[Trial]:
    """Trials in this process."""
    with servers() as running:
        for seed in seeds:
            yield _try(seed, running, keep)


def _try(seed: int, running: Servers, keep: Path | None) -> Trial:
    try:
        return run_trial(seed, running.of(version_of(seed)), keep)
    except Exception:  # noqa: BLE001 -- a trial that fails itself is told as such
        text = f"the trial itself failed:\n{traceback.format_exc()}"
        return Trial(seed, version_of(seed), violations=[Violation(Kind.STUCK, text)])


def _work(tasks: Any, results: Any, keep: Path | None) -> None:
    parent = multiprocessing.parent_process()
    with servers() as running:
        while parent is not None and parent.is_alive():  # else it was killed
            try:
                seed = tasks.get(timeout=5)
            except queue.Empty:
                continue
            if seed is None:
                return
            results.put(_try(seed, running, keep))


def side_by_side(seeds: Sequence[int], jobs: int, keep: Path | None) -> Iterator[Trial]:
    """Trials by so many processes, in the order in which they end."""
    context = multiprocessing.get_context("spawn")
    tasks, results = context.Queue(), context.Queue()
    for seed in (*seeds, *[None] * jobs):
        tasks.put(seed)
    workers = [context.Process(target=_work, args=(tasks, results, keep)) for _ in range(jobs)]
    for each in workers:
        each.start()
    try:
        for _ in seeds:
            try:
                yield results.get(timeout=_PATIENCE)
            except queue.Empty:
                raise RuntimeError("no trial has ended for minutes") from None
    finally:
        for each in workers:
            each.terminate()
            each.join()


@dataclass(slots=True)
class Summary:
    """The figures of a campaign."""

    began: float = field(default_factory=time.monotonic)
    trials: Counter[int] = field(default_factory=Counter)
    """By version."""
    faults: Counter[str] = field(default_factory=Counter)
    """Those that found a run at work, by action."""
    ends: Counter[str] = field(default_factory=Counter)
    """How the runs with faults ended."""
    violations: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    struck: int = 0
    in_doubt: int = 0
    observations: int = 0
    seconds: float = 0.0
    wrong: list[dict[str, Any]] = field(default_factory=list)
    """The trials that found something, whole."""
    seeds: list[int] = field(default_factory=list)

    def add(self, trial: Trial) -> None:
        """Count one more."""
        self.seeds.append(trial.seed)
        self.trials[trial.major] += 1
        self.runs += len(trial.attempts)
        self.observations += trial.observations
        for attempt in trial.attempts:
            self.struck += attempt.struck
            self.in_doubt += attempt.in_doubt
            self.faults.update(fault.split()[0] for fault in attempt.faults)
            if attempt.faults:
                self.ends[attempt.ended] += 1
        self.violations.update({each.kind.value for each in trial.violations})
        if trial.violations:
            self.wrong.append(asdict(trial))
        self.seconds = time.monotonic() - self.began

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {
            "seeds": {"first": min(self.seeds), "last": max(self.seeds)},
            "trials": {f"PostgreSQL {major}": n for major, n in sorted(self.trials.items())},
            "violations": {kind.value: self.violations[kind.value] for kind in Kind},
            "runs": self.runs,
            "faultsThatFoundARunAtWork": self.struck,
            "answersToCommitLost": self.in_doubt,
            "looks": self.observations,
            "seconds": round(self.seconds, 1),
            "faults": dict(self.faults.most_common()),
            "ends": dict(self.ends.most_common()),
            "wrong": self.wrong,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        number = len(self.seeds)
        versions = ", ".join(f"PostgreSQL {each}: {n}" for each, n in sorted(self.trials.items()))
        rate = number / self.seconds if self.seconds else 0
        yield f"{number} trials in {self.seconds:.0f} s ({rate:.1f} a second); {versions}"
        yield (
            f"{self.runs} runs, {self.struck} faults that found one at work, {self.in_doubt} "
            f"answers to COMMIT lost, {self.observations} looks at the database"
        )
        yield "  ".join(f"{kind.value} {self.violations[kind.value]}" for kind in Kind)
