"""Whether a connection pooler that stands between us and the server lets us have a session.

A pooler in transaction or statement mode gives each transaction whichever server session
is free: an advisory lock or a setting of ours would stay behind in one that the application
uses next. So it is found out before anything is left there, by questions alone.

That there is a pooler is known from the pid in the protocol's BackendKeyData (PostgreSQL
manual, 55.2.1): it is the server process's own unless somebody made it up. The mode is then
found by what only a shared pool does: our connection is answered by another process than
before, or another connection is served by our connection's process. Nothing is asked of the
pooler itself: that is for its administrators, and differs from one to the next.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.pq import ExecStatus

from dbmigrate import redaction
from dbmigrate.errors import UnreachableError
from dbmigrate.postgres.server.doubting import Connection

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

    from dbmigrate.postgres.server.interruption import Interruption

_WHO: Final = """
    select pg_catalog.pg_backend_pid(), pg_catalog.host(pg_catalog.inet_client_addr())
"""
_ASKED: Final = 4
"""Questions by the first connection alone: they show a pool that goes round."""
_ROUNDS: Final = 8
"""Second connections whose word counts; several processes may listen at one address."""
_CONNECTIONS: Final = 24
"""Second connections at most: of several poolers behind one name only the first one's tell."""
_QUEUED: Final = 6.0
"""Seconds after which a second connection without an answer waits for a free server session, if
the first one is answered all the while. On a busy machine a server process may be silent for
one or two."""
_BETWEEN: Final = 0.5
"""Seconds between two questions of the first connection meanwhile."""
_NO_BLOCK: Final = (None, "08P01")
"""How BEGIN fails in PgBouncer's statement mode: the connection is closed, or an error of its own
comes, and they all have this SQLSTATE."""
_ADVICE: Final = (
    "migrate at the server itself: give its own host and port by --direct-database, "
    "DIRECT_DATABASE_URL or the Secret's key direct-uri"
)


@dataclass(frozen=True, slots=True)
class _Server:
    """Which server process answered, and whom it takes for its client: the pooler's address."""

    pid: int
    client: str


class _SharedError(Exception):
    """The proof that server sessions are shared."""


class _UnknownError(Exception):
    """No second connection came the same way as the first."""


class _SilentError(Exception):
    """No answer in time."""


def require_own_session(
    first: Connection,
    another: Callable[[], Connection],
    interruption: Interruption,
    *,
    place: str,
    limit: float,
) -> int:
    """The pid of the server process that serves this connection alone, behind a pooler.

    Args:
        first: the connection; nothing was set in it, and nothing is.
        another: makes one more connection to the same place.
        interruption: is obeyed while waiting.
        place: for messages.
        limit: seconds that one answer may take.

    Raises:
        UnreachableError: each transaction may get another server session (PoolerInTheWay),
            or no answer came (PoolerBusy).
        psycopg.Error: a connection could not be made, or broke.
        Interrupted: a signal came.
    """
    try:
        return _Proof(first, another, interruption, place, limit).find()
    except _SharedError:
        raise _in_the_way(
            place, "gives each transaction whichever server session is free (transaction pooling)"
        ) from None
    except _UnknownError:
        raise _in_the_way(place, "has many addresses, so that its mode cannot be found") from None
    except _SilentError:
        shown = redaction.by_position(place)
        raise UnreachableError(
            f"{shown} is a connection pooler and has no server session free within {limit:g} s",
            code="PoolerBusy",
            hint=f"wait until it has; better, {_ADVICE}",
        ) from None


def no_transaction(place: str) -> UnreachableError:
    """The error for a pooler that ended the connection at BEGIN."""
    return _in_the_way(place, "allows no transaction (statement pooling), or ended just now")


def _in_the_way(place: str, what: str) -> UnreachableError:
    return UnreachableError(
        f"{redaction.by_position(place)} is a connection pooler that {what}; "
        "a migration needs one session from beginning to end",
        code="PoolerInTheWay",
        hint=f"{_ADVICE}; or use a pool in session mode",
    )


@dataclass(frozen=True, slots=True)
class _Proof:
    """Looks for the proof of sharing; while there is none, the session may be our own."""

    first: Connection
    another: Callable[[], Connection]
    interruption: Interruption
    place: str
    limit: float

    def find(self) -> int:
        own = self._who(self.first)
        for _ in range(_ASKED):
            self._still(own)
        worth = 0
        for _ in range(_CONNECTIONS):
            with contextlib.closing(self.another()) as second:
                worth += self._round(own, second)
            if worth >= _ROUNDS:
                return own.pid
        raise _UnknownError

    def _round(self, own: _Server, second: Connection) -> int:
        """Hold a transaction by a second connection; its word's worth, in rounds."""
        _send(second, "begin")
        try:
            begun = self._patiently(own, second)
        except psycopg.Error as error:
            if error.sqlstate in _NO_BLOCK:
                raise no_transaction(self.place) from None
            raise
        if begun is None:
            return _ROUNDS  # it waits for a free server session and we, who ask later, do not
        other = self._who(second)
        if other.pid == own.pid:
            raise _SharedError
        self._still(own)
        _send(second, "rollback")
        self._answer(second, self.limit)
        return int(other.client == own.client)

    def _patiently(self, own: _Server, second: Connection) -> PGresult | None:
        """The second connection's answer; None when the first is answered again and again."""
        deadline = time.monotonic() + min(_QUEUED, self.limit)
        while (begun := self._answer(second, _BETWEEN)) is None:
            self._still(own)
            if time.monotonic() >= deadline:
                return self._answer(second, 0)
        return begun

    def _still(self, own: _Server) -> None:
        if self._who(self.first).pid != own.pid:
            raise _SharedError

    def _who(self, connection: Connection) -> _Server:
        _send(connection, _WHO)
        result = self._answer(connection, self.limit)
        if result is None:
            raise _SilentError
        return _Server(
            int(result.get_value(0, 0) or b"0"), (result.get_value(0, 1) or b"").decode()
        )

    def _answer(self, connection: Connection, limit: float) -> PGresult | None:
        """The answer to what was sent; None when it does not come within so many seconds."""
        pgconn = connection.pgconn
        deadline = time.monotonic() + limit
        poll = select.poll()
        poll.register(pgconn.socket, select.POLLIN)
        poll.register(self.interruption.fileno(), select.POLLIN)
        while pgconn.is_busy():
            self.interruption.check()
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            pgconn.consume_input()
        result = pgconn.get_result()
        while (more := pgconn.get_result()) is not None:
            result = more
        if result is None:
            raise psycopg.OperationalError(pgconn.get_error_message())
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)
        return result


def _send(connection: Connection, text: str) -> None:
    # By the extended protocol, as all that the run sends.
    connection.pgconn.send_query_params(text.encode(), None)
