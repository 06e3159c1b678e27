"""A session with the target database, set up so that nothing outside cuts a migration short.

A role's or database's own settings (ALTER ROLE … SET statement_timeout) do not apply to
our timeouts: each is set for the session. The settings are kept by the session, so that
they can be set again after a file has changed them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg

from dbmigrate.errors import RefusedError
from dbmigrate.postgres.interruption import Interruption
from dbmigrate.postgres.session import SYNC, Reply, Request, Session
from dbmigrate.postgres.unreachable import unreachable

OLDEST_SERVER = 140000
"""PostgreSQL 14, in the form of libpq's ``PQserverVersion``."""
_TRANSACTION_TIMEOUT = 170000
CATALOG = "pg_catalog"
"""A search_path in which every operator of our own statements is the server's."""
_WRITABLE = ("read-write", "primary")


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
    connect_timeout: float = 10.0
    lock_timeout: float = 5.0
    search_path: str | None = None
    """For statements of our own; None is the role's, in which an operator may be anybody's."""

    def values(self, server_version: int) -> dict[str, str]:
        """The run-time parameters of the session, by name."""
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
        if self.search_path is not None:
            values["search_path"] = self.search_path
        if server_version >= _TRANSACTION_TIMEOUT:
            values["transaction_timeout"] = "0"
        return values


_CLIENT_CHECK = ("client_connection_check_interval", "5s")
"""The server looks whether we still live during a long statement. Where its system cannot
tell (no epoll), it refuses the setting: then it finds out when it next speaks to us."""


_DURABLE = """
    pg_catalog.set_config('synchronous_commit',
        case pg_catalog.current_setting('synchronous_commit')
            when 'off' then 'on' else pg_catalog.current_setting('synchronous_commit') end, false)
"""
"""What was told to be committed survives a crash of the server, whatever the application chose."""


def milliseconds(seconds: float) -> str:
    """A duration as PostgreSQL's settings take it."""
    return str(round(seconds * 1000))


def _apply(values: Mapping[str, str]) -> Request:
    calls = (
        f"pg_catalog.set_config(${number}, ${number + 1}, false)"
        for number in range(1, 2 * len(values), 2)
    )
    params = tuple(text for pair in values.items() for text in pair)
    return Request(f"select {', '.join(calls)}, {_DURABLE}", params)


def connect(
    settings: ConnectionSettings, wanted: SessionSettings, interruption: Interruption
) -> Session:
    """Connect and set the session up.

    Raises:
        UnreachableError: there is no usable connection; its code says why.
        RefusedError: the server is too old (ServerTooOld).
        Interrupted: a signal came while connecting.
    """
    try:
        with interruption.raising():
            connection = psycopg.connect(autocommit=True, **_parameters(settings, wanted))  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise unreachable(error, settings.params, settings.place, settings.origin) from None
    try:
        version = connection.info.server_version
        require_supported(version)
        values = wanted.values(version)
        session = Session(connection, interruption, _apply(values))
        client_check = _apply(dict([_CLIENT_CHECK]))
        replies = list(session.run((session.restore, SYNC, client_check, SYNC)))
        _require_set(replies[0])
        if replies[1].error is None:
            session.restore = _apply({**values, **dict([_CLIENT_CHECK])})
    except BaseException:
        connection.close()
        raise
    return session


def _require_set(reply: Reply) -> None:
    if reply.error is not None:
        raise RefusedError(
            f"the session cannot be set up: {reply.error.message}",
            code="SessionRefused",
            hint="the role must be allowed to set its own timeouts",
        )


def require_supported(server_version: int) -> None:
    """Refuse a server that is too old.

    Raises:
        RefusedError: code ServerTooOld.
    """
    if server_version < OLDEST_SERVER:
        major, minor = divmod(server_version, 10000)
        raise RefusedError(
            f"the server is PostgreSQL {major}.{minor}; 14 is the oldest that is supported",
            code="ServerTooOld",
            hint="upgrade the server",
        )


def _parameters(settings: ConnectionSettings, wanted: SessionSettings) -> dict[str, str | int]:
    parameters: dict[str, str | int] = {
        "connect_timeout": max(2, round(wanted.connect_timeout)),
        # A broken network is noticed within a minute, not within hours.
        "keepalives": "1",
        "keepalives_idle": "20",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": "60000",
        **settings.params,
        "application_name": f"dbmigrate/{wanted.command}",
        "client_encoding": "UTF8",
    }
    if wanted.is_writing and parameters.get("target_session_attrs") not in _WRITABLE:
        parameters["target_session_attrs"] = "read-write"
    return parameters
