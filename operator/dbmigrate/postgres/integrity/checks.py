"""Runs integrity checks: read-only, in one snapshot, each under its own savepoint and timeout.

What holds, whatever a check's query says:

* One REPEATABLE READ READ ONLY transaction: all checks see the same moment, and none can write or,
  once the first snapshot is taken, make the transaction read-write. A query is one SELECT behind
  DECLARE CURSOR, so it cannot end the transaction either.
* Each check's savepoint is rolled back, also after a PASS: settings that a query changed by
  set_config() are undone, and its table locks are let go, so that an ALTER TABLE elsewhere waits
  for one check at most.
* row_security is off: a role from which a policy hides rows gets an ERROR, not a PASS.
* A snapshot does not protect from TRUNCATE and from rewriting ALTER TABLE (PostgreSQL manual,
  13.6): the table looks empty. A check that read a table which changed so is an ERROR.

What does not: functions that reach outside of the transaction (dblink, advisory locks of the
session) do what the role may do. Give the checks a connection of their own, never the one that
holds the advisory lock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from dbmigrate.api.report.integrity import IntegrityReport, IntegrityResult
from dbmigrate.errors import RefusedError, UnreachableError
from dbmigrate.postgres.integrity.kinds import probes
from dbmigrate.postgres.integrity.probe import SHOWN, CheckError, Probe, execute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from dbmigrate.api.checks import IntegrityCheck

DETAILS = 1000
"""Characters of a result's details at most."""


def run_checks(
    connection: psycopg.Connection[Any],
    checks: Sequence[IntegrityCheck],
    *,
    statement_timeout: timedelta,
    sample: int = 5,
    progress: Callable[[IntegrityResult], None] | None = None,
) -> IntegrityReport:
    """Run the checks, in their order, and tell what each found.

    Args:
        connection: outside of a transaction; it is left so. Not the one that holds the advisory
            lock: see the module's docstring.
        checks: what must hold.
        statement_timeout: how long each check may take; the rest of it is each statement's limit.
        sample: how many offending rows are named in the details.
        progress: called with each result as soon as it is there.

    Raises:
        UnreachableError: the connection was lost.
        RefusedError: the transaction was not read-only, or not the same any more.
        psycopg.errors.QueryCanceled: somebody cancelled a check before its time was over.
    """
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise RefusedError("integrity checks need a connection outside of a transaction")
    former = connection.isolation_level, connection.read_only, connection.deferrable
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    connection.deferrable = None
    results: list[IntegrityResult] = []
    try:
        with connection.transaction(force_rollback=True):
            snapshot = _Snapshot(connection)
            for check in checks:
                result = _run(connection, check, snapshot, statement_timeout, sample)
                results.append(result)
                if progress is not None:
                    progress(result)
    except psycopg.OperationalError as error:
        if connection.closed:
            raise UnreachableError(
                f"the connection was lost during the integrity checks: {_reason(error)}"
            ) from error
        raise
    finally:
        if not connection.closed:
            connection.isolation_level, connection.read_only, connection.deferrable = former
    return summarise(results, snapshot.taken_at)


def summarise(results: Sequence[IntegrityResult], checked_at: datetime) -> IntegrityReport:
    """The report of these results: how many of which kind, and whether all is well."""
    failed = [result.severity for result in results if result.status == "FAIL"]
    critical, warnings = failed.count("critical"), failed.count("warning")
    errors = sum(result.status == "ERROR" for result in results)
    parts = [
        text
        for number, text in (
            (critical, f"{critical} critical"),
            (warnings, f"{warnings} warning" + "s" * (warnings != 1)),
            (errors, f"{errors} error" + "s" * (errors != 1)),
        )
        if number
    ]
    return IntegrityReport(
        checked_at=checked_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        healthy=not parts,
        summary=", ".join(parts) or ("Healthy" if results else "No checks"),
        critical_failures=critical,
        warnings=warnings,
        errors=errors,
        results=tuple(results),
    )


class _Snapshot:
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


class _Deadline:
    """What is left of a check's time."""

    def __init__(self, limit: timedelta) -> None:
        self.limit = limit
        self.began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the check began."""
        return time.monotonic() - self.began

    @property
    def over(self) -> bool:
        """The time is used up, but for the server's timer being a little early."""
        return self.elapsed >= self.limit.total_seconds() * 0.99 - 0.005

    def impose(self, connection: psycopg.Connection[Any]) -> None:
        """Give the next statement what is left, and not less than a millisecond (0 is no limit)."""
        left = max(1, int((self.limit.total_seconds() - self.elapsed) * 1000))
        connection.execute(
            "SELECT pg_catalog.set_config('statement_timeout', %s, true)", [f"{left}ms"]
        )


def _run(
    connection: psycopg.Connection[Any],
    check: IntegrityCheck,
    snapshot: _Snapshot,
    limit: timedelta,
    sample: int,
) -> IntegrityResult:
    deadline = _Deadline(limit)
    status, details, affected = "ERROR", "", 0
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL row_security = off")
            affected, details = _find(connection, check, deadline, sample)
            status = "FAIL" if affected else "PASS"
            connection.execute("SET LOCAL statement_timeout = 0")
            snapshot.verify()
            snapshot.verify_tables()
    except CheckError as error:
        status, details, affected = "ERROR", str(error), 0
    except psycopg.errors.QueryCanceled:
        if not deadline.over:
            raise
        details = f"did not finish within {limit.total_seconds():g} s"
    except psycopg.Error as error:
        if connection.closed:
            raise
        status, details, affected = "ERROR", _reason(error), 0
    # Also after an error: a query that fails must not get away with more than one that does not.
    snapshot.verify()
    return IntegrityResult(
        check=check.name,
        status=status,
        severity=str(check.severity),
        details=_cut(details, DETAILS),
        affected_records=affected,
        duration_ms=round(deadline.elapsed * 1000),
    )


def _find(
    connection: psycopg.Connection[Any],
    check: IntegrityCheck,
    deadline: _Deadline,
    sample: int,
) -> tuple[int, str]:
    """How many rows offend, and a sentence that names some."""
    affected = 0
    findings: list[str] = []
    number = 0
    deadline.impose(connection)
    for number, probe in enumerate(probes(connection, check), start=1):  # noqa: B007 -- used below
        found, finding = _look(connection, probe, deadline, sample)
        if found:
            affected += found
            findings.append(finding)
        deadline.impose(connection)
    if findings:
        return affected, "; ".join(findings)
    return 0, f"{number} foreign keys hold" if check.foreign_keys else "no offending row"


def _look(
    connection: psycopg.Connection[Any], probe: Probe, deadline: _Deadline, sample: int
) -> tuple[int, str]:
    """Count the offenders exactly, fetch a few; the others never leave the server."""
    deadline.impose(connection)
    execute(
        connection,
        sql.SQL("DECLARE dbmigrate_check NO SCROLL CURSOR FOR {}").format(probe.query),
    )
    deadline.impose(connection)
    fetch = sql.SQL("FETCH FORWARD {} FROM dbmigrate_check").format(sql.SQL(str(int(sample))))
    rows = execute(connection, fetch).fetchall()
    deadline.impose(connection)
    rest = execute(connection, sql.SQL("MOVE FORWARD ALL FROM dbmigrate_check").format()).rowcount
    deadline.impose(connection)
    execute(connection, sql.SQL("CLOSE dbmigrate_check").format())
    if not rows:
        return rest, f"{rest} rows {probe.finding}" if rest else ""
    found = int(rows[0][-1]) if probe.weighted else len(rows) + rest
    named = [text for text in (_name(probe, row) for row in rows) if text]
    finding = f"{probe.label}: " if probe.label else ""
    finding += f"{found} row{'s' * (found != 1)} {probe.finding}"
    if named:
        finding += f": {', '.join(named)}" + (f", and {rest} more" if rest else "")
    return found, finding


def _name(probe: Probe, row: Sequence[str | None]) -> str:
    """A row in words: ``id=11 (exam_id=99)``."""
    values = ["NULL" if value is None else _cut(value, SHOWN) for value in row]
    keys = len(probe.keys)
    key = ", ".join(f"{n}={v}" for n, v in zip(probe.keys, values, strict=False))
    shown = ", ".join(
        f"{n}={v}" for n, v in zip(probe.shown, values[keys:], strict=False) if n not in probe.keys
    )
    return f"{key} ({shown})" if key and shown else key or shown


def _reason(error: psycopg.Error) -> str:
    """The server's message, with its code: never its detail, which may quote data."""
    message = error.diag.message_primary or str(error)
    return f"{message} (SQLSTATE {error.sqlstate})" if error.sqlstate else message


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
