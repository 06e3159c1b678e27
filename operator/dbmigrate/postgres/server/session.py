"""One server session: queries of our own, and batches that are sent in few round trips.

A migration's statements go to the server exactly as they stand in the file, each by the
extended protocol (so that a text which the server takes for two statements is an error,
never two statements), in libpq's pipeline mode (PostgreSQL manual, section 34.5): the
next one is on its way while the server works. What is executed and what it means is not
known here.
"""

from __future__ import annotations

import contextlib
import enum
import select
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import pq
from psycopg.sql import SQL, Composed

from dbmigrate.postgres.server.doubting import Connection
from dbmigrate.postgres.server.interruption import Interrupted, Interruption

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

_WINDOW = 1 << 20
"""Bytes that are sent ahead of the server's answers; what is more waits here, not in libpq."""
_OVERHEAD = 256
"""What a request on its way takes beside its text, here and in libpq, in bytes about."""
_CHUNK = 256
"""Rows of a migration's own SELECT that are held at a time, before they are dropped."""
_CANCEL_AGAIN = 0.25
"""Seconds: a cancel that arrives between two statements is lost, so it is sent again."""
_CANCEL_LIMIT = 10.0
"""Seconds after which a server that does not answer to cancels is left alone."""
_TEXT_LIMIT = 8192
"""Characters of a text of the server's that are kept: RAISE may say megabytes."""
PATIENCE = 0.5
"""Seconds without an answer after which `Batch.on_silence` is told, and again each time."""

_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)
_COPIES = (pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_BOTH)
_ROWS = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.TUPLES_CHUNK, pq.ExecStatus.SINGLE_TUPLE)


class ConnectionLostError(Exception):
    """The connection broke; the server may or may not have done what was in flight."""


@dataclass(frozen=True, slots=True)
class ServerError:
    """What the server says about a statement that failed (PostgreSQL manual, section 55.8)."""

    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""
    position: int = 0
    """The character of the statement, from 1; 0 when the server names none."""
    context: str = ""
    severity: str = "ERROR"

    @classmethod
    def of(cls, result: PGresult) -> ServerError:
        """From a failed result."""

        def text(field: pq.DiagnosticField) -> str:
            value = result.error_field(field)
            return _cut(value.decode("utf-8", "replace")) if value else ""

        field = pq.DiagnosticField
        return cls(
            sqlstate=text(field.SQLSTATE),
            message=text(field.MESSAGE_PRIMARY) or result.get_error_message().strip(),
            detail=text(field.MESSAGE_DETAIL),
            hint=text(field.MESSAGE_HINT),
            position=int(text(field.STATEMENT_POSITION) or 0),
            context=text(field.CONTEXT),
            severity=text(field.SEVERITY_NONLOCALIZED) or "ERROR",
        )


_NO_COPY = ServerError(
    "0A000",
    "COPY to the client is not possible in a migration",
    hint="Leave it out: nobody reads what it would send.",
)


class Mode(enum.Enum):
    """What is done with a request's text."""

    EXECUTE = enum.auto()
    PARSE = enum.auto()
    """Prepared and forgotten: the server's grammar judges it, nothing is executed."""
    SYNC = enum.auto()
    """Ends a stretch: after a failure the server skips to here. Has no text."""


@dataclass(frozen=True, slots=True)
class Request:
    """One message of a batch. Parameters are sent apart from the text, as text."""

    sql: str
    params: tuple[str | None, ...] = ()
    mode: Mode = Mode.EXECUTE
    keep_rows: bool = False
    """Its rows are in the reply; else they are dropped as they come."""
    at_once: bool = False
    """The server answers when it is done, not only at the next SYNC: for progress."""


SYNC = Request("", mode=Mode.SYNC)


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's answer to one request (a SYNC has none)."""

    number: int
    """The request's index in its batch."""
    tag: str = ""
    """The command tag, such as ``CREATE TABLE`` or ``INSERT 0 1``."""
    rows: tuple[tuple[str | None, ...], ...] = ()
    error: ServerError | None = None
    skipped: bool = False
    """Not executed, because something before it in its stretch failed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How a batch is run: what the waiting allows and tells."""

    interruptible: bool = True
    shielded: int = 0
    """How many of its first requests no signal interrupts: a COMMIT and its SYNC."""
    on_silence: Callable[[int, float], None] | None = None
    """Told the request in flight and for how many seconds the server has been silent."""


class Session:
    """A psycopg connection in autocommit, and what psycopg does not do for us."""

    def __init__(
        self, connection: Connection, interruption: Interruption, restore: Request
    ) -> None:
        """Args: restore sets the session's own settings, also after a file has changed them."""
        self.connection = connection
        self.restore = restore
        self.interruption = interruption
        self.pid = connection.info.backend_pid
        """Of the server process; what a pooler made up, as long as nobody asked the server."""
        self.is_pooled = False
        """Behind a connection pooler, which gives the server session to others afterwards."""
        self.owns_server = True
        """Nobody else gets the server session before this one ends."""
        connection.prepare_threshold = None  # each file starts with DEALLOCATE ALL

    @property
    def is_alive(self) -> bool:
        """Whether the connection was still good when last used."""
        return not self.connection.closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction block is open and not failed."""
        return self.connection.pgconn.transaction_status == pq.TransactionStatus.INTRANS

    def close(self) -> None:
        """Close the connection: the server undoes an open transaction and frees the lock."""
        if self.connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            # The server would notice the end of a long statement's client only later.
            with contextlib.suppress(psycopg.Error):
                self.connection.cancel_safe(timeout=2)
        elif self.is_pooled:
            self._give_back()
        self.connection.close()

    def _give_back(self) -> None:
        """Leave nothing in a server session that others get; not every pooler clears it."""
        with contextlib.suppress(psycopg.Error):
            if self.connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                self.connection.execute("rollback")
            if self.owns_server:
                self.connection.execute("discard all")

    def query(
        self, sql: LiteralString, params: Sequence[object] | Mapping[str, object] = ()
    ) -> list[tuple[Any, ...]]:
        """One statement of our own with bound parameters (``%s``, ``%(name)s``); its rows.

        Raises:
            ConnectionLostError: the connection broke.
            psycopg.Error: the server refused it.
        """
        return self.compose(sql, params)

    def compose(
        self,
        sql: LiteralString | SQL | Composed,
        params: Sequence[object] | Mapping[str, object] = (),
    ) -> list[tuple[Any, ...]]:
        """As `query`, for a text that was put together by psycopg.sql."""
        with self.guarding():
            cursor = self.connection.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def guarding(self) -> Iterator[None]:
        """Around what psycopg does on the connection: it may be interrupted, and may break.

        Raises:
            ConnectionLostError: in place of psycopg's error, when the connection broke.
            Interrupted: a signal came.
        """
        try:
            with self.interruption.raising():
                yield
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if self.connection.closed:
                raise ConnectionLostError(str(error).strip()) from error
            raise

    def run(self, requests: Iterable[Request], batch: Batch | None = None) -> Iterator[Reply]:
        """Send a batch, and yield its replies in order; a `SYNC` ends it, given or not.

        The requests are taken one by one, about a mebibyte ahead of the replies: a lazy
        iterable is never whole in memory. The replies must be read to their end. A failed
        statement is a reply, not an exception; those behind it in its stretch are skipped,
        and have no reply when they were not yet sent.

        Raises:
            ConnectionLostError: the connection broke; requests without a reply are in doubt.
            Interrupted: after the statement in flight was cancelled.
            Exception: what the iterable raised, after the replies to what it gave before; the
                connection is as usable as after a failed statement.
        """
        batch = batch or Batch()
        pgconn = self.connection.pgconn
        if batch.interruptible and not batch.shielded:
            self.interruption.check()
        try:
            pgconn.enter_pipeline_mode()
            nonblocking, pgconn.nonblocking = pgconn.nonblocking, 1
            broken_off = yield from self._exchange(pgconn, requests, batch)
            pgconn.nonblocking = nonblocking
            pgconn.exit_pipeline_mode()
        except psycopg.OperationalError as error:
            raise ConnectionLostError(str(error).strip()) from error
        if broken_off is not None:
            raise broken_off

    def _exchange(
        self, pgconn: pq.abc.PGconn, requests: Iterable[Request], batch: Batch
    ) -> Generator[Reply, None, BaseException | None]:
        """Give the replies, and in the end what the batch was broken off by, if it was."""
        waiting = _Waiting(self, batch)
        outgoing = _Outgoing(requests)
        expected: deque[_Sent] = deque()
        ahead = 0
        reading = _Reading(pgconn)
        while outgoing.has_more or expected:
            if waiting.cancelled_at is not None:
                outgoing.stop()
            while ahead < _WINDOW and (request := outgoing.take()) is not None:
                stretch = outgoing.stretch
                size = _send(pgconn, request)
                expected.append(_Sent(outgoing.taken - 1, request, size, stretch))
                ahead += size
                if ahead >= _WINDOW:
                    pgconn.send_flush_request()  # else the server may keep all answers to itself
            unsent = bool(pgconn.flush())
            while expected and reading.is_ready(expected[0]):
                sent = expected[0]
                is_over, reply = reading.take(sent)
                if is_over:
                    expected.popleft()
                    ahead -= sent.size
                    waiting.heard()
                if reply is not None:
                    if reply.error is not None:
                        outgoing.failed = sent.stretch
                    yield reply
            if expected:
                waiting.wait(pgconn, expected[0].number, unsent=unsent)
        return outgoing.error if waiting.cancelled_at is None else Interrupted()

    def copy_in(self, sql: str, data: Iterable[bytes]) -> ServerError | None:
        """Run ``COPY … FROM stdin`` with its data, given in parts; None when it succeeded.

        Raises:
            ConnectionLostError: the connection broke.
            Interrupted: after it was cancelled.
            Exception: what the iterable raised; the server has failed the statement then.
        """
        try:
            # psycopg is given no parameters, so nothing in the text is interpreted.
            with (
                self.interruption.raising(),
                self.connection.cursor() as cursor,
                cursor.copy(sql.encode()) as copy,
            ):
                for part in data:
                    copy.write(part)
        except psycopg.Error as error:
            if self.connection.closed:
                raise ConnectionLostError(str(error)) from error
            if error.pgresult is not None:
                return ServerError.of(error.pgresult)
            return ServerError(error.sqlstate or "", str(error))
        return None


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request that the server has not answered yet."""

    number: int
    request: Request
    size: int
    stretch: int


class _Outgoing:
    """Requests that are still to be sent, ended by a SYNC whatever becomes of their source."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self.requests = iter(requests)
        self.taken = 0
        self.stretch = 0
        """Counts up with each SYNC."""
        self.failed = -1
        """The stretch that failed last."""
        self.error: Exception | None = None
        self.has_more = True
        self.is_open = False
        """What was taken last still needs a SYNC behind it."""

    def take(self) -> Request | None:
        """The next one to be sent, or None; what the server would skip anyway is left out."""
        while self.has_more:
            request = self._next()
            if request is None:
                self.has_more = False
                if not self.is_open:
                    return None
                request = SYNC
            self.taken += 1
            if request.mode is Mode.SYNC:
                self.is_open = False
                self.stretch += 1
                return request
            if self.stretch != self.failed:
                self.is_open = True
                return request
        return None

    def stop(self) -> None:
        """Take no more from the source."""
        self.requests = iter(())

    def _next(self) -> Request | None:
        try:
            return next(self.requests, None)
        except Exception as error:  # noqa: BLE001 -- raised again when the server has answered
            self.error = error
            return None


class _Reading:
    """Puts the results of one request after the other together."""

    def __init__(self, pgconn: pq.abc.PGconn) -> None:
        self.pgconn = pgconn
        self.reply: Reply | None = None
        self.rows: list[tuple[str | None, ...]] = []
        self.begun = -1

    def is_ready(self, sent: _Sent) -> bool:
        """Whether `take` would not wait for the server."""
        if self.begun != sent.number:
            self.begun = sent.number
            if sent.request.at_once:
                # Before libpq looks at its input, and only while it is at this request: else it
                # refuses, and all rows come at once.
                with contextlib.suppress(psycopg.OperationalError):
                    self.pgconn.set_chunked_rows_mode(_CHUNK)
        return not self.pgconn.is_busy()

    def take(self, sent: _Sent) -> tuple[bool, Reply | None]:
        """One result of that request: whether it was the last, and the reply when it was."""
        number = sent.number
        result = self.pgconn.get_result()
        if result is not None and result.status in _COPIES:
            # libpq has no COPY in a pipeline and would give this result again for ever; only
            # the connection's end leaves it. The server undoes the transaction.
            self.pgconn.finish()
            return True, Reply(number, error=_NO_COPY)
        if result is None:  # libpq's mark of a query's end
            reply, self.reply, self.rows = self.reply, None, []
            if reply is None:
                raise ConnectionLostError(self.pgconn.get_error_message().strip())
            return True, reply
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            return True, None
        if sent.request.keep_rows and result.status in _ROWS:
            self.rows.extend(_rows(result))
        self.reply = _reply(number, result, self.rows)
        return False, None


class _Waiting:
    """Waits for the server, for a signal, and for patience to end."""

    def __init__(self, session: Session, batch: Batch) -> None:
        self.session = session
        self.batch = batch
        self.silent_since = self.told_at = self.doubted_at = time.monotonic()
        self.cancelled_at: float | None = None
        self.cancelled_first = 0.0
        self.wanted = 0
        self.poll = select.poll()
        self.is_open_to_signals = False

    def heard(self) -> None:
        self.silent_since = self.told_at = self.doubted_at = time.monotonic()

    def wait(self, pgconn: pq.abc.PGconn, number: int, *, unsent: bool) -> None:
        """Until the socket has something for us, or some time has passed.

        Args:
            pgconn: the session's.
            number: of the request that the server is at.
            unsent: something waits to be sent.
        """
        if not self.is_open_to_signals:
            self.is_open_to_signals = self.batch.interruptible and number >= self.batch.shielded
            if self.is_open_to_signals:
                self.poll.register(self.session.interruption.fileno(), select.POLLIN)
        wanted = select.POLLIN | (select.POLLOUT if unsent else 0)
        if wanted != self.wanted:
            self.wanted = wanted
            self.poll.register(pgconn.socket, wanted)
        ready = self.poll.poll((_CANCEL_AGAIN if self.cancelled_at else PATIENCE) * 1000)
        now, connection = time.monotonic(), self.session.connection
        if any(fd == pgconn.socket for fd, _ in ready):
            pgconn.consume_input()
        elif ready or self.cancelled_at is not None:
            self.cancel(now)
        elif connection.doubt and now - self.doubted_at >= connection.doubt_after:
            self.doubted_at = now
            connection.give_up(connection.doubt())
        elif self.batch.on_silence and now - self.told_at >= PATIENCE:
            self.told_at = now
            self.batch.on_silence(number, now - self.silent_since)

    def cancel(self, now: float) -> None:
        if self.cancelled_at is None:
            self.cancelled_first = now
            self.poll.unregister(self.session.interruption.fileno())
        elif now - self.cancelled_first > _CANCEL_LIMIT:
            raise Interrupted
        self.cancelled_at = now
        # A second connection may be refused or dropped: it is tried again, up to the limit.
        with contextlib.suppress(psycopg.OperationalError):
            self.session.connection.cancel_safe(timeout=2)


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "…"


def _send(pgconn: pq.abc.PGconn, request: Request) -> int:
    if request.mode is Mode.SYNC:
        pgconn.pipeline_sync()
        return 5
    sql = request.sql.encode()
    if request.mode is Mode.PARSE:
        pgconn.send_prepare(b"", sql)
    else:
        params = [None if value is None else value.encode() for value in request.params]
        pgconn.send_query_params(sql, params or None)
        if request.at_once:
            pgconn.send_flush_request()
    return _OVERHEAD + len(sql) + sum(len(value) for value in request.params if value)


def _rows(result: PGresult) -> Iterator[tuple[str | None, ...]]:
    for row in range(result.ntuples):
        values = (result.get_value(row, column) for column in range(result.nfields))
        yield tuple(None if value is None else value.decode() for value in values)


def _reply(number: int, result: PGresult, rows: list[tuple[str | None, ...]]) -> Reply:
    if result.status == pq.ExecStatus.PIPELINE_ABORTED:
        return Reply(number, skipped=True)
    if result.status in _FAILED:
        return Reply(number, error=ServerError.of(result))
    return Reply(number, (result.command_status or b"").decode(), tuple(rows))
