"""The transaction that all checks run in, and the proof that it is still the same one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import tuple_row

from dbmigrate.errors import RefusedError
from dbmigrate.postgres.integrity.probe import CheckError

if TYPE_CHECKING:
    pass


class Snapshot:
    """The transaction that the checks run in, and the proof that it is still the same one."""

    _IDENTITY = """
        SELECT
            pg_catalog.current_setting('transaction_read_only'),
            pg_catalog.current_setting('transaction_isolation'),
            pg_catalog.pg_backend_pid(),
            pg_catalog.pg_current_snapshot()::pg_catalog.text,
            pg_catalog.now()
    """

    # The catalogue is read with the snapshot, pg_relation_filenode() as of now; the locks that this
    # transaction holds tell which tables the check has read, and keep them from changing meanwhile.
    _CHANGED = """
        SELECT coalesce(class.relname::text, lock.relation::text)
        FROM pg_catalog.pg_locks AS lock
        LEFT JOIN pg_catalog.pg_class AS class ON class.oid = lock.relation
        WHERE
            lock.pid = pg_catalog.pg_backend_pid()
            AND lock.locktype = 'relation'
            AND lock.database = (
                SELECT oid FROM pg_catalog.pg_database
                WHERE datname = pg_catalog.current_database()
            )
            AND (
                -- An index made meanwhile does no harm; its definition is read as of now, too.
                class.oid IS NULL AND pg_catalog.pg_get_indexdef(lock.relation) IS NULL
                OR class.relkind IN ('r', 'm', 't')
                AND class.relfilenode <> 0
                AND pg_catalog.pg_relation_filenode(class.oid) IS DISTINCT FROM class.relfilenode
            )
        ORDER BY 1
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._identity = self._ask()
        self.taken_at: datetime = self._identity[-1]
        """The database's clock at the beginning of the transaction."""
        if self._identity[:2] != ("on", "repeatable read"):
            raise RefusedError("the server gave no read-only transaction with one snapshot")

    def _ask(self) -> tuple[Any, ...]:
        row = self._connection.cursor(row_factory=tuple_row).execute(self._IDENTITY).fetchone()
        return tuple(row or ())

    def verify(self) -> None:
        """Raises RefusedError when this is another transaction than the one that was begun."""
        if self._ask() != self._identity:
            raise RefusedError(
                "an integrity check left the read-only transaction; no result is valid",
                code="SnapshotLost",
                hint="Remove the check whose query does that.",
            )

    def verify_tables(self) -> None:
        """Raises CheckError when a table that was read is not what the snapshot knows."""
        rows = self._connection.cursor(row_factory=tuple_row).execute(self._CHANGED)
        changed = [name for (name,) in rows]
        if changed:
            raise CheckError(
                f"truncated, rewritten or created while the checks ran: {', '.join(changed[:5])}; "
                "run them again"
            )
