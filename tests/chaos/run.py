"""One run of the program behind a relay, with what strikes it, watched to its end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.chaos.faults import Action, Fault
from tests.chaos.relay import Link, Relay, Trigger, Way
from tests.chaos.runners import Ended, Runner
from tests.chaos.stage import Stage

LIMIT: Final = 90.0
"""Seconds after which a runner is taken to be stuck; no fault lasts for two."""
_COMMIT: Final = {Way.REQUEST: b"\0commit\0", Way.ANSWER: b"COMMIT\0"}
_OPTIONS: Final = (
    "--output", "json", "--wait-lock", "20s", "--connect-timeout", "10s", "--lock-timeout", "300ms",
)  # fmt: skip
_LOOK_AFTER: Final = (0.005, 0.06)
"""Seconds between two looks at the database, at least and at most."""


@dataclass(slots=True)
class Attempt:
    """One run with its faults, and how it ended."""

    command: tuple[str, ...]
    is_one_transaction: bool = False
    """All its files are one transaction."""
    faults: tuple[str, ...] = ()
    struck: int = 0
    """How many of the faults found the run at work."""
    ended: str = ""
    """Outcome and failure's code, or the exit code."""
    seconds: float = 0.0
    in_doubt: bool = False
    """An answer to COMMIT was lost, and it was settled what became of it."""


class Run:
    """Made for one run.

    Args:
        attempt: what is run; how it ended is written there.
        folder: where the runners' output goes; it must be new.
        faults: what strikes it.
        random: for what is left to chance while it runs.
        look: looks at the database and judges it; called again and again.
    """

    def __init__(  # noqa: PLR0917 -- all that a run needs
        self,
        stage: Stage,
        attempt: Attempt,
        folder: Path,
        faults: tuple[Fault, ...],
        random: Random,
        look: Callable[[], object],
    ) -> None:
        self.stage = stage
        self.attempt = attempt
        self.folder = folder
        self.random = random
        self.look = look
        self.relay = Relay(stage.server.port)
        self.runners: list[Runner] = []
        self.ended: list[Ended] = []
        self.stuck = ""
        """Where a runner stood that did not end."""
        self._timers: list[threading.Timer] = []
        self._started = threading.Event()
        self._timed: list[tuple[float, Fault]] = []
        clocks = [fault for fault in faults if fault.action is Action.CLOCK]
        self._clock = random.choice(("+1h", "-1h", "+1d")) if clocks else None
        for fault in faults:
            if fault.action is Action.CLOCK:
                self.attempt.struck += 1
            elif fault.instant.way is None:
                self._timed.append((fault.instant.seconds, fault))
            else:
                self.relay.triggers.append(self._trigger(fault))

    def _trigger(self, fault: Fault) -> Trigger:
        instant = fault.instant
        assert instant.way is not None
        return Trigger(
            instant.way,
            lambda link: self._strike(fault, link),
            at_byte=instant.at_byte,
            word=_COMMIT[instant.way] if instant.commit else b"",
            nth=instant.commit,
            behind=instant.behind,
        )

    def run(self) -> None:
        """To its end, or to its limit."""
        self._start(self.relay.port, self._clock)
        self._started.set()
        began = time.monotonic()
        self._timed.sort(key=lambda each: each[0])
        look_at = 0.0
        while self.stage.is_down or not all(runner.is_over() for runner in self.runners):
            now = time.monotonic() - began
            if now > LIMIT:
                self.stuck = self._where_it_stands()
                break
            self.stage.tend()
            while self._timed and self._timed[0][0] <= now:
                self._strike(self._timed.pop(0)[1], None)
            if now >= look_at and not self.stage.is_down:
                self.look()
                look_at = time.monotonic() - began + self.random.uniform(*_LOOK_AFTER)
            pause = self._timed[0][0] - now if self._timed else 0.01
            at_work = next((each for each in self.runners if not each.is_over()), None)
            if at_work is not None:
                at_work.is_over(max(min(pause, 0.01), 0.0))
            else:  # all wait for the server alone
                time.sleep(0.002)
        self.attempt.seconds = time.monotonic() - began
        self.ended = [runner.ended() for runner in self.runners if runner.is_over()]
        self._tell()

    def _where_it_stands(self) -> str:
        runner = next(each for each in self.runners if not each.is_over())
        runner.signal(signal.SIGUSR2)
        time.sleep(0.2)
        with self.stage.connect() as connection:
            sessions = connection.execute(
                "select pid, state, wait_event, left(query, 60) from pg_stat_activity"
                " where datname = current_database()"
            ).fetchall()
        said = runner.said()
        return (
            f"a runner did not end within {LIMIT:g} s; relay: {self.relay.failure}; "
            f"{self.stage.is_down=}; sessions: {sessions}\n{said}"
        )

    def close(self) -> None:
        """End what is left of it."""
        for timer in self._timers:
            timer.cancel()
        for runner in self.runners:
            runner.signal(signal.SIGKILL)
            runner.is_over(5.0)
        self.relay.close()

    def _start(self, port: int, clock: str | None) -> None:
        uri = f"postgresql://postgres@127.0.0.1:{port}/{self.stage.name}"
        source = ("--database", uri, "--source", str(self.stage.folder))
        keep = () if self.stage.keep or self.attempt.command == ("up",) else ("--keep-data", "off")
        together = ("--transaction", "all") if self.attempt.is_one_transaction else ()
        arguments = [*self.attempt.command, *keep, *together, *_OPTIONS, *source]
        folder = self.folder / str(len(self.runners))
        self.runners.append(Runner(arguments, folder, clock))

    def _tell(self) -> None:
        if not self.ended:
            return
        result = self.ended[0].result
        if result is None:
            self.attempt.ended = f"exit code {self.ended[0].code}"
        else:
            code = result.get("failure", {}).get("code")
            self.attempt.ended = result["outcome"] + (f"/{code}" if code else "")
        self.attempt.in_doubt = any(each.warned("answer to COMMIT was lost") for each in self.ended)

    def _strike(self, fault: Fault, link: Link | None) -> None:
        self._started.wait(5.0)
        runner = self.runners[0]
        self.attempt.struck += not runner.is_over()
        strikes: dict[Action, Callable[[], None]] = {
            Action.KILL: lambda: runner.signal(signal.SIGKILL),
            Action.SIGTERM: lambda: runner.signal(signal.SIGTERM),
            Action.SIGINT: lambda: runner.signal(signal.SIGINT),
            Action.PAUSE: lambda: self._pause(runner, fault.seconds),
            Action.TERMINATE: self.stage.terminate,
            Action.CANCEL: self.stage.cancel,
            Action.KILL_BACKEND: self.stage.kill_backends,
            Action.CRASH: lambda: self.stage.stop_server(signal.SIGQUIT, fault.seconds),
            Action.SHUTDOWN: lambda: self.stage.stop_server(signal.SIGINT, fault.seconds),
            Action.CUT: lambda: self._cut(fault, link),
            Action.REFUSE: lambda: self._refuse(fault, link),
            Action.RACE: lambda: self._race(fault.count),
            Action.THIEF: lambda: self.stage.steal_lock(fault.seconds),
            Action.BLOCKER: lambda: self.stage.block(fault.seconds),
            Action.READER: lambda: self.stage.read(fault.seconds),
            Action.EDIT: lambda: self.stage.edit(self.random, fault.count),
        }
        strikes[fault.action]()

    def _pause(self, runner: Runner, seconds: float) -> None:
        runner.signal(signal.SIGSTOP)
        timer = threading.Timer(seconds, runner.signal, [signal.SIGCONT])
        self._timers.append(timer)
        timer.start()

    def _cut(self, fault: Fault, link: Link | None) -> None:
        self.relay.lateness = fault.seconds
        if link is None:
            self.relay.cut_newest(fault.how)
        else:
            self.relay.cut(link, fault.how)

    def _refuse(self, fault: Fault, link: Link | None) -> None:
        self.relay.refusing_until = time.monotonic() + fault.seconds
        self._cut(fault, link)

    def _race(self, count: int) -> None:
        for _ in range(count):
            self._start(self.stage.server.port, None)
