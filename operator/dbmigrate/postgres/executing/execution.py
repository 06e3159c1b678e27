"""One file in one transaction, with its history row in it: both or neither.

Two round trips for a file. The first clears the session, begins, takes the lock for the
transaction and executes every statement; its replies are looked at. Only then the second
one writes the history row and commits, so that a runner that died has committed nothing.
What the file did to the session (SET ROLE, search_path, timeouts) is undone at the end
of the first, before the server waits for us.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from psycopg.pq import TransactionStatus

from dbmigrate.errors import MigrationFailedError, RefusedError
from dbmigrate.migrations.statements import Statement
from dbmigrate.postgres import lock
from dbmigrate.postgres.executing.clearing import (
    ALL_CHECKED,
    BEGIN,
    CLEAR,
    OUR_PATH,
    RESTORE,
    THEIR_PATH,
    renewed,
    settings_of,
)
from dbmigrate.postgres.executing.committing import Committed, commit, transaction_ended
from dbmigrate.postgres.executing.failures import (
    DIVISION_BY_ZERO,
    connection_lost,
    lock_lost,
    statement_failed,
)
from dbmigrate.postgres.server.session import (
    ConnectionLostError,
    Reply,
    Request,
    Session,
)

if TYPE_CHECKING:
    from dbmigrate.postgres.executing.prerequisites import Script

_ENDED: Final = frozenset(
    {"COMMIT", "ROLLBACK", "BEGIN", "START TRANSACTION", "PREPARE TRANSACTION"}
)

_IDENTITY: Final = (
    "pg_catalog.concat(pg_catalog.pg_current_xact_id(), ' ', pg_catalog.to_regclass($1)::oid)"
)
_BEGIN: Final = f"{lock.TRY_IN_TRANSACTION}, {_IDENTITY}"
_SAME_TRANSACTION: Final = (
    f"select 1 / pg_catalog.int4({_IDENTITY} = $2), pg_catalog.pg_try_advisory_lock({lock.KEY})"
)
"""Divides by zero in any other transaction, or beside another history; and has the session's lock
again, whatever the file dropped: there is no gap, because the transaction still holds it."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how a file goes."""

    on_statement: Callable[[Statement], None]
    """A statement was reached; called for each, so it must be quick."""
    on_end: Callable[[], None]
    """All statements are done; the history's row is written."""
    on_commit: Callable[[], None]
    """A part of the file is committed, and stays whatever becomes of the rest."""


class _Part:
    """The requests up to the next COPY, or to the file's end, made as they are sent."""

    def __init__(
        self,
        statements: Iterator[Statement],
        opening: tuple[Request, ...],
        closing: tuple[Request, ...],
        on_reached: Callable[[Statement], None],
        again: Callable[[Statement], tuple[Request, ...]] = lambda _: (),
    ) -> None:
        self.statements = statements
        self.on_reached = on_reached
        self.opening = opening
        self.closing = closing
        self.again = again
        """What is set again behind a statement."""
        self.waiting: deque[Statement | None] = deque()
        """Sent, but not answered yet; None for what is set again."""
        self.copy: Statement | None = None
        """The COPY that comes next."""
        self.is_open = not opening
        """The opening is answered: what waits first is what the server is at."""
        self.is_stopped = False

    def __iter__(self) -> Iterator[Request]:
        yield from self.opening
        for statement in self.statements:
            if self.is_stopped:
                return
            if statement.copy_data is not None:
                self.copy = statement
                return
            if statement.is_bracket:
                continue
            self.waiting.append(statement)
            if len(self.waiting) == 1:
                self._tell()
            yield Request(statement.text, at_once=True)
            for request in self.again(statement):
                self.waiting.append(None)
                yield request
        yield from self.closing

    def answered(self) -> Statement | None:
        """Whose reply has come: None for what is not the file's."""
        if not self.waiting:
            return None
        statement = self.waiting.popleft()
        self._tell()
        return statement

    def reached(self) -> Statement | None:
        """The statement that the server is at."""
        return self.waiting[0] if self.is_open and self.waiting else None

    def _tell(self) -> None:
        # The server answers to the opening together with the first statement only.
        if self.waiting and self.waiting[0] is not None and not self.is_stopped:
            self.on_reached(self.waiting[0])

    def stop(self) -> None:
        """The transaction has failed: read no more of the file."""
        self.is_stopped = True


class Execution:
    """Runs one file; made anew for each attempt.

    Args:
        session: holds the advisory lock; outside of a transaction.
        script: the file.
        write: makes the history row's statement from the milliseconds that the file took.
        watch: is told how it goes.
        history: the history's table, quoted, which must be the same one in the end.
        settings: run-time parameters for the file, such as its statement_timeout.
        guard: runs the file's statements in its own way, in the file's transaction.
        asking: asks in the file's transaction whether it has done what it should.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- all that one file needs
        self,
        session: Session,
        script: Script,
        write: Callable[[int], Request],
        watch: Watch,
        history: str,
        settings: Mapping[str, str],
        guard: Callable[[Callable[[], None]], None] | None = None,
        asking: Callable[[], None] | None = None,
    ) -> None:
        self.session = session
        self.script = script
        self.write = write
        self.watch = watch
        self.history = history
        self.settings = settings_of(settings, is_local=True)
        self.guard = guard
        self.asking = asking
        self.began = time.monotonic()
        self.transaction = ""

    @property
    def current(self) -> Self:
        """What runs: this file."""
        return self

    @property
    def milliseconds(self) -> int:
        """How long it has run by now."""
        return round((time.monotonic() - self.began) * 1000)

    def run(self) -> tuple[Committed, ...]:
        """Run the file and commit it.

        Raises:
            MigrationFailedError: a statement failed or the connection broke; the file is undone.
            RefusedError: the lock was lost to another run (LockLost), or the transaction
                is not the file's own any more (TransactionEnded).
            CommitInDoubtError: the answer to COMMIT did not come.
            Interrupted: a signal came; the statement was cancelled.
        """
        try:
            self.start()
            return self._commit()
        except (MigrationFailedError, RefusedError):
            self.undo()
            raise

    def undo(self) -> None:
        """Roll the transaction back, if the connection is still there."""
        pgconn = self.session.connection.pgconn
        if self.session.is_alive and pgconn.transaction_status != TransactionStatus.IDLE:
            try:
                self.session.query("rollback")
            except ConnectionLostError:
                return  # the server undoes it, and the failure that brought us here matters more

    def _begin(self) -> tuple[Request, ...]:
        """What precedes the file: a clean session, and its transaction."""
        identify = Request(_BEGIN, (self.history,), keep_rows=True)
        # Cleared within the transaction: one message and one commit less for the server.
        return (BEGIN, identify, *CLEAR)

    def start(self) -> None:
        """The first round trip; with a guard there are more.

        Raises:
            MigrationFailedError, RefusedError, Interrupted: as `run`, and nothing is undone yet.
        """
        self.began = time.monotonic()
        begin = self._begin()
        own = (THEIR_PATH, *self.settings)
        if self.guard is None:
            self._file((*begin, *own))
        else:
            self._batch(_Part(iter(()), begin, (), self.watch.on_statement))
            self.guard(lambda: self._file(own))
        if self.asking is not None and self.session.in_transaction:
            self.asking()
        if not self.session.in_transaction:
            raise transaction_ended(self.script.file)

    def _file(self, opening: tuple[Request, ...]) -> None:
        """All statements in one round trip; COPY needs one of its own for each."""
        closing = (ALL_CHECKED, *RESTORE, self.session.restore)
        statements = iter(self.script.statements)
        while True:
            part = _Part(statements, opening, closing, self.watch.on_statement, self._renewed)
            self._batch(part)
            if part.copy is None:
                return
            self._copy(part.copy)
            opening = ()

    def _renewed(self, statement: Statement) -> tuple[Request, ...]:
        return renewed(self.session, statement, self.settings)

    def _batch(self, part: _Part) -> None:
        failure: MigrationFailedError | RefusedError | None = None
        try:
            for reply in self.session.run(part):
                if reply.number < len(part.opening):
                    failure = failure or self._opened(reply)
                    part.is_open = reply.number == len(part.opening) - 1
                else:
                    failure = failure or self._judge(part.answered(), reply)
                if failure is not None:
                    part.stop()
        except ConnectionLostError as error:
            reached = part.reached()
            raise failure or connection_lost(self.script.file, reached, str(error)) from error
        if failure is not None:
            raise failure

    def _opened(self, reply: Reply) -> MigrationFailedError | RefusedError | None:
        if reply.rows and len(reply.rows[0]) > 1 and reply.rows[0][0] == "1":
            self.transaction = reply.rows[0][1] or ""
        if reply.error is None:
            return None
        if reply.error.sqlstate == DIVISION_BY_ZERO:
            return lock_lost(self.script.file)
        return statement_failed(self.script.file, None, reply.error)

    def _judge(
        self, statement: Statement | None, reply: Reply
    ) -> MigrationFailedError | RefusedError | None:
        if reply.error is not None:
            return statement_failed(self.script.file, statement, reply.error)
        if reply.tag in _ENDED:
            return transaction_ended(self.script.file, statement.number if statement else 0)
        return None

    def _copy(self, statement: Statement) -> None:
        self.watch.on_statement(statement)
        try:
            error = self.session.copy_in(statement.text, statement.copy_data or ())
        except ConnectionLostError as lost:
            raise connection_lost(self.script.file, statement, str(lost)) from lost
        if error is not None:
            raise statement_failed(self.script.file, statement, error)

    def _commit(self) -> tuple[Committed, ...]:
        """The second round trip, which no signal interrupts."""
        took = self.milliseconds
        self.watch.on_end()
        (applied_at,) = commit(
            self.session,
            self.script.file,
            opening=(OUR_PATH,),
            proof=self.proof(),
            rows=(self.write(took),),
        )
        return (Committed(took, applied_at),)

    def proof(self) -> Request:
        """Fails in any transaction but the file's own, or beside another history."""
        return Request(_SAME_TRANSACTION, (self.history, self.transaction))
