"""Whether an index is the one that a statement describes.

The server writes an index's definition in its own words (``pg_get_indexdef``), so that of the
statement is put into the same words: by making the index on an empty copy of the table, in a
transaction that is undone. Nothing is decided here where that is not possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from psycopg import sql

from dbmigrate.migrations.sql.tokens import tokens
from dbmigrate.postgres.executing.clearing import OUR_PATH
from dbmigrate.postgres.executing.targets import Target
from dbmigrate.postgres.server.session import SYNC, Request, Session

_COPY: Final = "dbmigrate_shape"
_DEFINITION: Final = """
    select pg_catalog.pg_get_indexdef(i.indexrelid) from pg_catalog.pg_index as i
    where i.indrelid operator(pg_catalog.=) pg_catalog.to_regclass($1)
"""
_METHOD: Final = ("using", "btree")
"""What CREATE INDEX means that names no other (PostgreSQL manual, CREATE INDEX)."""

Shape = tuple[bool, tuple[str, ...]]
"""Whether it is unique, and the tokens from USING on."""


class Shapes:
    """Compares indexes of one table with what a statement would build there.

    Args:
        session: outside of a transaction.
        target: of CREATE INDEX.
        table: its OID.
        role: who executes the statement.
        path: the search_path in which it does; empty when that is not known.
    """

    def __init__(self, session: Session, target: Target, table: int, role: str, path: str) -> None:
        self._session = session
        self._target = target
        self._table = table
        self._role = role
        self._path = path
        self._asked = False
        self._answer: Shape | None = None

    def is_described(self, definition: str) -> bool:
        """Whether an index is surely what the statement describes.

        Args:
            definition: as ``pg_get_indexdef`` gives it where search_path is pg_catalog.
        """
        found = _shape(definition)
        return found in (self._as_written(), self._as_built())

    def _as_written(self) -> Shape:
        words = tuple(tokens(self._target.tail))
        return self._target.is_unique, words if words[:1] == ("using",) else (*_METHOD, *words)

    def _as_built(self) -> Shape | None:
        """As the server would write it; None when it cannot be made out."""
        if not self._asked:
            self._asked, self._answer = True, self._build()
        return self._answer

    def _build(self) -> Shape | None:
        if not self._path:
            return None
        names = self._session.query(
            "select n.nspname, c.relname from pg_catalog.pg_class as c "
            "join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where c.oid = %s",
            [self._table],
        )
        if not names:
            return None
        copied = sql.Identifier(*names[0]).as_string(self._session.connection)
        unique = "unique" if self._target.is_unique else ""
        requests = (
            Request("begin"),
            Request("select pg_catalog.set_config('role', $1, true)", (self._role,)),
            Request("select pg_catalog.set_config('search_path', $1, true)", (self._path,)),
            Request(f"create temporary table pg_temp.{_COPY} (like {copied})"),
            Request(f"create {unique} index on pg_temp.{_COPY} {self._target.tail}"),
            OUR_PATH,  # by which names are qualified there, as in all definitions that we read
            Request(_DEFINITION, (f"pg_temp.{_COPY}",), keep_rows=True),
            SYNC,
        )
        replies = list(self._session.run(requests))
        self._session.query("rollback")
        if any(reply.error is not None for reply in replies):
            return None  # it may lack a right, or what the index calls
        return _shape(_only(replies[-1].rows))


def _only(rows: Sequence[Sequence[Any]]) -> str:
    ((definition,),) = rows
    return str(definition)


def _shape(definition: str) -> Shape:
    words = list(tokens(definition))
    return words[1] == "unique", tuple(words[words.index("using") :])
