"""What each of the other tools is to us: how to know its table, read it, and compare files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psycopg import sql

from dbmigrate.errors import RefusedError
from dbmigrate.migrations.foreign import DigestOf, ForeignHistory, no_digests
from dbmigrate.migrations.originals import Form
from dbmigrate.postgres.server.session import Session


@dataclass(frozen=True, slots=True)
class Table:
    """A table of another tool's, where it was found."""

    schema: str
    name: str

    def __str__(self) -> str:
        """``schema.table``, for people."""
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """Quoted."""
        return sql.Identifier(self.schema, self.name)

    def beside(self, name: str) -> sql.Identifier:
        """Another table of the same schema, quoted."""
        return sql.Identifier(self.schema, name)


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. `read` raises a RefusedError of `unfinished` for a state that is not whole."""

    name: str
    """As on the command line."""
    tables: tuple[str, ...]
    """The usual names of its table."""
    columns: frozenset[str]
    """Which it has, at least."""
    read: Callable[[Session, Table], ForeignHistory]
    digests: DigestOf = no_digests
    original: Form | None = None
    """How its own files are named and marked, where they are SQL."""
    exact: bool = False
    """It has those columns and no others."""

    def recognises(self, columns: frozenset[str]) -> bool:
        """Whether a table of these columns is this tool's."""
        return columns == self.columns if self.exact else columns >= self.columns


def unfinished(tool: str, message: str, hint: str) -> RefusedError:
    """The other tool's last run did not end well: nobody knows what of it is in the database."""
    return RefusedError(f"{tool}: {message}", code="AdoptionUnfinished", hint=hint)


LOCAL_TIME = "({} at time zone pg_catalog.current_setting('TimeZone'))::text"
"""A timestamp without its zone, which most tools write, is taken to be of the session's."""
