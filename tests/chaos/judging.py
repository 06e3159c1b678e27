"""Whether a database and its history agree, by what is in the database alone.

Nothing of the engine is used here: a mistake there must not hide itself. A snapshot is one
transaction's view, so it must agree at every moment, also while a runner works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg

from tests.chaos.sources import FORWARD, ROLLBACK, File


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
    objects: frozenset[str]
    """Tables and valid indexes of schema public that are the migrations' own."""
    kept: Mapping[str, int]
    """By version, how many tables its rollbacks kept."""

    @property
    def live(self) -> dict[str, str]:
        """The versions that are applied, with their checksums."""
        return {
            row.version: row.checksum
            for row in self.history
            if (row.direction, row.status) == (FORWARD, "completed")
        }

    @property
    def repeatables(self) -> dict[str, str]:
        """By path, the checksum of what was run last."""
        return {
            row.version: row.checksum
            for row in self.history
            if (row.direction, row.status) == ("repeatable", "completed")
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
        names = connection.execute("""
            select c.relname from pg_class as c left join pg_index as i on i.indexrelid = c.oid
            where c.relnamespace = 'public'::regnamespace
                and (c.relkind in ('r', 'p') or i.indisvalid and not i.indisprimary)
        """).fetchall()
        objects = frozenset(name for (name,) in names)
        rows, kept = [], []
        if "schema_migrations" in objects:
            rows = connection.execute(
                "select coalesce(version, filename), migration_type, status, checksum"
                " from public.schema_migrations order by id"
            ).fetchall()
            kept = connection.execute(
                "select rollback_version, count(distinct set_id) from public.rollback_data_log"
                " where kind = 'table' group by rollback_version"
            ).fetchall()
        log = connection.execute("select version, direction, step from chaos.log order by id")
        return Snapshot(
            tuple(log.fetchall()),
            tuple(Row(*row) for row in rows),
            dict(connection.execute("select version, n from chaos.counter").fetchall()),
            frozenset(name for name in objects if name.startswith(("t_", "i_"))),
            dict(kept),
        )


def unfinished(snapshot: Snapshot, files: Mapping[str, File]) -> File | None:
    """The file of which a beginning is there without its row, as far as a run may leave it."""
    expected = _expected(snapshot, files)
    tail = snapshot.log[len(expected) :]
    if not tail or list(snapshot.log[: len(expected)]) != expected:
        return None
    for file in files.values():
        steps = [(file.version, file.direction, step) for step in file.steps]
        if len(tail) in file.stops and list(tail) == steps[: len(tail)]:
            return file
    return None


def _expected(snapshot: Snapshot, files: Mapping[str, File]) -> list[tuple[str, str, str]]:
    expected: list[tuple[str, str, str]] = []
    for row in snapshot.history:
        file = files.get(row.checksum)
        if row.status != "failed" and file is not None:
            expected += [(file.version, file.direction, step) for step in file.steps]
    return expected


def judge(snapshot: Snapshot, files: Mapping[str, File], *, keep: bool) -> list[Violation]:
    """What is wrong with a snapshot.

    Args:
        snapshot: taken at any moment.
        files: by checksum, every file that ever was in the source.
        keep: rollbacks keep the tables that they drop.
    """
    for row in snapshot.history:
        file = files.get(row.checksum)
        if row.status == "failed":
            continue
        if file is None or (file.version, file.direction) != (row.version, row.direction):
            return [Violation(Kind.UNTRUE, f"the history has a checksum that no file had: {row}")]
    begun = unfinished(snapshot, files)
    log = list(snapshot.log)
    expected = _expected(snapshot, files)
    found = _compare(expected, log[: len(expected)] if begun else log)
    live = {version: files[checksum] for version, checksum in snapshot.live.items()}
    if begun is not None:  # what there is of it beside the log is judged when it is whole
        live.pop(begun.version, None)
    found += _counters(snapshot, live, begun)
    wanted = {name for file in live.values() for name in file.objects}
    own = f"_{begun.version.replace('.', '_')}_" if begun else "none"
    made = {name for name in snapshot.objects if own not in name}
    if made != wanted:
        kind = Kind.UNSEEN if made - wanted else Kind.LOST
        found.append(Violation(kind, f"objects {sorted(made)}, not {sorted(wanted)}"))
    return found + (_kept(snapshot, files) if keep else [])


def _counters(
    snapshot: Snapshot, live: Mapping[str, File], begun: File | None
) -> Iterator[Violation]:
    for version, number in snapshot.counters.items():
        wanted = 1 if version in live else 0
        if number != wanted and not (begun and version == begun.version):
            kind = Kind.DOUBLE if number > wanted else Kind.LOST
            yield Violation(kind, f"{version}: its counter is {number}, not {wanted}")


def _kept(snapshot: Snapshot, files: Mapping[str, File]) -> list[Violation]:
    lost = Counter[str]()
    for row in snapshot.history:
        if row.direction == ROLLBACK and row.status != "failed":
            lost[row.version] += files[row.checksum].filled
    if +lost == +Counter(snapshot.kept):
        return []
    return [Violation(Kind.LOST, f"rollbacks kept {snapshot.kept}, and lost {lost}")]


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
        "partitions": "select inhrelid::regclass from pg_inherits where inhparent in"
        " (select oid from pg_class where relkind = 'p')",
        "entries of the ledger": "select * from public.migration_statements"
        " where closed_at is null",
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
