"""Makes a connection: to the right one of several hosts, with a network that may fail in view.

What writes is connected to a server that can be written, and is told why there is none.
What reads prefers the primary where there are several hosts: a standby may lag behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import psycopg

from dbmigrate.errors import UnreachableError
from dbmigrate.postgres.server.doubting import Connection
from dbmigrate.postgres.server.unreachable import unreachable

if TYPE_CHECKING:
    from dbmigrate.postgres.server.interruption import Interruption
    from dbmigrate.postgres.server.settings import ConnectionSettings, SessionSettings

_WRITABLE: Final = ("read-write", "primary")
_STANDBY: Final = "StandbyServer"
NETWORK: Final = {
    "keepalives": "1",
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""A network that is cut is noticed within a minute, not within hours: by keepalives while we
wait (20 s and 3 probes), by the kernel's own timeout while something of ours is on its way."""


_SERVER_SIDE: Final = {
    "keepalives_idle": "tcp_keepalives_idle",
    "keepalives_interval": "tcp_keepalives_interval",
    "keepalives_count": "tcp_keepalives_count",
    "tcp_user_timeout": "tcp_user_timeout",
}


def server_side(params: Mapping[str, str]) -> dict[str, str]:
    """The same for the server: by itself it would keep a vanished runner's locks for hours.

    Its parameters (PostgreSQL manual, 20.3.2) mean what libpq's keywords do, in the same units;
    over a Unix socket they mean nothing.
    """
    return {name: _number(params, key) for key, name in _SERVER_SIDE.items()}


def _number(params: Mapping[str, str], keyword: str) -> str:
    text = params.get(keyword, "")
    return text if text.isdecimal() else NETWORK[keyword]


def cut_after(params: Mapping[str, str]) -> float:
    """Seconds of silence after which a network counts as cut."""
    idle, interval, count = (
        int(_number(params, key)) or int(NETWORK[key])
        for key in ("keepalives_idle", "keepalives_interval", "keepalives_count")
    )
    return float(idle + interval * count)


def open_connection(
    settings: ConnectionSettings, wanted: SessionSettings, interruption: Interruption
) -> Connection:
    """A connection in autocommit, in which nothing was asked yet.

    Raises:
        UnreachableError: there is none; its code says why.
        Interrupted: a signal came while connecting.
    """
    given = settings.params.get("target_session_attrs")
    if wanted.is_writing:
        attributes = given if given in _WRITABLE else "read-write"
        try:
            return _attempt(settings, wanted, interruption, attributes)
        except UnreachableError as error:
            if error.error_code != _STANDBY:
                raise
            raise _explained(error, settings, wanted, interruption) from None
    if given is None and (wanted.wants_primary or "," in settings.params.get("host", "")):
        try:
            return _attempt(settings, wanted, interruption, "primary")
        except UnreachableError as error:
            if wanted.wants_primary or error.error_code != _STANDBY:
                raise
    return _attempt(settings, wanted, interruption, given)


def _attempt(
    settings: ConnectionSettings,
    wanted: SessionSettings,
    interruption: Interruption,
    attributes: str | None,
) -> Connection:
    parameters: dict[str, str | int] = {
        "connect_timeout": max(2, round(wanted.connect_timeout)),
        **NETWORK,
        **settings.params,
        "application_name": f"dbmigrate/{wanted.command}",
        "client_encoding": "UTF8",
    }
    parameters.pop("target_session_attrs", None)
    if attributes is not None:
        parameters["target_session_attrs"] = attributes
    try:
        with interruption.raising():
            return Connection.connect(autocommit=True, **parameters)  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise unreachable(error, settings.params, settings.place, settings.origin) from None


_READ_ONLY: Final = """
    select pg_catalog.pg_is_in_recovery(), (
        select s.source from pg_catalog.pg_settings as s
        where s.name operator(pg_catalog.=) 'default_transaction_read_only'
    )
"""


def _explained(
    error: UnreachableError,
    settings: ConnectionSettings,
    wanted: SessionSettings,
    interruption: Interruption,
) -> UnreachableError:
    """Tell a standby from a primary that somebody has made read-only: libpq does not."""
    try:
        connection = _attempt(settings, wanted, interruption, "primary")
    except UnreachableError:
        return error
    try:
        with connection, interruption.raising():
            row = connection.execute(_READ_ONLY).fetchone()
    except psycopg.Error:
        return error
    source = row[1] if row else "default"
    return UnreachableError(
        f"{settings.place} is read-only: default_transaction_read_only is on ({source})",
        code="ReadOnlyDatabase",
        hint="find out who switched it on (a managed server does when its disk is full); to "
        "migrate all the same, connect with options=-cdefault_transaction_read_only=off",
    )
