"""Looks for the rows that offend against one check: counted exactly, a few of them named."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dbmigrate.postgres.integrity.kinds import probes
from dbmigrate.postgres.integrity.probe import SHOWN, Probe, execute
from dbmigrate.texts import cut

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from dbmigrate.api.checks import IntegrityCheck


class Deadline:
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


def find(
    connection: psycopg.Connection[Any],
    check: IntegrityCheck,
    deadline: Deadline,
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
    connection: psycopg.Connection[Any], probe: Probe, deadline: Deadline, sample: int
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
    values = ["NULL" if value is None else cut(value, SHOWN) for value in row]
    keys = len(probe.keys)
    key = ", ".join(f"{n}={v}" for n, v in zip(probe.keys, values, strict=False))
    shown = ", ".join(
        f"{n}={v}" for n, v in zip(probe.shown, values[keys:], strict=False) if n not in probe.keys
    )
    return f"{key} ({shown})" if key and shown else key or shown
