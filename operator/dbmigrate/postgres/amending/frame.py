"""The frame around commands that record without running anything: lock, look, record, prove.

The rows are written in one transaction under the advisory lock: killed anywhere, all of
them are there or none, and the same command does the rest. A dry run takes no lock and
creates nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

from dbmigrate import __version__
from dbmigrate.errors import DbmigrateError, MigrationFailedError, RefusedError
from dbmigrate.migrations.amend import Amend, Recorded
from dbmigrate.migrations.applied import AppliedMigration
from dbmigrate.postgres import bookkeeping, history, lock
from dbmigrate.postgres.executing.failures import is_transient
from dbmigrate.postgres.executing.ledger import read_unfinished
from dbmigrate.postgres.proof import require_shown
from dbmigrate.postgres.server.session import Session

if TYPE_CHECKING:
    from dbmigrate.migrations.source import MigrationFile
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.context import Context

_UNIQUE: Final = "23505"
_INSERT: Final = """
    insert into {} (version, filename, checksum, text_checksum, applied_at, applied_by,
        execution_time_ms, rollback_file, rollback_sql, rollback_checksum, environment,
        git_commit_hash, runner_version, origin, reason, recorded_by, foreign_id, proof,
        recorded_at)
    values (%s, %s, %s, %s,
        coalesce(%s::pg_catalog.timestamptz, pg_catalog.clock_timestamp()), %s,
        %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, pg_catalog.clock_timestamp())
"""


@dataclass(slots=True)
class Amending:
    """The history as it is, with the lock held unless it is a dry run."""

    context: Context
    session: Session
    found: Bookkeeping
    applied: tuple[AppliedMigration, ...]

    @property
    def amend(self) -> Amend:
        """What is asked for."""
        return self.context.options.amend or Amend()

    @property
    def applied_by(self) -> str:
        """Who does it."""
        return self.context.options.applied_by or self.found.session_user

    def record(self, write: Callable[[psycopg.Cursor[Any], Bookkeeping], None]) -> None:
        """Bring the tables up to date, and write in one transaction.

        Args:
            write: executes the statements; search_path is pg_catalog.

        Raises:
            RefusedError: the tables cannot be made or brought up to date.
            MigrationFailedError: the server refused a row; nothing was recorded.
        """
        session, options = self.session, self.context.options
        found = bookkeeping.bring_up_to_date(session, self.found)
        self.found = self.context.found = found
        lock.write_row(session, found, self.applied_by, options.command)
        bookkeeping.remember_environment(session, found, options.environment)
        connection = session.connection
        try:
            with session.guarding(), connection.transaction(), connection.cursor() as cursor:
                cursor.execute(lock.TRY_IN_TRANSACTION)
                write(cursor, found)
        except psycopg.DatabaseError as error:
            if connection.closed:
                raise
            raise _refused(error, found.schema) from None
        lock.remove_row(session, found)

    def require_finished(self) -> None:
        """Refuse to say of a file that it is applied, while one is applied in part.

        Raises:
            RefusedError: code UnfinishedMigration.
        """
        unfinished = read_unfinished(self.session, self.found)
        if unfinished is not None:
            raise RefusedError(
                f"{unfinished.file} runs by statement, was begun by {unfinished.applied_by} and is "
                "not finished",
                code="UnfinishedMigration",
                hint="finish it by `dbmigrate up`; or put the database in order by hand and say "
                "`dbmigrate resolve abandon`",
            )

    def prove(self, is_there: Callable[[dict[str, AppliedMigration]], list[str]]) -> None:
        """Read the history again: what was recorded must be there.

        Args:
            is_there: from what is applied, by version, to what is missing.

        Raises:
            RefusedError: code HistoryDisagrees.
        """
        self.applied = history.read_applied(self.session, self.found)
        wrong = is_there({str(each.version): each for each in self.applied})
        require_shown(wrong, "recorded")


def amending(context: Context) -> Amending:
    """Connect, take the lock unless nothing will be recorded, and read the history.

    Raises:
        DbmigrateError: as connecting, the lock and looking say.
    """
    options = context.options
    session = context.connect()
    if options.amend is None or not options.amend.dry_run:
        context.take_lock(session)
    found = context.look(session)
    return Amending(context, session, found, history.read_applied(session, found))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the history for a file that was not run by this program."""

    record: Recorded
    origin: str
    applied_at: str | None = None
    """As PostgreSQL reads a timestamptz; None is now."""
    applied_by: str | None = None
    milliseconds: int | None = None
    foreign_id: str | None = None
    proof: str | None = None


def insert_rows(
    work: Amending, cursor: psycopg.Cursor[Any], found: Bookkeeping, rows: Sequence[Row]
) -> None:
    """Insert them, in their order."""
    options = work.context.options
    cursor.executemany(
        sql.SQL(_INSERT).format(found.table(bookkeeping.HISTORY)),
        [
            (
                str(row.record.file.version),
                row.record.file.file,
                row.record.file.checksum,
                row.record.file.text_checksum,
                row.applied_at,
                row.applied_by or work.applied_by,
                row.milliseconds,
                *rollback_columns(row.record.rollback),
                options.environment,
                options.git_commit,
                __version__,
                row.origin,
                work.amend.reason.strip() or None,
                work.applied_by,
                row.foreign_id,
                row.proof,
            )
            for row in rows
        ],
    )


def rollback_columns(rollback: MigrationFile | None) -> tuple[str | None, str | None, str | None]:
    """``rollback_file``, ``rollback_sql`` and ``rollback_checksum`` of a row."""
    if rollback is None:
        return None, None, None
    return rollback.file, rollback.data.decode(), rollback.checksum


def _refused(error: psycopg.DatabaseError, schema: str) -> DbmigrateError:
    sqlstate = error.sqlstate or ""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return bookkeeping.denied_tables(schema, text)
    hint = "look at the rights and locks on the history's tables"
    if sqlstate == _UNIQUE:
        hint = "somebody writes to the history without the advisory lock: find out who"
    return MigrationFailedError(
        f"nothing was recorded: {text}",
        code="BookkeepingFailed",
        hint=hint,
        sqlstate=sqlstate,
        server_message=text,
        transient=is_transient(sqlstate),
    )
