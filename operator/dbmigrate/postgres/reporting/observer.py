"""Looks at the session that executes, from a second connection in a thread of its own.

The run's own connection is busy while a statement runs, and its thread waits for it. What
is seen is for telling only: no decision rests on it, and whatever goes wrong here (too many
connections, no rights) leaves the run as it is.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psycopg

from dbmigrate.errors import DbmigrateError
from dbmigrate.migrations.statements import Statement
from dbmigrate.postgres.reporting import blockers
from dbmigrate.postgres.reporting.blockers import Wait
from dbmigrate.postgres.reporting.statement_progress import SELECT, StatementProgress
from dbmigrate.postgres.server.session import ConnectionLostError, Session

_LONGEST_INTERVAL: Final = 2.0
_SHORTEST_INTERVAL: Final = 0.1
_FIRST_LOOK: Final = 1.0
"""Seconds; what is over by then is not looked at, and needs no second connection."""
_TICK: Final = 0.25
_TRY_AGAIN: Final = 30.0
"""Seconds after which a second connection is tried again that was not to be had."""
_PATIENCE_AT_END: Final = 3.0

_STATE: Final = """
    select a.wait_event_type = 'Lock' from pg_catalog.pg_stat_activity as a where a.pid = %s
"""


@dataclass(frozen=True, slots=True)
class Task:
    """What the observed session is at; a new value for each statement."""

    pid: int
    statement: Statement | None
    """None for the end of a file, when its row in the history is written."""
    since: float
    """By the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the session."""

    seconds: float
    """For how long it has been at its task."""
    wait: Wait | None = None
    progress: StatementProgress | None = None


class Observer:
    """One run's second connection, made when something first takes long.

    Args:
        connect: makes the connection; called in the observer's thread.
        task: what the session is at now; None when nothing is to be watched.
        tell: takes what was seen, in the observer's thread; the task may be over by then.
        lock_timeout: seconds that the session waits for a lock: it is looked at often
            enough to see who is in the way before that time is over. 0 is without end.
    """

    def __init__(
        self,
        connect: Callable[[], Session],
        task: Callable[[], Task | None],
        tell: Callable[[Task, Seen], None],
        lock_timeout: float,
    ) -> None:
        self._connect = connect
        self._task = task
        self._tell = tell
        self.expect(lock_timeout)
        self._session: Session | None = None
        self._try_at = 0.0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def expect(self, lock_timeout: float) -> None:
        """From now on the session waits for a lock for so many seconds."""
        half = lock_timeout / 2 if lock_timeout else _LONGEST_INTERVAL
        self._interval = max(_SHORTEST_INTERVAL, min(half, _LONGEST_INTERVAL))
        self._first = min(_FIRST_LOOK, self._interval)

    def start(self) -> None:
        """Begin to look, if not begun already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Look no more, and give the connection back; does not wait for a server that hangs."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE_AT_END)

    def _run(self) -> None:
        # Signals are the run's own thread's: it waits in calls that they must wake.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        looked = 0.0
        while not self._ended.wait(min(_TICK, self._interval / 2)):
            task, now = self._task(), time.monotonic()
            if task is None:
                continue
            due = task.since + self._first if looked < task.since else looked + self._interval
            if now >= due:
                looked = now
                self._tell(task, self._look(task))
        if self._session is not None:
            with contextlib.suppress(psycopg.Error):
                self._session.close()

    def _look(self, task: Task) -> Seen:
        wait = progress = None
        if time.monotonic() >= self._try_at:
            try:
                self._session = self._session or self._connect()
                wait, progress = _ask(self._session, task.pid)
            except (DbmigrateError, ConnectionLostError, psycopg.Error):
                self._try_at = time.monotonic() + _TRY_AGAIN
                self._drop()
        return Seen(time.monotonic() - task.since, wait, progress)

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(psycopg.Error):
                session.close()


def _ask(session: Session, pid: int) -> tuple[Wait | None, StatementProgress | None]:
    state = session.query(_STATE, [pid])
    wait = blockers.look(session, pid) if state and state[0][0] else None
    rows = session.query(SELECT, [pid])
    progress = StatementProgress(*rows[0][1:]) if rows else None
    return wait, progress
