"""The history in the database: read without what is not needed, written in the file's transaction.

A migration is applied when it has a row of type forward and status completed; there is at
most one for a version. Everything else is what happened before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from dbmigrate import __version__
from dbmigrate.api.report.events import Notice
from dbmigrate.api.report.history import FailedAttempt, MigrationRecord
from dbmigrate.api.report.plan import Direction
from dbmigrate.errors import DbmigrateError, RefusedError
from dbmigrate.migrations.applied import RUN, AppliedMigration
from dbmigrate.migrations.content import HeldContent
from dbmigrate.migrations.files import MigrationFile, SourceFile
from dbmigrate.migrations.repeatables import LastRun
from dbmigrate.migrations.version import Version
from dbmigrate.postgres.bookkeeping import HISTORY, Bookkeeping
from dbmigrate.postgres.executing.failures import as_json
from dbmigrate.postgres.live import LIVE, live
from dbmigrate.postgres.server.session import Request, Session

_REPEATABLES: Final = 2
"""The step of the bookkeeping from which on the history has repeatable files."""
_LONGEST_MESSAGE: Final = 2000
"""Characters of an old failure's message; a script can raise one of megabytes."""
_TIME: Final = (
    """pg_catalog.to_char(applied_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
)


@dataclass(frozen=True, slots=True)
class Run:
    """What every row of one run has in common."""

    applied_by: str
    environment: str | None = None
    git_commit: str | None = None
    plan_hash: str | None = None
    resource_uid: str | None = None
    resource_generation: int | None = None


def read_applied(session: Session, found: Bookkeeping) -> tuple[AppliedMigration, ...]:
    """What is applied now, in the order in which it was; rollbacks' texts are left out.

    Raises:
        RefusedError: a row's version cannot be read (HistoryDamaged).
    """
    if not found.exists:
        return ()
    query = sql.SQL(
        "select version, filename, checksum, text_checksum, origin, rollback_checksum"
        " from {} as l order by id"
    ).format(live(found))
    return tuple(
        AppliedMigration(
            _version(version),
            filename,
            checksum,
            text_checksum,
            origin=origin,
            rollback_checksum=rollback,
        )
        for version, filename, checksum, text_checksum, origin, rollback in session.compose(query)
    )


def _version(text: str) -> Version:
    try:
        return Version.parse(text)
    except ValueError as error:
        raise RefusedError(
            f"the history has a row that is not ours: {error}", code="HistoryDamaged"
        ) from None


def read_rollbacks(
    session: Session, found: Bookkeeping, versions: Iterable[Version]
) -> dict[Version, MigrationFile]:
    """The rollbacks that the database keeps of these applied versions.

    Raises:
        RefusedError: a kept text does not have its checksum any more (HistoryDamaged).
    """
    query = sql.SQL(
        "select version, rollback_file, rollback_sql, rollback_checksum from {} as l"
        " where rollback_sql is not null and version = any(%s)"
    ).format(live(found))
    kept: dict[Version, MigrationFile] = {}
    for text, file, script, checksum in session.compose(query, [[str(each) for each in versions]]):
        data = script.encode()
        if hashlib.sha256(data).hexdigest() != checksum:
            raise RefusedError(
                f"the rollback of {text} that the database keeps was changed there",
                code="HistoryDamaged",
                hint=f"put the rollback into the source: rollbacks/v{text}_rollback.sql",
            )
        version = _version(text)
        shown = f"{file} (as kept in the database)"
        kept[version] = MigrationFile(
            version, "rollback", file, HeldContent(data), is_rollback=True, path=shown
        )
    return kept


def read_records(session: Session, found: Bookkeeping, limit: int) -> tuple[MigrationRecord, ...]:
    """The newest migrations that are applied now, oldest first."""
    if not found.exists:
        return ()
    query = sql.SQL(
        "select version, filename, checksum, "  # noqa: S608 -- our constants
        + _TIME
        + ", applied_by, execution_time_ms, git_commit_hash, plan_hash, origin, applied_checksum"
        " from {} as l order by id desc limit %s"
    ).format(live(found))
    rows = session.compose(query, [limit])
    return tuple(_record(row) for row in reversed(rows))


def _record(row: Sequence[Any]) -> MigrationRecord:
    version, file, checksum, applied_at, applied_by, ms, commit, plan_hash, origin, applied = row
    return MigrationRecord(
        version=version,
        file=file,
        checksum=checksum,
        type=Direction.FORWARD,
        status="completed",
        applied_at=applied_at,
        applied_by=applied_by,
        execution_time_ms=ms,
        git_commit_hash=commit,
        plan_hash=plan_hash,
        origin="" if origin == RUN else origin,
        applied_checksum="" if applied == checksum else applied,
    )


def read_last_failure(session: Session, found: Bookkeeping) -> FailedAttempt | None:
    """The history's newest row, if it tells of a failure; None when something succeeded since."""
    if not found.exists:
        return None
    query = sql.SQL(
        "select version, filename, migration_type, {time}, applied_by, error, status"
        " from {table} order by id desc limit 1"
    ).format(time=sql.SQL(_TIME), table=found.table(HISTORY))
    rows = session.compose(query)
    if not rows or rows[0][-1] != "failed":
        return None
    version, file, kind, failed_at, applied_by, error, _ = rows[0]
    error = error or {}
    return FailedAttempt(
        version=version or "",
        file=file,
        type=Direction(kind),
        failed_at=failed_at,
        applied_by=applied_by,
        code=error.get("code", ""),
        message=error.get("message", "")[:_LONGEST_MESSAGE],
        line=error.get("line", 0),
        sqlstate=error.get("sqlstate", ""),
    )


def read_applied_at(session: Session, found: Bookkeeping, file: SourceFile) -> str:
    """When a file was last committed, by its row; empty when it never was."""
    query = sql.SQL(
        "select "  # noqa: S608 -- our constants
        + _TIME
        + " from {} where coalesce(version, filename) = %s and migration_type = %s"
        " and status = 'completed' "
        "order by id desc limit 1"
    ).format(found.table(HISTORY))
    rows = session.compose(query, [file.key, file.direction.value])
    return str(rows[0][0]) if rows else ""


def is_newest(session: Session, found: Bookkeeping, file: SourceFile) -> bool:
    """Whether the history's newest success is that file's: nobody has run anything since."""
    query = sql.SQL(
        "select coalesce(version, filename), migration_type from {} where status <> 'failed'"
        " order by id desc limit 1"
    ).format(found.table(HISTORY))
    return session.compose(query) == [(file.key, file.direction.value)]


def is_from(session: Session, found: Bookkeeping, file: SourceFile, transaction: str) -> bool:
    """Whether the newest row that says a file has run was written by that transaction.

    A row keeps the lower half of its transaction's number (PostgreSQL manual, section 5.6), and
    a standby that took over has the rows as they were.
    """
    query = sql.SQL("""
        select xmin::text::bigint = %s::numeric %% 4294967296 from {}
        where coalesce(version, filename) = %s and migration_type = %s and status <> 'failed'
        order by id desc limit 1
    """).format(found.table(HISTORY))
    rows = session.compose(query, [transaction, file.key, file.direction.value])
    return rows == [(True,)]


def newest_generation(session: Session, found: Bookkeeping, uid: str) -> int | None:
    """The highest generation of a resource for which something was run here."""
    if not found.exists:
        return None
    query = sql.SQL("select max(resource_generation) from {} where resource_uid = %s")
    generation: int | None = session.compose(query.format(found.table(HISTORY)), [uid])[0][0]
    return generation


def read_last_runs(session: Session, found: Bookkeeping) -> dict[str, LastRun]:
    """When each repeatable file was last run, by its path within the source."""
    if found.version < _REPEATABLES:
        return {}
    query = sql.SQL("""
        select distinct on (h.filename) h.filename, h.id, h.checksum, h.text_checksum,
            h.id < coalesce((
                select max(b.id) from {0} as b
                where b.migration_type = 'rollback' and b.status = 'completed'
            ), 0) or exists (
                select from {1} as s
                where s.migration_type = 'repeatable' and s.filename = h.filename
                    and s.closed_as = 'abandoned' and s.closed_at > h.applied_at
            )
        from {0} as h
        where h.migration_type = 'repeatable' and h.status = 'completed'
        order by h.filename, h.id desc
    """).format(found.table(HISTORY), found.table("migration_statements"))
    return {file: LastRun(*rest) for file, *rest in session.compose(query)}


@dataclass(frozen=True, slots=True)
class DonePart:
    """What runs under one plan have done of it already, in order."""

    direction: Direction
    steps: tuple[tuple[Version, str], ...]
    """Version and checksum of each file."""
    repeatables: tuple[tuple[str, str], ...] = ()
    """Path and checksum of each repeatable file."""


def read_done_part(session: Session, found: Bookkeeping, plan_hash: str) -> DonePart | None:
    """The files at the history's end that were run under that plan; None when there are none.

    Only successes count, and only the last stretch of them: the same plan may have been
    run, undone and run again.
    """
    if not found.exists:
        return None
    query = sql.SQL("""
        select migration_type, version, filename, checksum from {0} as h
        where h.status <> 'failed' and h.plan_hash = %(hash)s and h.id > coalesce((
            select max(o.id) from {0} as o
            where o.status <> 'failed' and (o.plan_hash is distinct from %(hash)s)
        ), 0)
        order by h.id
    """).format(found.table(HISTORY))
    rows = session.compose(query, {"hash": plan_hash})
    if not rows:
        return None
    steps = tuple((_version(row[1]), row[3]) for row in rows if row[1] is not None)
    repeatables = tuple((row[2], row[3]) for row in rows if row[1] is None)
    direction = Direction(rows[0][0])
    return DonePart(
        Direction.FORWARD if direction is Direction.REPEATABLE else direction, steps, repeatables
    )


Write = Callable[[int], Request]
"""Makes the statement that writes a file's row from the milliseconds that the file took."""


_COLUMNS: Final = (
    "version", "filename", "checksum", "text_checksum", "applied_by", "execution_time_ms",
    "rollback_file", "rollback_sql", "rollback_checksum", "environment", "git_commit_hash",
    "migration_type", "status", "plan_hash", "resource_uid", "resource_generation",
    "runner_version", "error", "transaction_mode", "notices",
)  # fmt: skip


_TYPES: Final = {
    "execution_time_ms": "bigint",
    "resource_generation": "bigint",
    "error": "jsonb",
    "notices": "jsonb",
}


class Writer:
    """Makes the statements that write rows; they run where search_path is pg_catalog."""

    def __init__(self, session: Session, found: Bookkeeping, run: Run) -> None:
        table = found.table(HISTORY).as_string(session.connection)
        numbers = range(1, len(_COLUMNS) + 1)
        values = ", ".join(f"${number}" for number in numbers)
        # Behind SELECT, unlike VALUES, a parameter does not take its column's type.
        typed = ", ".join(
            f"${number}::{_TYPES.get(name, 'text')}"
            for number, name in zip(numbers, _COLUMNS, strict=True)
        )
        columns = ", ".join(_COLUMNS)
        self.run = run
        self._insert = f"insert into {table} ({columns}) "
        self._forward = f"{self._insert} values ({values}) returning {_TIME}"
        # Divides by zero unless exactly the row that says "applied" was there.
        self._rollback = f"""
            with undone as (
                update {table} set status = 'rolled_back'
                where version = $1 and {LIVE}
                returning 1
            )
            {self._insert}
            select {typed}
            where 1 / (select count(*) from undone) = 1
            returning {_TIME}
        """  # noqa: S608 -- a quoted identifier and our constants

    def completed(
        self,
        file: SourceFile,
        rollback: MigrationFile | None,
        milliseconds: int,
        *,
        mode: str,
        notices: Sequence[Notice] = (),
    ) -> Request:
        """The row of a file that has run, for its own transaction; it returns the time."""
        is_rollback = file.direction is Direction.ROLLBACK
        statement = self._rollback if is_rollback else self._forward
        values = self._values(file, rollback, milliseconds, "completed", None)
        return Request(statement, (*values, mode, _as_json(notices)), keep_rows=True)

    def failed(
        self,
        file: SourceFile,
        milliseconds: int,
        error: DbmigrateError,
        *,
        mode: str,
        notices: Sequence[Notice] = (),
    ) -> Request:
        """The row of a file that was undone, for a transaction of its own."""
        values = self._values(file, None, milliseconds, "failed", as_json(error))
        return Request(self._forward, (*values, mode, _as_json(notices)))

    def record(self, file: SourceFile, milliseconds: int, applied_at: str) -> MigrationRecord:
        """What `completed` wrote, in the form of reports."""
        return MigrationRecord(
            version=file.version_text,
            file=file.file,
            checksum=file.checksum,
            type=file.direction,
            status="completed",
            applied_at=applied_at,
            applied_by=self.run.applied_by,
            execution_time_ms=milliseconds,
            git_commit_hash=self.run.git_commit,
            plan_hash=self.run.plan_hash,
        )

    def _values(
        self,
        file: SourceFile,
        rollback: MigrationFile | None,
        milliseconds: int,
        status: str,
        error: str | None,
    ) -> tuple[str | None, ...]:
        run = self.run
        generation = run.resource_generation
        return (
            file.version_text or None,
            file.file,
            file.checksum,
            file.text_checksum,
            run.applied_by,
            str(milliseconds),
            rollback.file if rollback else None,
            rollback.data.decode() if rollback else None,
            rollback.checksum if rollback else None,
            run.environment,
            run.git_commit,
            file.direction.value,
            status,
            run.plan_hash,
            run.resource_uid,
            None if generation is None else str(generation),
            __version__,
            error,
        )


def _as_json(notices: Sequence[Notice]) -> str | None:
    if not notices:
        return None
    return json.dumps([{"severity": each.severity, "message": each.message} for each in notices])
