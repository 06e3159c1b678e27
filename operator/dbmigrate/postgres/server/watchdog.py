"""Finds out that an answer will never come: the server is done, and we still wait.

A network that is cut is noticed by TCP itself. A program in between (a proxy, a sidecar)
that hangs or forgets a connection is not: its kernel goes on to acknowledge. So after the
time that a cut network would take, and again after each such time, a connection of its own
asks what our server process does. If it has been waiting for us for as long as we have been
waiting for it, it is ended, which undoes what is open and frees its locks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import psycopg

from dbmigrate.errors import DbmigrateError
from dbmigrate.postgres.server.session import ConnectionLostError

if TYPE_CHECKING:
    from dbmigrate.postgres.server.session import Session

_ASK: Final = """
    select a.application_name, a.backend_start::text, a.state_change::text, a.query_start::text,
        a.wait_event
    from pg_catalog.pg_stat_activity as a
    where a.pid operator(pg_catalog.=) %s
"""
_END: Final = "select pg_catalog.pg_terminate_backend(%s)"

_Seen = tuple[str | None, ...]


class Watchdog:
    """Of one session.

    Args:
        connect: makes a connection beside it, with an interruption of its own.
        session: the one that is looked after.
        name: its ``application_name``.
    """

    def __init__(self, connect: Callable[[], Session], session: Session, name: str) -> None:
        self._connect = connect
        self._pid = session.pid
        self._name = name
        self._before: _Seen | None = None

    def look(self) -> str | None:
        """Why no answer can be expected; None while one can, or when nobody can be asked."""
        try:
            session = self._connect()
        except DbmigrateError:
            return None
        with contextlib.closing(session.interruption), contextlib.closing(session):
            try:
                return self._judge(session)
            except (ConnectionLostError, psycopg.Error):
                return None

    def _judge(self, session: Session) -> str | None:
        rows = session.query(_ASK, [self._pid])
        if not rows:
            return "its server process is gone"
        seen: _Seen = rows[0]
        before, self._before = self._before, seen
        # Twice the same: between the two looks it has done nothing but to wait for us. The name
        # tells it from a process that was given the same number later.
        if seen != before or seen[0] != self._name or seen[-1] != "ClientRead":
            return None
        session.query(_END, [self._pid])
        return "its server process has nothing more to do, and its answer did not arrive"
