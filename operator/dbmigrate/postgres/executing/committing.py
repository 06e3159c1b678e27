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


def commit(  # noqa: PLR0913 -- the parts of one message
    session: Session,
    file: SourceFile,
    *,
    opening: tuple[Request, ...],
    proof: Request,
    rows: tuple[Request, ...],
    closing: tuple[Request, ...] = (),
    advice: str = UNDONE,
) -> tuple[str, ...]:
    """Write the rows and commit; when each file was applied, by its row.

    Args:
        session: outside of a transaction if `opening` begins one, else within the file's.
        file: for messages.
        opening: what comes first.
        proof: divides by zero unless the history is the one that was there at the beginning.
        rows: each writes one row of the history.
        closing: what else belongs to the transaction.
        advice: what is left, and what to do, when the server refuses.

    Raises:
        CommitInDoubtError: the answer did not come.
        RefusedError: LockLost, HistoryReplaced, TransactionEnded.
        MigrationFailedError: the server refused the row or the commit.
    """
    requests = [*opening, proof, *rows, *closing, COMMIT, SYNC]
    first = len(opening) + 1
    errors: list[Reply] = []
    last = Reply(-1)
    applied_at = [""] * len(rows)
    try:
        for reply in session.run(requests, Batch(interruptible=False)):
            if reply.error is not None:
                errors.append(reply)
            if reply.rows and first <= reply.number < first + len(rows):
                applied_at[reply.number - first] = reply.rows[0][0] or ""
            last = reply
    except ConnectionLostError as lost:
        raise CommitInDoubtError(str(lost)) from lost
    error = errors[0].error if errors else None
    if not session.is_alive:
        raise CommitInDoubtError(error.message if error else "the connection broke")
    if error is not None:
        if error.sqlstate == DIVISION_BY_ZERO and errors[0].number < len(opening):
            raise lock_lost(file)
        if error.sqlstate == DIVISION_BY_ZERO and errors[0].number == len(opening):
            raise _replaced(file)
        raise statement_failed(file, None, error, advice=advice)
    if last.tag != "COMMIT":
        raise transaction_ended(file)
    return tuple(applied_at)


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
