"""After a lost answer to COMMIT: the history decides whether the files are in.

The connection is made anew, and the advisory lock obtained again proves that the old server
process is gone: only then the history is read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from dbmigrate.errors import DbmigrateError, InterruptedRunError, MigrationFailedError
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.postgres import bookkeeping, history, lock
from dbmigrate.postgres.committing import Committed
from dbmigrate.postgres.failures import connection_lost
from dbmigrate.postgres.interruption import Interrupted
from dbmigrate.postgres.session import ConnectionLostError, Session

if TYPE_CHECKING:
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.run import Context

_PATIENCE: Final = 60.0
"""Seconds for which the server is looked for, and the lock waited for."""


def settle(
    context: Context,
    found: Bookkeeping,
    files: Sequence[tuple[MigrationFile, int]],
    applied_by: str,
    reason: str,
) -> tuple[Committed, ...]:
    """What became of files whose COMMIT was sent and not answered; all are in, or none is.

    Args:
        context: the run; its session is broken, and replaced.
        found: the bookkeeping.
        files: each with the milliseconds that it took.
        applied_by: who holds the lock, for the row that says so.
        reason: how the connection broke.

    Raises:
        MigrationFailedError: they are not in (ConnectionLost), or the server does not come
            back (CommitInDoubt).
        InterruptedRunError: a signal came meanwhile.
    """
    last = files[-1][0]
    try:
        return _settle(context, found, files, applied_by, reason)
    except Interrupted:
        number = context.interruption.signal_number or 15
        raise InterruptedRunError(
            f"{last.file}: interrupted by signal {number} after COMMIT was sent and "
            "before its answer came: it may be committed or undone",
            signal_number=number,
            hint="run again: the history in the database decides what is applied",
        ) from None


def _settle(
    context: Context,
    found: Bookkeeping,
    files: Sequence[tuple[MigrationFile, int]],
    applied_by: str,
    reason: str,
) -> tuple[Committed, ...]:
    last = files[-1][0]
    context.progress.warning(
        f"{last.file}: the answer to COMMIT was lost ({reason}); the history decides"
    )
    if context.session is not None:
        context.session.close()
    session = _reconnect(context, last, reason)
    lock.acquire(
        session,
        context.options.history_schema,
        max(context.options.wait_lock, _PATIENCE),
        context.progress.waiting_for_lock,
    )
    # After a failover the tables themselves may be among what the new primary never received.
    now = bookkeeping.look(session, context.options.history_schema)
    live = {each.version: each.checksum for each in history.read_applied(session, now)}
    if last.is_rollback:
        is_done = now.exists and last.version not in live
    else:
        is_done = live.get(last.version) == last.checksum
    if not is_done:
        raise connection_lost(last, None, reason)
    lock.write_row(session, found, applied_by, context.options.command)
    return tuple(
        Committed(milliseconds, history.read_applied_at(session, found, file))
        for file, milliseconds in files
    )


def _reconnect(context: Context, file: MigrationFile, reason: str) -> Session:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return context.connect()
        except (DbmigrateError, ConnectionLostError) as error:
            if time.monotonic() > deadline:
                raise MigrationFailedError(
                    f"{file.file}: the answer to COMMIT was lost ({reason}), and the "
                    f"server does not come back: {error}",
                    code="CommitInDoubt",
                    hint="run again: the history in the database decides what is applied",
                    version=str(file.version),
                    transient=True,
                ) from error
        context.interruption.sleep(0.5)
