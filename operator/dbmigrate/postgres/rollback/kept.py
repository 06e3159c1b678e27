"""What rollbacks have kept: listed, chosen, and purged when it is old."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.sql import SQL, Composable, Literal

from dbmigrate.api.report.kept import KeptData
from dbmigrate.errors import MigrationFailedError, RefusedError
from dbmigrate.postgres import lock
from dbmigrate.postgres.executing.failures import is_transient
from dbmigrate.postgres.rollback.keep import LOG
from dbmigrate.postgres.rollback.tables import execute

if TYPE_CHECKING:
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.rollback.options import KeptRequest
    from dbmigrate.postgres.server.session import Session

_STEP: Final = 4
"""The bookkeeping's version from which on there are sets."""

_SETS: Final = SQL("""
    select set_id, rollback_version, pg_catalog.min(schema_name), table_name,
        coalesce(pg_catalog.min(kind), 'script'),
        coalesce(pg_catalog.to_json(pg_catalog.min(lost_columns)), '[]'::pg_catalog.json),
        coalesce(sum(row_count), 0)::pg_catalog.int8,
        coalesce(sum(coalesce(byte_count, pg_catalog.pg_column_size(data_snapshot))), 0)
            ::pg_catalog.int8,
        coalesce(pg_catalog.min(covered_by), ''),
        pg_catalog.to_char(pg_catalog.min(created_at) at time zone 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    from {log} as l
    where {where}
    group by set_id, rollback_version, table_name, case when set_id is null then id end
    order by pg_catalog.min(id)
""")

_CHOSEN: Final = SQL("""
    select l.set_id, l.rollback_version, l.kind, l.schema_name, l.table_name,
        coalesce(l.columns, '[]'), coalesce(l.lost_columns, '{{}}'), l.key_columns,
        coalesce(l.covered_by, '')
    from {log} as l
    where l.set_id is not null and {where}
        and l.id = (select pg_catalog.min(f.id) from {log} as f where f.set_id = l.set_id)
    order by l.set_id
""")


@dataclass(frozen=True, slots=True)
class ChosenSet:
    """One set that is to be restored."""

    set_id: int
    version: str
    kind: str
    schema: str
    name: str
    columns: tuple[tuple[str, str], ...]
    """Name and type of each."""
    lost: tuple[str, ...]
    key: tuple[str, ...] | None
    covered_by: str

    @property
    def title(self) -> str:
        """For people."""
        return f"set {self.set_id} ({self.kind} of {self.schema}.{self.name})"


def has_sets(found: Bookkeeping) -> bool:
    """Whether the tables are new enough for anything to be kept by us."""
    return found.exists and found.version >= _STEP


def listed(session: Session, found: Bookkeeping) -> tuple[KeptData, ...]:
    """All that is kept, oldest first; what scripts have written by themselves too."""
    if not has_sets(found):
        return ()
    rows = execute(session, _SETS.format(log=found.table(LOG), where=SQL("true")))
    return tuple(_kept(row) for row in rows)


def _kept(row: tuple[Any, ...]) -> KeptData:
    set_id, version, schema, table, kind, columns, rows, size, covered_by, kept_at = row
    return KeptData(
        version=version, schema=schema or "", table=table, kind=kind, columns=tuple(columns),
        rows=rows, size=size, set_id=set_id, covered_by=covered_by, kept_at=kept_at,
    )  # fmt: skip


def chosen(session: Session, found: Bookkeeping, request: KeptRequest) -> list[ChosenSet]:
    """The sets that a request is about; of a version, those of its last rollback.

    Raises:
        RefusedError: code NothingKept.
    """
    log = found.table(LOG)
    where: list[Composable] = []
    if request.set_id is not None:
        where.append(SQL("l.set_id = {}").format(Literal(request.set_id)))
    if request.version is not None:
        where.append(
            SQL(
                "l.rollback_version = {0} and l.created_at = (select pg_catalog.max(n.created_at) "
                "from {1} as n where n.rollback_version = {0} and n.set_id is not null)"
            ).format(Literal(request.version), log)
        )
    if request.table is not None:
        where.append(
            SQL("{} in (l.table_name, l.schema_name || '.' || l.table_name)").format(
                Literal(request.table)
            )
        )
    condition = SQL(" and ").join(where) if where else SQL("true")
    rows = execute(session, _CHOSEN.format(log=log, where=condition)) if has_sets(found) else []
    if not rows:
        raise RefusedError(
            "nothing is kept of that",
            code="NothingKept",
            hint="`dbmigrate kept` lists what rollbacks have kept",
        )
    return [_chosen(row) for row in rows]


def _chosen(row: tuple[Any, ...]) -> ChosenSet:
    set_id, version, kind, schema, name, columns, lost, key, covered_by = row
    return ChosenSet(
        set_id, version, kind, schema, name,
        tuple((each["name"], each["type"]) for each in columns),
        tuple(lost), tuple(key) if key else None, covered_by,
    )  # fmt: skip


def purge(session: Session, found: Bookkeeping, request: KeptRequest) -> tuple[KeptData, ...]:
    """Remove what is older, or one set; what it was.

    The caller holds the advisory lock. Killed before the end, nothing is removed.
    """
    if not has_sets(found):
        return ()
    where: list[Composable] = []
    if request.older_than is not None:
        seconds = Literal(int(request.older_than.total_seconds()))
        where.append(
            SQL("l.created_at < pg_catalog.now() - pg_catalog.make_interval(secs => {})").format(
                seconds
            )
        )
    if request.set_id is not None:
        where.append(SQL("l.set_id = {}").format(Literal(request.set_id)))
    log, condition = found.table(LOG), SQL(" and ").join(where)
    with in_transaction(session):
        gone = execute(session, _SETS.format(log=log, where=condition))
        execute(session, SQL("delete from {} as l where {}").format(log, condition))
    return tuple(_kept(row) for row in gone)


@contextlib.contextmanager
def in_transaction(session: Session) -> Iterator[None]:
    """One transaction, which holds the lock as every one of ours.

    Raises:
        MigrationFailedError: the server refused something; nothing was changed.
    """
    try:
        with session.guarding(), session.connection.transaction():
            session.query(lock.TRY_IN_TRANSACTION)
            yield
    except psycopg.DatabaseError as error:
        if session.connection.closed:
            raise
        text = error.diag.message_primary or str(error)
        raise MigrationFailedError(
            f"nothing was changed: {text}",
            code="RestoreFailed",
            hint=error.diag.message_hint or "",
            sqlstate=error.sqlstate or "",
            server_message=text,
            detail=error.diag.message_detail or "",
            transient=is_transient(error.sqlstate or ""),
        ) from error
