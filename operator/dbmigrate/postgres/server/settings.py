"""What a connection and a session are made with: where the database is, what is set for us.

A role's or database's own settings (ALTER ROLE … SET statement_timeout) do not apply to our
timeouts: each is set for the session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbmigrate.postgres.server.opening import server_side

_TRANSACTION_TIMEOUT = 170000
CATALOG = "pg_catalog"
"""A search_path in which every operator of our own statements is the server's."""


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Where the database is, in libpq's own keywords (PostgreSQL manual, section 34.1.2)."""

    params: Mapping[str, str] = field(repr=False)
    """host, port, dbname, user, password, sslmode …; what is missing libpq finds as psql does."""
    origin: str
    """Where they come from, for people: ``--database``, ``DATABASE_URL``, a file's name."""

    @property
    def place(self) -> str:
        """Host, port and database for messages; never the password."""
        host = self.params.get("host") or self.params.get("hostaddr") or "the default host"
        port = self.params.get("port")
        name = self.params.get("dbname")
        return (f"{name} at " if name else "") + host + (f":{port}" if port else "")


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What a session is set up with. Durations are seconds; 0 means no limit."""

    command: str
    environment: str | None = None
    is_writing: bool = False
    """It may change the database: refused on a standby. Else its transactions are read-only."""
    wants_primary: bool = False
    """It reads, but what a standby says would not do."""
    connect_timeout: float = 10.0
    lock_timeout: float = 5.0
    search_path: str | None = None
    """For statements of our own; None is the role's, in which an operator may be anybody's."""
    owns_session: bool = False
    """The run has found already that a pooler in between, if there is one, keeps them apart."""

    def values(self, server_version: int, params: Mapping[str, str]) -> dict[str, str]:
        """The run-time parameters of the session, by name.

        Args:
            server_version: as libpq has it.
            params: the connection's keywords.
        """
        values = {
            "client_encoding": "UTF8",
            "standard_conforming_strings": "on",  # what the reader of statements assumes
            "statement_timeout": "0",  # a limit is for migrations: see `Execution`
            "lock_timeout": milliseconds(self.lock_timeout),
            "idle_in_transaction_session_timeout": "0",
            "idle_session_timeout": "0",
            "default_transaction_read_only": "off" if self.is_writing else "on",
            "app.environment": self.environment or "",
        }
        values |= server_side(params)
        if self.search_path is not None:
            values["search_path"] = self.search_path
        if server_version >= _TRANSACTION_TIMEOUT:
            values["transaction_timeout"] = "0"
        return values


def milliseconds(seconds: float) -> str:
    """A duration as PostgreSQL's settings take it."""
    return str(round(seconds * 1000))
