"""One file in one transaction, with its history row in it: both or neither.

Two messages for a file. The first clears the session, begins, takes the lock for the
transaction and executes every statement; its replies are looked at. Only then the second
one writes the history row and commits, so that a runner that died has committed nothing.
What the file did to the session (SET ROLE, search_path, timeouts) is undone at the end
of the first, before the server waits for us.

The second one and the first one of the next file may go together (`Execution.start_behind`):
the server goes from one file to the next without waiting for us, and we read the next file
while the server makes the commit durable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final, Self

from psycopg.pq import TransactionStatus

from dbmigrate.errors import MigrationFailedError, RefusedError
from dbmigrate.migrations.statements import Statement
from dbmigrate.postgres import lock
from dbmigrate.postgres.executing.assignment import Assignment
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
from dbmigrate.postgres.executing.committing import (
    CommitInDoubtError,
    Committed,
    Ending,
    commit,
    transaction_ended,
)
from dbmigrate.postgres.executing.failures import (
    DIVISION_BY_ZERO,
    connection_lost,
    lock_lost,
    statement_failed,
)
from dbmigrate.postgres.executing.part import Part
from dbmigrate.postgres.server.interruption import Interrupted
from dbmigrate.postgres.server.session import (
    Batch,
    ConnectionLostError,
    Reply,
    Request,
)

_ENDED: Final = frozenset(
    {"COMMIT", "ROLLBACK", "BEGIN", "START TRANSACTION", "PREPARE TRANSACTION"}
)

_IDENTITY: Final = (
    "pg_catalog.concat(pg_catalog.pg_current_xact_id(), ' ', pg_catalog.to_regclass($1)::oid)"
)
_BEGIN: Final = f"{lock.TRY_IN_TRANSACTION}, {_IDENTITY}"
_BEGIN_BEHIND: Final = (
    f"{_BEGIN}, 1 operator(pg_catalog./) pg_catalog.int4("
    "pg_catalog.pg_xact_status($2::pg_catalog.xid8) operator(pg_catalog.=) 'committed')"
)
"""Divides by zero, too, unless that other transaction is committed."""
_SAME_TRANSACTION: Final = (
    f"select 1 / pg_catalog.int4({_IDENTITY} = $2), pg_catalog.pg_try_advisory_lock({lock.KEY})"
)
"""Divides by zero in any other transaction, or beside another history; and has the session's lock
again, whatever the file dropped: there is no gap, because the transaction still holds it."""


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What was sent of a file behind the one before it."""

    part: Part
    failure: BaseException | None


@dataclass(frozen=True, slots=True)
class Follower:
    """The file that is sent together with the end of the one before it."""

    execution: Execution
    begin: Callable[[Committed], None]
    """Told when the one before is committed: from here on the server is at this file."""


class Execution:
    """Runs one file; made anew for each attempt.

    Args:
        task: the file, and what belongs to it.
        guard: runs the file's statements in its own way, in the file's transaction.
        follow: asked when the file is about to be committed: what may begin at once.
    """

    def __init__(
        self,
        task: Assignment,
        guard: Callable[[Callable[[], None]], None] | None = None,
        follow: Callable[[], Follower | None] = lambda: None,
    ) -> None:
        self.task = task
        self.session = task.session
        self.script = task.script
        self.settings = settings_of(task.settings, is_local=True)
        self.guard = guard
        self.follow = follow
        self.began = time.monotonic()
        self.identity = ""
        """The transaction's number and the history's, as the server told them at the beginning."""
        self._ahead: _Ahead | None = None

    @property
    def transaction(self) -> str:
        """Its number; empty as long as the server has not said it."""
        return self.identity.partition(" ")[0]

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

    def _begin(self, behind: str = "") -> tuple[Request, ...]:
        """What precedes the file: a clean session, and its transaction.

        Args:
            behind: the transaction that must have been committed, if any.
        """
        # Cleared within the transaction: one message and one commit less for the server.
        if behind:
            identify = Request(_BEGIN_BEHIND, (self.task.history, behind), keep_rows=True)
        else:
            identify = Request(_BEGIN, (self.task.history,), keep_rows=True)
        return (BEGIN, identify, *CLEAR)

    def start(self) -> None:
        """The first message; with a guard there are more. Nothing, if it was sent already.

        Raises:
            MigrationFailedError, RefusedError, Interrupted: as `run`, and nothing is undone yet.
        """
        own = (THEIR_PATH, *self.settings)
        if self._ahead is not None:
            self._go_on(self._ahead)
        elif self.guard is None:
            self.began = time.monotonic()
            self._file((*self._begin(), *own))
        else:
            self.began = time.monotonic()
            self._batch(Part(iter(()), self._begin(), (), self.task.watch.on_statement))
            self.guard(lambda: self._file(own))
        if self.task.asking is not None and self.session.in_transaction:
            self.task.asking()
        if not self.session.in_transaction:
            raise transaction_ended(self.script.file)

    def start_behind(self, ending: Ending, transaction: str, committed: Callable[[], None]) -> None:
        """Send another file's end, and this file right behind it; only without a guard.

        What became of this file is for `start` to say.

        Args:
            ending: the other file's.
            transaction: the other file's, which must have been committed.
            committed: called when it has been; what comes then is this file's.

        Raises:
            CommitInDoubtError, RefusedError, MigrationFailedError: the other file's; nothing
                of this one was executed, or it was undone.
        """
        opening = (*self._begin(transaction), THEIR_PATH, *self.settings)
        part = self._part(opening, iter(self.script.statements))
        part.is_held = True
        first = len(ending.requests)
        failure: BaseException | None = None
        try:
            requests = chain(ending.requests, part)
            for reply in self.session.run(requests, Batch(shielded=first)):
                if reply.number < first:
                    ending.take(reply)
                    if ending.is_committed:
                        self.began = time.monotonic()
                        committed()
                        part.release()
                    elif reply.error is not None:
                        part.stop()
                elif ending.is_committed:
                    failure = failure or self._heard(part, reply.number - first, reply)
        except ConnectionLostError as lost:
            if not ending.is_committed:
                raise CommitInDoubtError(str(lost)) from lost
            failure = failure or connection_lost(self.script.file, part.reached(), str(lost))
        except (Exception, Interrupted) as error:  # noqa: BLE001 -- `start` raises it
            failure = failure or error
        ending.require_committed(self.session)
        self._ahead = _Ahead(part, failure)

    def _go_on(self, ahead: _Ahead) -> None:
        if ahead.failure is not None:
            raise ahead.failure
        self.session.interruption.check()  # one that came between the files is obeyed there
        self._rest(ahead.part)

    def _file(self, opening: tuple[Request, ...]) -> None:
        part = self._part(opening, iter(self.script.statements))
        self._batch(part)
        self._rest(part)

    def _rest(self, part: Part) -> None:
        """What is behind a COPY, each of which needs a message of its own."""
        while part.copy is not None:
            self._copy(part.copy)
            part = self._part((), part.statements)
            self._batch(part)

    def _part(self, opening: tuple[Request, ...], statements: Iterator[Statement]) -> Part:
        closing = (ALL_CHECKED, *RESTORE, self.session.restore)
        watch = self.task.watch
        return Part(statements, opening, closing, watch.on_statement, self._renewed)

    def _renewed(self, statement: Statement) -> tuple[Request, ...]:
        return renewed(self.session, statement, self.settings)

    def _batch(self, part: Part) -> None:
        failure: MigrationFailedError | RefusedError | None = None
        try:
            for reply in self.session.run(part):
                failure = failure or self._heard(part, reply.number, reply)
        except ConnectionLostError as error:
            reached = part.reached()
            raise failure or connection_lost(self.script.file, reached, str(error)) from error
        if failure is not None:
            raise failure

    def _heard(
        self, part: Part, number: int, reply: Reply
    ) -> MigrationFailedError | RefusedError | None:
        """The next reply to a part: what is wrong, and then no more is read of the file."""
        if number < len(part.opening):
            failure = self._opened(reply)
            part.is_open = number == len(part.opening) - 1
        else:
            failure = self._judge(part.answered(), reply)
        if failure is not None:
            part.stop()
        return failure

    def _opened(self, reply: Reply) -> MigrationFailedError | RefusedError | None:
        if reply.rows and len(reply.rows[0]) > 1 and reply.rows[0][0] == "1":
            self.identity = reply.rows[0][1] or ""
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
        self.task.watch.on_statement(statement)
        try:
            error = self.session.copy_in(statement.text, statement.copy_data or ())
        except ConnectionLostError as lost:
            raise connection_lost(self.script.file, statement, str(lost)) from lost
        if error is not None:
            raise statement_failed(self.script.file, statement, error)

    def _commit(self) -> tuple[Committed, ...]:
        """The second round trip, which no signal interrupts."""
        took = self.milliseconds
        self.task.watch.on_end()
        ending = Ending(
            self.script.file, opening=(OUR_PATH,), proof=self.proof(), rows=(self.task.write(took),)
        )
        follower = self.follow()
        if follower is None:
            commit(self.session, ending)
        else:
            follower.execution.start_behind(
                ending,
                self.transaction,
                lambda: follower.begin(Committed(took, *ending.applied_at)),
            )
        return (Committed(took, *ending.applied_at),)

    def proof(self) -> Request:
        """Fails in any transaction but the file's own, or beside another history."""
        return Request(_SAME_TRANSACTION, (self.task.history, self.identity))
