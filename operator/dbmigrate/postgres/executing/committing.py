"""The end of a file: its history row and COMMIT, sent together, which no signal interrupts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dbmigrate.errors import RefusedError
from dbmigrate.migrations.files import SourceFile
from dbmigrate.postgres import lock
from dbmigrate.postgres.executing.clearing import COMMIT
from dbmigrate.postgres.executing.failures import (
    DIVISION_BY_ZERO,
    UNDONE,
    lock_lost,
    statement_failed,
)
from dbmigrate.postgres.server.session import (
    SYNC,
    Batch,
    ConnectionLostError,
    Reply,
    Request,
    Session,
)

LOCK: Final = Request(lock.TRY_IN_TRANSACTION)
"""At a transaction's beginning; divides by zero where another run has the lock."""


class CommitInDoubtError(Exception):
    """The connection broke after COMMIT was sent: the history alone can tell."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A file is in the database, and so is its row."""

    milliseconds: int
    applied_at: str


class Ending:
    """The message that ends a file's transaction, and what the replies to it mean.

    Args:
        file: for messages.
        opening: what comes first.
        proof: divides by zero unless the history is the one that was there at the beginning.
        rows: each writes one row of the history.
        closing: what else belongs to the transaction.
        advice: what is left, and what to do, when the server refuses.
    """

    def __init__(  # noqa: PLR0913 -- the parts of one message
        self,
        file: SourceFile,
        *,
        opening: tuple[Request, ...],
        proof: Request,
        rows: tuple[Request, ...],
        closing: tuple[Request, ...] = (),
        advice: str = UNDONE,
    ) -> None:
        self.file = file
        self.requests: Final = (*opening, proof, *rows, *closing, COMMIT, SYNC)
        self._proof = len(opening)
        self._advice = advice
        self._applied_at = [""] * len(rows)
        self._error: Reply | None = None
        self._last = Reply(-1)

    @property
    def is_committed(self) -> bool:
        """The server has said so."""
        return self._error is None and self._last.tag == "COMMIT"

    @property
    def applied_at(self) -> tuple[str, ...]:
        """When each file was applied, by its row."""
        return tuple(self._applied_at)

    def take(self, reply: Reply) -> None:
        """The next reply to its requests."""
        if reply.error is not None and self._error is None:
            self._error = reply
        row = reply.number - self._proof - 1
        if reply.rows and 0 <= row < len(self._applied_at):
            self._applied_at[row] = reply.rows[0][0] or ""
        self._last = reply

    def require_committed(self, session: Session) -> None:
        """When no more replies come.

        Raises:
            CommitInDoubtError: the answer to COMMIT did not come.
            RefusedError: LockLost, HistoryReplaced, TransactionEnded.
            MigrationFailedError: the server refused the row or the commit.
        """
        failed = self._error
        error = failed.error if failed else None
        if not session.is_alive and not self.is_committed:
            raise CommitInDoubtError(error.message if error else "the connection broke")
        if failed is not None and error is not None:
            if error.sqlstate == DIVISION_BY_ZERO and failed.number < self._proof:
                raise lock_lost(self.file)
            if error.sqlstate == DIVISION_BY_ZERO and failed.number == self._proof:
                raise _replaced(self.file)
            raise statement_failed(self.file, None, error, advice=self._advice)
        if not self.is_committed:
            raise transaction_ended(self.file)


def commit(session: Session, ending: Ending) -> tuple[str, ...]:
    """Write the rows and commit; when each file was applied, by its row.

    Args:
        session: outside of a transaction if the ending begins one, else within the file's.
        ending: what is sent.

    Raises:
        CommitInDoubtError, RefusedError, MigrationFailedError: see `Ending.require_committed`.
    """
    try:
        for reply in session.run(ending.requests, Batch(interruptible=False)):
            ending.take(reply)
    except ConnectionLostError as lost:
        raise CommitInDoubtError(str(lost)) from lost
    ending.require_committed(session)
    return ending.applied_at


def _replaced(file: SourceFile) -> RefusedError:
    return RefusedError(
        f"{file.file}: the history's table was dropped or replaced, or the transaction ended",
        code="HistoryReplaced",
        hint="leave the history's tables out of the file, as a dump of the database has them; "
        "where it drops their schema, drop what is in it by name, or keep the history in a schema "
        "of its own (--history-schema)",
    )


def transaction_ended(file: SourceFile, statement: int = 0) -> RefusedError:
    """The transaction that a file was to be is over before its end."""
    which = f" at statement {statement}" if statement else ""
    return RefusedError(
        f"{file.file}: its transaction was ended{which}, so it is not whole",
        code="TransactionEnded",
        hint="what it did before may be committed without a history row: look, then repair",
    )
