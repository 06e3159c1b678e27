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

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus

from dbmigrate.api.report.integrity import IntegrityReport, IntegrityResult
from dbmigrate.errors import RefusedError, UnreachableError
from dbmigrate.postgres.integrity.looking import Deadline, find
from dbmigrate.postgres.integrity.probe import CheckError
from dbmigrate.postgres.integrity.snapshot import Snapshot
from dbmigrate.texts import cut

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
            snapshot = Snapshot(connection)
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


def _run(
    connection: psycopg.Connection[Any],
    check: IntegrityCheck,
    snapshot: Snapshot,
    limit: timedelta,
    sample: int,
) -> IntegrityResult:
    deadline = Deadline(limit)
    status, details, affected = "ERROR", "", 0
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL row_security = off")
            affected, details = find(connection, check, deadline, sample)
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
        details=cut(details, DETAILS),
        affected_records=affected,
        duration_ms=round(deadline.elapsed * 1000),
    )


def _reason(error: psycopg.Error) -> str:
    """The server's message, with its code: never its detail, which may quote data."""
    message = error.diag.message_primary or str(error)
    return f"{message} (SQLSTATE {error.sqlstate})" if error.sqlstate else message
