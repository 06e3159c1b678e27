"""What a run tells its reader while it works; nothing is decided here.

Quick statements are not told one by one. One that takes longer is, and when it waits for a
table's lock, so are those who hold it: another connection asks for them, since the
run's own is busy.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import psycopg

from dbmigrate.api.report import Direction, EventName, MigrationRecord
from dbmigrate.errors import DbmigrateError
from dbmigrate.postgres import lock
from dbmigrate.postgres.session import ConnectionLostError, Session

if TYPE_CHECKING:
    from dbmigrate.migrations.source import MigrationFile
    from dbmigrate.migrations.statements import Statement

_TELL_STATEMENT_EVERY: Final = 1.0
_ASK_BLOCKERS_EVERY: Final = 2.0
_NOTICES: Final = 100
"""Of one file that are told; a loop may raise millions."""
_QUERY: Final = 200


class Reporter(Protocol):
    """Takes what a run tells."""

    def emit(self, event: EventName, **data: object) -> None:
        """One event; its keys are those of `EventName`'s documentation."""


class Progress:
    """The telling of one run.

    Args:
        reporter: takes the events.
        second_session: makes the connection that asks who blocks us.
        tell_all: every statement is told (for debugging).
    """

    def __init__(
        self, reporter: Reporter, second_session: Callable[[], Session], *, tell_all: bool
    ) -> None:
        self.reporter = reporter
        self.tell_all = tell_all
        self._second_session = second_session
        self._second: Session | None = None
        self._may_ask = True
        self._file: MigrationFile | None = None
        self._of = 0
        self._pid = 0
        self._told = self._asked = 0.0
        self._notices = 0

    def file_started(
        self, file: MigrationFile, pid: int, number: int, of: int, statements: int
    ) -> None:
        """A file begins; `pid` is the server process that runs it."""
        self._file, self._pid, self._of = file, pid, statements
        self._told = time.monotonic()
        self._notices = 0
        self.reporter.emit(
            EventName.MIGRATION_STARTED,
            version=str(file.version),
            file=file.file,
            direction=(Direction.ROLLBACK if file.is_rollback else Direction.FORWARD).value,
            number=number,
            of=of,
        )

    def file_completed(self, record: MigrationRecord, number: int, of: int) -> None:
        """A file is committed."""
        self._file = None
        self.reporter.emit(EventName.MIGRATION_COMPLETED, migration=record, number=number, of=of)

    def statement(self, statement: Statement) -> None:
        """A statement was reached."""
        now = time.monotonic()
        self._asked = now
        if self.tell_all or now - self._told >= _TELL_STATEMENT_EVERY:
            self._tell(statement, now)

    def silence(self, statement: Statement, seconds: float) -> None:
        """A statement has been running for so long."""
        now = time.monotonic()
        if now - seconds > self._told or now - self._told >= _ASK_BLOCKERS_EVERY:
            self._tell(statement, now)
        if now - self._asked >= min(seconds, _ASK_BLOCKERS_EVERY):
            self._asked = now
            self._tell_blockers(statement)

    def _tell(self, statement: Statement, now: float) -> None:
        self._told = now
        if self._file is not None:
            self.reporter.emit(
                EventName.STATEMENT,
                version=str(self._file.version),
                file=self._file.file,
                statement=statement.text[:_QUERY],
                line=statement.line,
                number=statement.number,
                of=self._of,
            )

    def _tell_blockers(self, statement: Statement) -> None:
        found = self._blockers()
        if found:
            self.waiting_for_table(
                f"{self._place(statement)}: waits for {'; '.join(map(lock.describe, found))}", found
            )

    def _blockers(self) -> list[lock.Holder]:
        if not self._may_ask:
            return []
        try:
            self._second = self._second or self._second_session()
            return lock.blockers(self._second, self._pid)
        except (DbmigrateError, ConnectionLostError, psycopg.Error):
            self._may_ask = False  # too many connections, say: the run does not depend on it
            return []

    def _place(self, statement: Statement) -> str:
        name = self._file.file if self._file else ""
        return f"{name}:{statement.line}"

    def waiting_for_table(self, message: str, found: list[lock.Holder]) -> None:
        """The run waits for a table's lock."""
        self.reporter.emit(EventName.WAITING, reason="TableLock", message=message, holders=found)

    def waiting_for_lock(self, found: list[lock.Holder]) -> None:
        """The run waits for another runner."""
        who = "; ".join(map(lock.describe, found)) or "another run"
        self.reporter.emit(
            EventName.WAITING,
            reason="AdvisoryLock",
            message=f"another run works on this database: {who}",
            holders=found,
        )

    def notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        """The server says something beside its answers."""
        self._notices += 1
        if self._file is None or self._notices > _NOTICES:
            return
        self.reporter.emit(
            EventName.NOTICE,
            severity=diagnostic.severity_nonlocalized or diagnostic.severity or "NOTICE",
            message=(diagnostic.message_primary or "")[:1000],
            version=str(self._file.version),
        )
        if self._notices == _NOTICES:
            self.warning(f"{self._file.file}: more notices than {_NOTICES} are not shown")

    def warning(self, message: str) -> None:
        """Our own word."""
        self.reporter.emit(EventName.WARNING, message=message)

    def close(self) -> None:
        """Give the second connection back."""
        if self._second is not None:
            with contextlib.suppress(psycopg.Error):
                self._second.close()
