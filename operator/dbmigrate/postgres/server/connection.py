"""A session with the database, set up so that nothing outside cuts a migration short.

What it is set up with is kept by the session, so that it can be set again after a file has
changed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import psycopg

from dbmigrate.errors import RefusedError, UnreachableError
from dbmigrate.postgres.server.doubting import Connection
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.opening import cut_after, open_connection
from dbmigrate.postgres.server.session import (
    SYNC,
    Batch,
    ConnectionLostError,
    Reply,
    Request,
    Session,
)
from dbmigrate.postgres.server.settings import ConnectionSettings, SessionSettings
from dbmigrate.postgres.server.unreachable import unreachable
from dbmigrate.postgres.server.watchdog import Watchdog

OLDEST_SERVER = 140000
"""PostgreSQL 14, in the form of libpq's ``PQserverVersion``."""
_BESIDE = 2.0
"""Seconds that the connection may take which asks what became of an answer."""
_CLIENT_CHECK = ("client_connection_check_interval", "5s")
"""The server looks whether we still live during a long statement. Where its system cannot
tell (no epoll), it refuses the setting: then it finds out when it next speaks to us."""
_NOTHING_SET = "SELECT 0"
"""The command tag of `_apply` in another server process than the one it is for."""
_DURABLE = """
    pg_catalog.set_config('synchronous_commit',
        case pg_catalog.current_setting('synchronous_commit')
            when 'off' then 'on' else pg_catalog.current_setting('synchronous_commit') end, {local})
"""
"""What was told to be committed survives a crash of the server, whatever the application chose."""


def _apply(
    values: Mapping[str, str], *, only_in: int | None = None, local: bool = False
) -> Request:
    """Set the parameters, and nothing when another server process than `only_in` is asked."""
    is_local = "true" if local else "false"
    calls = (
        f"pg_catalog.set_config(${number}, ${number + 1}, {is_local})"
        for number in range(1, 2 * len(values), 2)
    )
    params = tuple(text for pair in values.items() for text in pair)
    statement = f"select {', '.join(calls)}, {_DURABLE.format(local=is_local)}"
    if only_in is not None:
        statement += f" where pg_catalog.pg_backend_pid() operator(pg_catalog.=) {only_in}"
    return Request(statement, params)


def connect(
    settings: ConnectionSettings, wanted: SessionSettings, interruption: Interruption
) -> Session:
    """Connect and set the session up.

    Through a connection pooler nothing is set before it is known that the session is ours
    alone. A session that only reads is not asked to prove that: all that it does is one
    read-only transaction, which ends with it (`Session.is_pooled`).

    Raises:
        UnreachableError: there is no usable connection; its code says why.
        RefusedError: the server is too old (ServerTooOld).
        Interrupted: a signal came while connecting.
    """
    connection = open_connection(settings, wanted, interruption)
    try:
        version = connection.info.server_version
        require_supported(version)
        session = _set_up(
            _Opened(settings, wanted, interruption, connection),
            wanted.values(version, settings.params),
        )
    except BaseException:
        connection.close()
        raise
    if wanted.is_writing:
        _look_after(session, settings, wanted)
    return session


def _look_after(session: Session, settings: ConnectionSettings, wanted: SessionSettings) -> None:
    """Do not wait for ever for an answer that was lost on its way."""
    beside = replace(wanted, is_writing=False, connect_timeout=_BESIDE, owns_session=True)

    def connect_beside() -> Session:
        # A signal must not end this: it is asked during COMMIT too.
        return connect(settings, beside, Interruption())

    connection = session.connection
    connection.doubt = Watchdog(connect_beside, session, f"dbmigrate/{wanted.command}").look
    connection.doubt_after = cut_after(settings.params)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A connection in which nothing was set yet, and how it came about."""

    settings: ConnectionSettings
    wanted: SessionSettings
    interruption: Interruption
    connection: Connection

    @property
    def patience(self) -> Batch:
        """Of a server that accepted the connection, and then does not answer."""
        limit = max(2.0, self.wanted.connect_timeout)

        def on_silence(_number: int, seconds: float) -> None:
            if seconds >= limit:
                raise UnreachableError(
                    f"{self.settings.place} accepted the connection, and then did not answer "
                    f"for {limit:g} s",
                    code="ConnectTimeout",
                    hint="look whether the server, or a pooler before it, is overloaded",
                )

        return Batch(on_silence=on_silence)


def _set_up(opened: _Opened, values: dict[str, str]) -> Session:
    """The session with its settings; one round trip where there is no pooler."""
    connection = opened.connection
    told = connection.info.backend_pid
    session = Session(connection, opened.interruption, _apply(values))
    once = _apply(values, only_in=told)
    client_check = _apply(dict([_CLIENT_CHECK]), only_in=told)
    replies = list(session.run((once, SYNC, client_check, SYNC), opened.patience))
    _require_set(replies[0])
    if replies[0].tag == _NOTHING_SET:
        session.is_pooled = True
        if not (opened.wanted.is_writing or opened.wanted.owns_session):
            return _set_up_transaction(opened, session, values)
        if not opened.wanted.owns_session:
            session.pid = _own_session(opened)
        replies = list(session.run((session.restore, SYNC, _apply(dict([_CLIENT_CHECK])), SYNC)))
        _require_set(replies[0])
    if replies[1].error is None:
        session.restore = _apply({**values, **dict([_CLIENT_CHECK])})
    return session


def _own_session(opened: _Opened) -> int:
    from dbmigrate.postgres.server.pooler import require_own_session  # noqa: PLC0415 -- seldom needed

    settings = opened.settings
    try:
        return require_own_session(
            opened.connection,
            lambda: open_connection(settings, opened.wanted, opened.interruption),
            opened.interruption,
            place=settings.place,
            limit=max(2.0, opened.wanted.connect_timeout),
        )
    except psycopg.Error as error:
        raise unreachable(error, settings.params, settings.place, settings.origin) from None


def _set_up_transaction(opened: _Opened, session: Session, values: dict[str, str]) -> Session:
    """All in one transaction: a pooler gives it one server session, and gets it back unchanged."""
    session.owns_server = False
    session.restore = _apply(values, local=True)
    requests = (Request("begin transaction read only"), session.restore, SYNC)
    try:
        begun, applied = session.run(requests, opened.patience)
    except ConnectionLostError:
        from dbmigrate.postgres.server.pooler import no_transaction  # noqa: PLC0415 -- seldom needed

        raise no_transaction(opened.settings.place) from None
    _require_set(begun)
    _require_set(applied)
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
