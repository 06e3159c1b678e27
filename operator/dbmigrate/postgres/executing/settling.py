"""After a lost answer to COMMIT: the history decides whether the files are in.

The connection is made anew, and the advisory lock obtained again proves that the old server
process is gone: only then the history is read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dbmigrate.errors import DbmigrateError, InterruptedRunError, MigrationFailedError
from dbmigrate.migrations.files import MigrationFile, SourceFile
from dbmigrate.postgres import bookkeeping, history, lock
from dbmigrate.postgres.executing.committing import Committed
from dbmigrate.postgres.executing.failures import connection_lost, done_by_another
from dbmigrate.postgres.server.interruption import Interrupted
from dbmigrate.postgres.server.session import ConnectionLostError, Session

if TYPE_CHECKING:
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.context import Context

_PATIENCE: Final = 60.0
"""Seconds for which the server is looked for, and the lock waited for."""
_PAUSE: Final = 0.2
"""Seconds after which a connection that broke while it was asked is made again."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Files whose COMMIT was sent and not answered; all are in, or none is."""

    files: Sequence[tuple[SourceFile, int]]
    """Each with the milliseconds that it took."""
    applied_by: str
    """Who holds the lock, for the row that says so."""
    reason: str
    """How the connection broke."""
    transaction: str = ""
    """In which their rows were written, where that is known."""
    last_run: int = 0
    """Of a repeatable file, the history's row before this run; 0 when there is none."""


def settle(context: Context, found: Bookkeeping, unanswered: Unanswered) -> tuple[Committed, ...]:
    """What became of them. The run's session is broken, and replaced.

    Raises:
        MigrationFailedError: they are not in (ConnectionLost), or another run has applied
            them (Overtaken), or the server does not come back (CommitInDoubt).
        InterruptedRunError: a signal came meanwhile.
    """
    last = unanswered.files[-1][0]
    context.in_doubt = True
    context.progress.warning(
        f"{last.file}: the answer to COMMIT was lost ({unanswered.reason}); the history decides"
    )
    deadline = time.monotonic() + _PATIENCE
    try:
        while True:
            try:
                return _settle(context, found, unanswered, deadline)
            except ConnectionLostError as error:  # again, and before all was known
                if time.monotonic() > deadline:
                    raise _undecided(last, unanswered.reason, str(error)) from error
                context.interruption.sleep(_PAUSE)
    except Interrupted:
        number = context.interruption.signal_number or 15
        raise InterruptedRunError(
            f"{last.file}: interrupted by signal {number} after COMMIT was sent and "
            "before its answer came: it may be committed or undone",
            signal_number=number,
            hint="run again: the history in the database decides what is applied",
        ) from None


def _settle(
    context: Context, found: Bookkeeping, unanswered: Unanswered, deadline: float
) -> tuple[Committed, ...]:
    last, reason = unanswered.files[-1][0], unanswered.reason
    if context.session is not None:
        context.session.close()
    session = _reconnect(context, last, reason, deadline)
    lock.acquire(
        session,
        context.options.history_schema,
        max(context.options.wait_lock, _PATIENCE),
        context.progress.waiting_for_lock,
    )
    # After a failover the tables themselves may be among what the new primary never received.
    now = bookkeeping.look(session, context.options.history_schema)
    is_done = now.exists and _is_done(session, now, last, unanswered.last_run)
    number = unanswered.transaction
    is_ours = is_done and (not number or history.is_from(session, now, last, number))
    if is_ours:
        lock.write_row(session, found, unanswered.applied_by, context.options.command)
        committed = tuple(
            Committed(milliseconds, history.read_applied_at(session, found, file))
            for file, milliseconds in unanswered.files
        )
        context.in_doubt = False
        return committed
    context.in_doubt = False
    raise done_by_another(last, reason) if is_done else connection_lost(last, None, reason)


def _is_done(session: Session, found: Bookkeeping, file: SourceFile, last_run: int) -> bool:
    if isinstance(file, MigrationFile):
        live = {each.version: each.checksum for each in history.read_applied(session, found)}
        if file.is_rollback:
            return file.version not in live
        return live.get(file.version) == file.checksum
    now = history.read_last_runs(session, found).get(file.file)
    return now is not None and now.id > last_run and now.checksum == file.checksum


def _reconnect(context: Context, file: SourceFile, reason: str, deadline: float) -> Session:
    while True:
        try:
            return context.connect()
        except (DbmigrateError, ConnectionLostError) as error:
            if time.monotonic() > deadline:
                raise _undecided(file, reason, str(error)) from error
        context.interruption.sleep(0.5)


def _undecided(file: SourceFile, reason: str, error: str) -> MigrationFailedError:
    return MigrationFailedError(
        f"{file.file}: the answer to COMMIT was lost ({reason}), and the server does not come "
        f"back: {error}",
        code="CommitInDoubt",
        hint="run again: the history in the database decides what is applied",
        version=file.version_text,
        transient=True,
    )
