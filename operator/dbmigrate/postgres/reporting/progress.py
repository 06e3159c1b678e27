"""What a run tells its reader while it works; nothing is decided here.

Quick statements are not told one by one. One that takes longer is, with how far the server
is, and when it waits for others, so are they: an `Observer` looks at the session from aside,
since the run's own connection is busy. Two threads tell, so each event is told under a lock.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import psycopg

from dbmigrate.api.report.events import EventName, LockHolder, Notice
from dbmigrate.api.report.history import MigrationRecord
from dbmigrate.api.report.kept import KeptData
from dbmigrate.postgres.reporting import blockers
from dbmigrate.postgres.reporting.observer import Observer, Seen, Task
from dbmigrate.postgres.reporting.pace import Pace
from dbmigrate.postgres.server.session import Session

if TYPE_CHECKING:
    from dbmigrate.migrations.files import SourceFile
    from dbmigrate.migrations.statements import Statement
    from dbmigrate.postgres.reporting.blockers import Wait

_TELL_STATEMENT_EVERY: Final = 1.0
_NOTICES: Final = 100
"""Of one file that are told; a loop may raise millions."""
_NOTICE: Final = 1000
"""Characters of one."""
_QUERY: Final = 200


class Reporter(Protocol):
    """Takes what a run tells."""

    def emit(self, event: EventName, **data: object) -> None:
        """One event; its keys are those of `EventName`'s documentation."""


class Progress:
    """The telling of one run.

    Args:
        reporter: takes the events; called by one thread at a time.
        second_session: makes the observer's connection, in the observer's thread.
        lock_timeout: seconds that the run's session waits for a lock; 0 is without end.
        tell_all: every statement is told (for debugging).
    """

    def __init__(
        self,
        reporter: Reporter,
        second_session: Callable[[], Session],
        *,
        lock_timeout: float,
        tell_all: bool,
    ) -> None:
        self.reporter = reporter
        self.tell_all = tell_all
        self.blockers_seen: tuple[LockHolder, ...] = ()
        """Who was last seen in the way of the file that runs, in its present try."""
        self._observer = Observer(second_session, lambda: self._task, self._seen, lock_timeout)
        self._mutex = threading.RLock()
        self._task: Task | None = None
        self._file: SourceFile | None = None
        self._of = 0
        self._pid = 0
        self._told = 0.0
        self._runs = Pace(shortest=2.0, longest=10.0, share=0.05)
        self._waits = Pace(shortest=5.0, longest=60.0, share=0.5)
        self._notices = 0
        self.notices: list[Notice] = []
        """What the server has said while the file ran, the first of it."""
        self._committed = 0
        self._is_quiet = False

    def file_started(  # noqa: PLR0913, PLR0917 -- what is told of a file
        self,
        file: SourceFile,
        pid: int,
        number: int,
        of: int,
        statements: int,
        lock_timeout: float,
    ) -> None:
        """A file begins.

        Args:
            file: it.
            pid: the server process that runs it.
            number: which of the run's files it is, from 1.
            of: how many these are.
            statements: how many it has.
            lock_timeout: seconds that it waits for a lock; 0 is without end.
        """
        self._observer.expect(lock_timeout)
        with self._mutex:
            self._file, self._pid, self._of = file, pid, statements
            self._task, self.blockers_seen = None, ()
            self._told = time.monotonic()
            self._runs.forget()
            self._waits.forget()
            self._notices = self._committed = 0
            self.notices = []
            self._emit(
                EventName.MIGRATION_STARTED,
                version=file.version_text,
                file=file.file,
                direction=file.direction.value,
                number=number,
                of=of,
            )
        self._observer.start()

    def file_completed(self, record: MigrationRecord, number: int, of: int) -> None:
        """A file is committed."""
        with self._mutex:
            self._file = self._task = None
            self._emit(EventName.MIGRATION_COMPLETED, migration=record, number=number, of=of)

    def statement(self, statement: Statement) -> None:
        """A statement was reached."""
        now = time.monotonic()
        if statement.number == 1:
            self.blockers_seen = ()
        self._task = Task(self._pid, statement, now)
        if self.tell_all or now - self._told >= _TELL_STATEMENT_EVERY:
            with self._mutex:
                self._tell_statement(statement, Seen(0.0))

    def committed(self) -> None:
        """What has run of the file is committed, and what the server said of it holds."""
        self._committed = len(self.notices)

    def tried_again(self) -> None:
        """What was not committed was undone, and what was said meanwhile is no more."""
        del self.notices[self._committed :]

    def ending(self) -> None:
        """All statements of the file are done; its row in the history is written."""
        self._task = Task(self._pid, None, time.monotonic())

    def idle(self) -> None:
        """No statement of a file runs: there is nothing to look at."""
        with self._mutex:
            self._task = None

    def _seen(self, task: Task, seen: Seen) -> None:
        """In the observer's thread: what it saw of a statement, which may be over by now."""
        with self._mutex:
            if task is not self._task:
                return
            now = time.monotonic()
            if seen.wait is None:
                self._waits.forget()
                if task.statement and self._runs.is_due(task, seen.seconds, now):
                    self._tell_statement(task.statement, seen)
                return
            self._runs.forget()
            holders = seen.wait.holders
            self.blockers_seen = holders or self.blockers_seen
            about = frozenset((each.pid, each.prepared) for each in holders)
            if self._waits.is_due(about, seen.seconds, now):
                self._tell_wait(task.statement, seen, seen.wait)

    def _tell_statement(self, statement: Statement, seen: Seen) -> None:
        self._told = time.monotonic()
        if self._file is None:
            return
        data: dict[str, object] = {}
        if seen.progress is not None:
            data["phase"] = seen.progress.phase
            if seen.progress.percent is not None:
                data["percent"] = seen.progress.percent
        self._emit(
            EventName.STATEMENT,
            version=self._file.version_text,
            file=self._file.file,
            statement=statement.text[:_QUERY],
            line=statement.line,
            number=statement.number,
            of=self._of,
            seconds=round(seen.seconds, 1),
            **data,
        )

    def _tell_wait(self, statement: Statement | None, seen: Seen, wait: Wait) -> None:
        name = self._file.file if self._file else ""
        place = f"{name}:{statement.line}" if statement else f"{name}: the end of its transaction"
        phase = f" ({seen.progress.phase})" if seen.progress and wait.is_transaction else ""
        who = blockers.describe_all(wait.holders) or "somebody who has just let go"
        self._emit(
            EventName.WAITING,
            reason="Transaction" if wait.is_transaction else "TableLock",
            message=f"{place} waits for {wait.what}{phase}: {who}",
            holders=wait.holders,
        )

    def waiting_for_table(self, message: str, found: Sequence[LockHolder]) -> None:
        """A file did not get a table's lock, and is tried again."""
        with self._mutex:
            self._task = None
            self._emit(EventName.WAITING, reason="TableLock", message=message, holders=tuple(found))

    def waiting_for_lock(self, found: Sequence[LockHolder]) -> None:
        """The run waits for another runner."""
        who = blockers.describe_all(found) or "another run"
        with self._mutex:
            self._emit(
                EventName.WAITING,
                reason="AdvisoryLock",
                message=f"another run works on this database: {who}",
                holders=tuple(found),
            )

    def kept(self, data: KeptData) -> None:
        """A rollback that loses this is committed."""
        with self._mutex:
            self._emit(EventName.KEPT, kept=data)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """While statements run that have run before: their notices were told then."""
        self._is_quiet = True
        try:
            yield
        finally:
            self._is_quiet = False

    def notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        """The server says something beside its answers."""
        if self._is_quiet:
            return
        self._notices += 1
        if self._file is None or self._notices > _NOTICES:
            return
        severity = diagnostic.severity_nonlocalized or diagnostic.severity or "NOTICE"
        told = Notice(severity, (diagnostic.message_primary or "")[:_NOTICE])
        self.notices.append(told)
        with self._mutex:
            self._emit(
                EventName.NOTICE,
                severity=told.severity,
                message=told.message,
                version=self._file.version_text,
            )
        if self._notices == _NOTICES:
            self.warning(f"{self._file.file}: more notices than {_NOTICES} are not shown")

    def warning(self, message: str) -> None:
        """Our own word."""
        with self._mutex:
            self._emit(EventName.WARNING, message=message)

    def _emit(self, event: EventName, **data: object) -> None:
        self.reporter.emit(event, **data)

    def close(self) -> None:
        """Look no more: what is told from here on is told by the run itself."""
        self.idle()
        self._observer.close()
