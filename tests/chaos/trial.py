"""One trial: a random source, runs with random faults, then a run without any; all is judged."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import psycopg

from tests.chaos.beside import make_repeatables, make_verification
from tests.chaos.claims import check_claims, check_undone, undone
from tests.chaos.faults import Action, Fault, Scale, draw_faults
from tests.chaos.judging import Kind, Snapshot, Violation, judge, leftovers, sessions, unfinished
from tests.chaos.run import Attempt, Run
from tests.chaos.runners import CLOCKS
from tests.chaos.sources import FORWARD, ROLLBACK, File, make_source
from tests.chaos.stage import Stage
from tests.postgres.servers import Server

_GONE_WITHIN: Final = 12.0
"""Seconds in which the server process of a dead runner must notice it."""
_SHARE_KEEPING: Final = 0.6
_SHARE_TOGETHER: Final = 0.3
_IMPOSSIBLE: Final = frozenset() if CLOCKS else frozenset({Action.CLOCK})


@dataclass(slots=True)
class Trial:
    """What one trial found."""

    seed: int
    major: int
    attempts: list[Attempt] = field(default_factory=list)
    observations: int = 0
    violations: list[Violation] = field(default_factory=list)
    seconds: float = 0.0


def run_trial(seed: int, server: Server, keep: Path | None = None) -> Trial:
    """Run a trial.

    Args:
        seed: decides all that is left to chance, but for what the machine's clocks do.
        server: is stopped and started meanwhile; nobody else may use it.
        keep: where the runners' output and the source are kept when something is wrong.
    """
    trial = Trial(seed, server.major)
    folder = Path(tempfile.mkdtemp(prefix="dbmigrate-chaos-", dir=server.folder))
    began = time.monotonic()
    random = Random(seed)
    stage = Stage(server, folder, f"chaos_{seed}", keep=random.random() < _SHARE_KEEPING)
    try:
        _Running(trial, stage, folder, random).run()
    finally:
        stage.close()
        trial.seconds = time.monotonic() - began
        if trial.violations and keep is not None:
            shutil.copytree(folder, keep / str(seed), dirs_exist_ok=True)
        shutil.rmtree(folder)
    return trial


class _Running:
    """A trial at work."""

    def __init__(self, trial: Trial, stage: Stage, folder: Path, random: Random) -> None:
        self.trial = trial
        self.stage = stage
        self.folder = folder
        self.random = random

    def run(self) -> None:
        for migration in make_source(self.random, keep=self.stage.keep):
            self.stage.put(migration)
            verification = make_verification(self.random, migration.version)
            if verification is not None:
                self.stage.put_verification(migration.version, verification)
        for file in make_repeatables(self.random):
            self.stage.put_repeatable(file)
        for number in range(self.random.choice((1, 1, 2, 3))):
            # What is drawn depends on what the faults have left: each round has its own numbers.
            self.random = Random(f"{self.trial.seed}/{number}")
            snapshot = self.see()
            live = set(snapshot.live) if snapshot else set()
            command = self._command(live, self._unfinished(snapshot))
            steps = self._steps(live, self._wanted(command))
            attempt = Attempt(
                command,
                is_one_transaction=self.random.random() < _SHARE_TOGETHER
                and not any(file.is_in_parts for file in steps),
            )
            scale = self._measure(steps, is_first=not live)
            self._attempt(attempt, draw_faults(self.random, scale, _IMPOSSIBLE))
            if self.trial.violations:
                return
        self._finish()

    def _unfinished(self, snapshot: Snapshot | None) -> File | None:
        return unfinished(snapshot, self.stage.files) if snapshot else None

    def _command(self, live: set[str], begun: File | None) -> tuple[str, ...]:
        if begun is not None:  # another way is refused, until it is finished
            return ("up",) if begun.direction == FORWARD else ("to", "0")
        if self.random.random() < (0.8 if live != set(self.stage.current) else 0.1):
            return ("up",)
        return ("to", self.random.choice(["0", *self.stage.current]))

    def _steps(self, live: set[str], wanted: set[str]) -> list[File]:
        migrations = (self.stage.current[each] for each in live ^ wanted)
        return [each.forward if each.version in wanted else each.rollback for each in migrations]

    def _measure(self, steps: list[File], *, is_first: bool) -> Scale:
        """About how much the run will be, by what was measured of others."""
        texts = sum(len(file.sql) for file in steps)
        return Scale(
            seconds=0.04 + 0.02 * len(steps),
            requests=5000 + 6000 * is_first + 4000 * len(steps) + 2 * texts,
            answers=5000 + 2500 * is_first + 350 * len(self.stage.current) + 1150 * len(steps),
            commits=max(len(steps), 1) + is_first,
        )

    def _attempt(self, attempt: Attempt, faults: tuple[Fault, ...]) -> None:
        attempt.faults = tuple(map(str, faults))
        self.trial.attempts.append(attempt)
        wanted = self._wanted(attempt.command) if not _has(faults, Action.EDIT) else None
        with self.stage.calmed():
            run = self._run(attempt, faults)
            snapshot = self.see()
        is_first = len(self.trial.attempts) == 1  # nothing of another run is under way
        if attempt.is_one_transaction and is_first and snapshot and wanted is not None:
            live = set(snapshot.live)
            if live not in (set(), wanted):
                self.wrong(Kind.HALF, f"of one transaction there is {sorted(live)} alone")
        self._judge_claims(run, faults, wanted, snapshot)
        if _has(faults, Action.EDIT):
            with self.stage.connect() as connection:
                _wait_for_sessions(connection)  # what they still commit is to be known
            last = self.see()
            if last is not None:
                self.stage.mend(last)

    def _run(self, attempt: Attempt, faults: tuple[Fault, ...]) -> Run:
        folder = self.folder / f"run-{len(self.trial.attempts)}"
        run = Run(self.stage, attempt, folder, faults, self.random, self.see)
        try:
            run.run()
        finally:
            run.close()
        if run.stuck:
            self.wrong(Kind.STUCK, run.stuck)
        return run

    def _wanted(self, command: tuple[str, ...]) -> set[str]:
        if command == ("up",):
            return set(self.stage.current)
        target = _key(command[1])
        return {version for version in self.stage.current if _key(version) <= target}

    def _judge_claims(
        self, run: Run, faults: tuple[Fault, ...], wanted: set[str] | None, before: Snapshot | None
    ) -> None:
        snapshot = self.see()
        if snapshot is None:
            return
        actions = {fault.action for fault in faults}
        is_alone = len(run.ended) == 1 and before is not None and before == snapshot
        for ended in run.ended:
            found = check_claims(ended, snapshot, actions, wanted, is_alone=is_alone)
            self.trial.violations += found
        if len(run.ended) == 1 and undone(run.ended[0]) is not None:
            with self.stage.connect() as connection:
                _wait_for_sessions(connection)
            later = self.see()
            if later is not None:
                self.trial.violations += check_undone(run.ended[0], later)

    def _finish(self) -> None:
        """The next run carries on by itself, at its first try."""
        begun = self._unfinished(self.see())
        if begun is not None and begun.direction == ROLLBACK:
            self._succeed(("to", "0"))
        if not self.trial.violations:
            self._succeed(("up",))
        if not self.trial.violations:
            with self.stage.connect() as connection:
                _wait_for_sessions(connection)
                self.trial.violations += leftovers(connection)

    def _succeed(self, command: tuple[str, ...]) -> None:
        attempt = Attempt(command)
        self.trial.attempts.append(attempt)
        wanted = self._wanted(command)
        run = self._run(attempt, ())
        if attempt.ended == "Succeeded":
            snapshot = self.see()
            self._judge_claims(run, (), wanted, snapshot)
            if command == ("up",) and snapshot is not None:
                due = [
                    path
                    for path, file in self.stage.repeatables.items()
                    if snapshot.repeatables.get(path) != file.checksum
                ]
                if due:
                    self.wrong(Kind.LOST, f"not run as they are now: {due}")
        else:
            detail = run.ended[0].out[-1500:] if run.ended else ""
            text = f"without any fault: {attempt.ended} after {attempt.seconds:.1f} s: {detail}"
            self.wrong(Kind.STUCK, text)

    def see(self) -> Snapshot | None:
        """Look at the database, and judge it."""
        snapshot = self.stage.look()
        if snapshot is not None:
            self.trial.observations += 1
            if not self.trial.violations:
                self.trial.violations += judge(snapshot, self.stage.files, keep=self.stage.keep)
        return snapshot

    def wrong(self, kind: Kind, text: str) -> None:
        """Note what must not be."""
        self.trial.violations.append(Violation(kind, text))


def _wait_for_sessions(connection: psycopg.Connection) -> None:
    deadline = time.monotonic() + _GONE_WITHIN
    while sessions(connection) and time.monotonic() < deadline:
        time.sleep(0.01)


def _has(faults: tuple[Fault, ...], action: Action) -> bool:
    return any(fault.action is action for fault in faults)


def _key(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
