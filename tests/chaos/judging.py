"""Whether a database and its history agree, by what is in the database alone.

Nothing of the engine is used here: a mistake there must not hide itself. A snapshot is one
transaction's view, so it must agree at every moment, also while a runner works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg

from tests.chaos.sources import FORWARD, File


class Kind(StrEnum):
    """What can be wrong."""

    DOUBLE = "double"
    """A file's effects are there more often than the history says."""
    LOST = "lost"
    """The history says that a file was applied, and its effects are not there."""
    HALF = "half"
    """A part of a file's effects is there."""
    UNSEEN = "unseen"
    """Effects of which the history knows nothing."""
    UNTRUE = "untrue"
    """A runner's result said what the database does not."""
    STUCK = "stuck"
    """A runner did not end, or a run without any fault did not succeed."""
    LEFTOVER = "leftover"
    """A lock, a session, a prepared transaction or an invalid index is left behind."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not be."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the history."""

    version: str
    direction: str
    status: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one transaction sees."""

    log: tuple[tuple[str, str, str], ...]
    """Version, direction and step of each effect, oldest first."""
    history: tuple[Row, ...]
    counters: Mapping[str, int]
    tables: frozenset[str]

    @property
    def live(self) -> dict[str, str]:
        """The versions that are applied, with their checksums."""
        return {
            row.version: row.checksum
            for row in self.history
            if (row.direction, row.status) == (FORWARD, "completed")
        }

    @property
    def newest(self) -> str | None:
        """The highest version that is applied."""
        return max(
            self.live, key=lambda text: [int(part) for part in text.split(".")], default=None
        )

    @property
    def last_failed(self) -> bool:
        """Whether the history's newest row tells of a failure."""
        return bool(self.history) and self.history[-1].status == "failed"


def observe(connection: psycopg.Connection) -> Snapshot:
    """Take a snapshot; the connection is in autocommit."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        tables = frozenset(
            name
            for (name,) in connection.execute(
                "select relname from pg_class"
                " where relnamespace = 'public'::regnamespace and relkind = 'r'"
            )
        )
        rows = []
        if "schema_migrations" in tables:
            rows = connection.execute(
                "select version, migration_type, status, checksum"
                " from public.schema_migrations order by id"
            ).fetchall()
        log = connection.execute("select version, direction, step from chaos.log order by id")
        return Snapshot(
            tuple(log.fetchall()),
            tuple(Row(*row) for row in rows),
            dict(connection.execute("select version, n from chaos.counter").fetchall()),
            tables,
        )


def judge(snapshot: Snapshot, files: Mapping[str, File]) -> list[Violation]:
    """What is wrong with a snapshot.

    Args:
        snapshot: taken at any moment.
        files: by checksum, every file that ever was in the source.
    """
    expected: list[tuple[str, str, str]] = []
    for row in snapshot.history:
        if row.status == "failed":
            continue
        file = files.get(row.checksum)
        if file is None or (file.version, file.direction) != (row.version, row.direction):
            return [Violation(Kind.UNTRUE, f"the history has a checksum that no file had: {row}")]
        expected += [(file.version, file.direction, step) for step in file.steps]
    found = _compare(expected, list(snapshot.log))
    live = {version: files[checksum] for version, checksum in snapshot.live.items()}
    for version, number in snapshot.counters.items():
        wanted = 1 if version in live else 0
        if number != wanted:
            kind = Kind.DOUBLE if number > wanted else Kind.LOST
            found.append(Violation(kind, f"{version}: its counter is {number}, not {wanted}"))
    made = {name for name in snapshot.tables if name.startswith("t_")}
    wanted_tables = {name for file in live.values() for name in file.objects}
    if made != wanted_tables:
        kind = Kind.UNSEEN if made - wanted_tables else Kind.LOST
        found.append(Violation(kind, f"tables {sorted(made)}, not {sorted(wanted_tables)}"))
    return found


def _compare(
    expected: list[tuple[str, str, str]], log: list[tuple[str, str, str]]
) -> list[Violation]:
    if expected == log:
        return []
    wanted, found = Counter(expected), Counter(log)
    violations = []
    for version, direction in sorted({each[:2] for each in (*wanted, *found)}):
        steps = [each for each in {*wanted, *found} if each[:2] == (version, direction)]
        differences = {found[each] - wanted[each] for each in steps}
        if differences == {0}:
            continue
        if len(differences) > 1:
            kind = Kind.HALF
        elif differences.pop() < 0:
            kind = Kind.LOST
        else:
            kind = Kind.DOUBLE if any(wanted[each] for each in steps) else Kind.UNSEEN
        counts = {each[2]: (found[each], wanted[each]) for each in sorted(steps)}
        violations.append(Violation(kind, f"{version} {direction}: (found, expected) {counts}"))
    return violations or [Violation(Kind.UNTRUE, f"the order is {log}, not {expected}")]


def leftovers(connection: psycopg.Connection) -> list[Violation]:
    """What a run that ended well must not leave behind."""
    queries = {
        "advisory locks": "select pid from pg_locks where locktype = 'advisory'"
        " and database = (select oid from pg_database where datname = current_database())",
        "prepared transactions": "select gid from pg_prepared_xacts",
        "invalid indexes": "select indexrelid::regclass from pg_index where not indisvalid",
        "rows of migration_locks": "select locked_by from public.migration_locks",
    }
    found = {name: connection.execute(query).fetchall() for name, query in queries.items()}
    found["sessions"] = sessions(connection)
    return [Violation(Kind.LEFTOVER, f"{name}: {rows}") for name, rows in found.items() if rows]


def sessions(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    """The server processes that work for anybody but the judge."""
    return connection.execute(
        "select pid, state, query from pg_stat_activity"
        " where datname = current_database() and application_name <> 'chaos'"
        " and backend_type = 'client backend'"
    ).fetchall()
