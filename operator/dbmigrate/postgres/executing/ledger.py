"""The ledger of files that run by statement: which of a file's statements are done.

A statement that may run in a transaction is written down as done in that very transaction.
One that may not is written down as begun before it, and as done after it; what is begun
only is in doubt, and looked at (`doubt`). The entries are closed in the transaction that writes
the file's history row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from dbmigrate.api.report.history import UnfinishedFile
from dbmigrate.api.report.plan import Direction
from dbmigrate.migrations.files import SourceFile
from dbmigrate.migrations.statements import Statement
from dbmigrate.postgres.bookkeeping import Bookkeeping
from dbmigrate.postgres.lock import KEY
from dbmigrate.postgres.server.session import Request, Session
from dbmigrate.redaction import by_position

TABLE: Final = "migration_statements"
AGAIN: Final = "again"
"""Among the facts of a statement that was begun: see `Entry.is_again`."""
STEP: Final = 2
"""The step of the bookkeeping that makes the table."""
_KEPT: Final = 200
"""Characters of a statement that are kept, for people."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger says of one statement."""

    number: int
    checksum: str
    is_done: bool
    """Else it was begun, and how it ended is not known."""
    facts: Mapping[str, Any]

    @property
    def is_again(self) -> bool:
        """A person has decided that it has not taken effect, and is to run once more."""
        return not self.is_done and bool(self.facts.get(AGAIN))


def checksum_of(statement: Statement) -> str:
    """SHA-256 of a statement's text, hexadecimal."""
    return hashlib.sha256(statement.text.encode()).hexdigest()


class Ledger:
    """The entries of one file. Its requests run where search_path is pg_catalog."""

    def __init__(
        self, session: Session, found: Bookkeeping, file: SourceFile, applied_by: str
    ) -> None:
        self._session = session
        self._table = found.table(TABLE)
        self._name = self._table.as_string(session.connection)
        self._file = file
        self._applied_by = applied_by

    @property
    def _key(self) -> tuple[str, str]:
        return self._file.direction.value, self._file.key

    def read(self) -> dict[int, Entry]:
        """The file's open entries by their statement's number."""
        query = sql.SQL("""
            select number, checksum, state = 'done', coalesce(facts, '{{}}') from {}
            where closed_at is null and migration_type = %s and coalesce(version, filename) = %s
            order by number
        """).format(self._table)
        rows = self._session.compose(query, self._key)
        return {row[0]: Entry(*row) for row in rows}

    def begun(self, statement: Statement, facts: Mapping[str, Any]) -> Request:
        """Write that a statement is about to run, outside of any transaction.

        It divides by zero if somebody else has written it as done meanwhile; so does `done`.
        Both take the session's lock again, which the statement may have dropped.
        """
        return self._write(statement, "begun", json.dumps(facts))

    def done(self, statement: Statement) -> Request:
        """Write that a statement has run."""
        return self._write(statement, "done", None)

    def _write(self, statement: Statement, state: str, facts: str | None) -> Request:
        values = (
            self._file.direction.value,
            self._file.version_text or None,
            self._file.file,
            self._file.checksum,
            str(statement.number),
            checksum_of(statement),
            by_position(statement.text)[:_KEPT],
            state,
            facts,
            self._applied_by,
        )
        return Request(
            f"""
            with written as (
                insert into {self._name} as e (migration_type, version, filename,
                    file_checksum, number, checksum, statement, state, facts, applied_by, done_at)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
                    case when $8 = 'done' then pg_catalog.clock_timestamp() end)
                on conflict (migration_type, (coalesce(version, filename)), number)
                    where closed_at is null
                do update set state = excluded.state, filename = excluded.filename,
                    facts = coalesce(excluded.facts, e.facts),
                    checksum = excluded.checksum, statement = excluded.statement,
                    file_checksum = excluded.file_checksum, done_at = excluded.done_at,
                    applied_by = excluded.applied_by, process_id = excluded.process_id
                where e.state = 'begun'
                returning 1
            )
            select 1 / count(*), pg_catalog.pg_try_advisory_lock({KEY}) from written
            """,  # noqa: S608 -- a quoted identifier
            values,
        )

    def forget(self, number: int) -> Request:
        """Take back that a statement was begun: it has left nothing."""
        return Request(
            f"delete from {self._name} where closed_at is null and migration_type = $1 "  # noqa: S608 -- a quoted identifier
            "and coalesce(version, filename) = $2 and number = $3::int and state = 'begun'",
            (*self._key, str(number)),
        )

    def close(self) -> Request:
        """The file is whole: its entries are history."""
        return Request(
            f"""
            update {self._name} set closed_at = pg_catalog.clock_timestamp(),
                closed_as = 'completed', closed_by = $3
            where closed_at is null and migration_type = $1
                and coalesce(version, filename) = $2
            """,  # noqa: S608 -- a quoted identifier
            (*self._key, self._applied_by),
        )


def read_unfinished(session: Session, found: Bookkeeping) -> UnfinishedFile | None:
    """The file that was begun by statement and is not finished; None when there is none."""
    if found.version < STEP:
        return None
    query = sql.SQL("""
        select version, (pg_catalog.array_agg(filename order by id desc))[1], migration_type,
            count(*) filter (where state = 'done')::int,
            min(number) filter (where state = 'begun' and not coalesce(facts ? {again}, false)),
            coalesce((pg_catalog.array_agg(statement) filter (
                where state = 'begun' and not coalesce(facts ? {again}, false)))[1], ''),
            max(applied_by)
        from {table}
        where closed_at is null
        group by version, migration_type, case when version is null then filename end
        order by max(id) desc
        limit 1
    """).format(table=found.table(TABLE), again=sql.Literal(AGAIN))
    rows = session.compose(query)
    if not rows:
        return None
    version, filename, kind, done, doubtful, statement, applied_by = rows[0]
    return UnfinishedFile(
        version=version or "",
        file=filename,
        direction=Direction(kind),
        statements_done=done,
        statement_in_doubt=doubtful or 0,
        statement=statement,
        applied_by=applied_by,
    )
