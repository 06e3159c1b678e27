"""Random migrations whose effects can be counted. Pure: all comes from the random generator.

Each statement that matters leaves one row in `chaos.log`, which nothing else writes and no
constraint protects: what is applied twice, half or not at all shows there. The log and the
counters are no part of a migration, so that a rollback leaves its traces too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

PREPARATION: Final = """
    create schema chaos;
    create table chaos.log (
        id bigint generated always as identity,
        version text not null, direction text not null, step text not null
    );
    create table chaos.counter (version text primary key, n int not null);
"""
"""What the judge needs in a trial's database, before any migration."""

_SHARE_BY_STATEMENT: Final = 0.35
FORWARD: Final = "forward"
ROLLBACK: Final = "rollback"


@dataclass(frozen=True, slots=True)
class File:
    """One migration or rollback, and what it does when it is applied once."""

    version: str
    direction: str
    path: str
    """Within the source's folder."""
    sql: str
    steps: tuple[str, ...]
    """The rows of `chaos.log` that it leaves, in order."""
    objects: frozenset[str]
    """The tables and indexes of schema public that are there while the version is applied."""
    filled: int
    """How many of these tables hold rows."""
    by_statement: bool
    """It is not one transaction: cut off, a beginning of its steps is there."""

    @property
    def checksum(self) -> str:
        """SHA-256 of its bytes, hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Migration:
    """A version: the way there and the way back."""

    forward: File
    rollback: File

    @property
    def version(self) -> str:
        """As X.Y.Z."""
        return self.forward.version


class _Writing:
    """A file in the making."""

    def __init__(self, random: Random, version: str, direction: str, variant: str) -> None:
        self.random = random
        self.version = version
        self.direction = direction
        self.variant = variant
        self.statements: list[str] = []
        self.steps: list[str] = []
        self.tables: list[str] = []
        self.indexes: list[str] = []
        self.detached: tuple[str, ...] = ()
        self.functions: list[str] = []
        self.by_statement = False

    @property
    def suffix(self) -> str:
        """Part of a name that is this version's alone."""
        return f"{self.version.replace('.', '_')}_{len(self.statements)}"

    def add(self, statement: str) -> None:
        self.statements.append(statement)

    def step(self, kind: str) -> str:
        """One more row that is to be expected; its values as SQL."""
        name = f"{len(self.steps)}:{kind}{self.variant}"
        self.steps.append(name)
        return f"'{self.version}', '{self.direction}', '{name}'"

    def count(self, by: int) -> None:
        self.add(
            f"update chaos.counter set n = n + {by} where version = '{self.version}';"
            if by < 0
            else f"insert into chaos.counter values ('{self.version}', {by})"
            f" on conflict (version) do update set n = counter.n + {by};"
        )


_LOG: Final = "insert into chaos.log (version, direction, step)"


def _insert(file: _Writing) -> None:
    file.add(f"{_LOG} values ({file.step('insert')});")


def _table(file: _Writing) -> None:
    name = f"t_{file.suffix}"
    file.add(f"create table public.{name} (id int primary key, label text);")
    file.tables.append(name)
    rows = file.random.choice((3, 300))
    file.add(f"insert into public.{name} select i, 'x' || i from generate_series(1, {rows}) as i;")
    file.add(f"with made as ({_LOG} values ({file.step('table')}) returning 1) table made;")


def _copy(file: _Writing) -> None:
    lines = []
    for _ in range(file.random.randint(1, 3)):
        file.step("copy")
        lines.append(f"{file.version}\t{file.direction}\t{file.steps[-1]}\n")
    data = "".join(lines)
    file.add(f"copy chaos.log (version, direction, step) from stdin;\n{data}\\.")


def _do_block(file: _Writing) -> None:
    pause = file.random.choice((0, 0.003, 0.01))
    values = file.step("do")
    file.add(
        f"do $do$ begin perform pg_catalog.pg_sleep({pause}); {_LOG} values ({values}); end $do$;"
    )


def _function(file: _Writing) -> None:
    name = f"f_{file.suffix}"
    file.add(
        f"create function public.{name}() returns void language sql\n"
        f"    begin atomic; {_LOG} values ({file.step('function')}); end;"
    )
    file.functions.append(name)
    file.add(f"select public.{name}();")


def _index(file: _Writing) -> None:
    """In statement mode alone: an index, built and perhaps more, beside everything else."""
    if not file.tables:
        _table(file)
    name = f"i_{file.suffix}"
    unique = file.random.choice(("", "unique "))
    condition = file.random.choice(("", "", "if not exists "))
    table = file.random.choice(file.tables)
    file.add(f"create {unique}index concurrently {condition}{name} on public.{table} (id, label);")
    match file.random.choice(("keep", "keep", "reindex", "drop")):
        case "reindex":
            file.add(f"reindex index concurrently public.{name};")
        case "drop":
            file.add(f"drop index concurrently public.{name};")
            return
        case _:
            pass
    file.indexes.append(name)


def _vacuum(file: _Writing) -> None:
    if file.tables:
        file.add(f"vacuum (analyze) public.{file.random.choice(file.tables)};")


def _detach(file: _Writing) -> None:
    name = f"t_{file.suffix}"
    file.add(f"create table public.{name} (id int) partition by range (id);")
    file.add(f"create table public.{name}_p partition of public.{name} for values from (0) to (9);")
    file.add(f"alter table public.{name} detach partition public.{name}_p concurrently;")
    file.detached += (name, f"{name}_p")


def _sleep(file: _Writing) -> None:
    file.add(f"select pg_catalog.pg_sleep({file.random.choice((0.002, 0.01, 0.03))});")


def _unlock(file: _Writing) -> None:
    file.add("select pg_catalog.pg_advisory_unlock_all();")


_SETTINGS: Final = (
    "set synchronous_commit = off;",
    "set search_path = '';",
    "set session_replication_role = replica;",
    "set statement_timeout = '20s'; set application_name = 'somebody else';",
    "reset all;",
    "discard temp; discard sequences;",
)
_WITHIN_A_TRANSACTION: Final = (
    "set local synchronous_commit = off;",
    "create temp table if not exists schema_migrations (id int);",
)


def _setting(file: _Writing) -> None:
    choices = _SETTINGS if file.by_statement else _SETTINGS + _WITHIN_A_TRANSACTION
    file.add(file.random.choice(choices))


_KINDS: Final[tuple[tuple[Callable[[_Writing], None], int], ...]] = (
    (_insert, 6),
    (_table, 4),
    (_copy, 2),
    (_do_block, 3),
    (_function, 2),
    (_sleep, 3),
    (_unlock, 1),
    (_setting, 2),
)
_BY_STATEMENT: Final = ((_index, 6), (_vacuum, 2), (_detach, 2))
_HEADER: Final = "-- dbmigrate: transaction=statement"


def make_source(random: Random, *, keep: bool) -> tuple[Migration, ...]:
    """A few versions, oldest first.

    Args:
        random: decides all.
        keep: rollbacks are tried first, so that none may run by statement.
    """
    numbers = range(1, random.randint(2, 6) + 1)
    return tuple(make_migration(random, f"1.{number}.0", keep=keep) for number in numbers)


def make_migration(random: Random, version: str, *, keep: bool, variant: str = "") -> Migration:
    """One version; another variant of it is another text with other steps."""
    file = _Writing(random, version, FORWARD, variant)
    file.by_statement = random.random() < _SHARE_BY_STATEMENT
    if file.by_statement:
        file.add(_HEADER)
    _insert(file)
    file.count(1)
    kinds = _KINDS + (_BY_STATEMENT if file.by_statement else ())
    drawn = random.choices(
        [kind for kind, _ in kinds], [weight for _, weight in kinds], k=random.randint(0, 6)
    )
    if file.by_statement and random.random() < 0.5:
        drawn.append(_index)
    for kind in drawn:
        kind(file)
    if {_index, _detach} & set(drawn) and random.random() < 0.7:
        file.statements.remove(_HEADER)  # the statements say it by themselves
    return Migration(
        _file(file, f"v{version}_chaos.sql"),
        _file(_back(file, keep=keep), f"rollbacks/v{version}_rollback.sql"),
    )


def _back(forward: _Writing, *, keep: bool) -> _Writing:
    random = forward.random
    file = _Writing(random, forward.version, ROLLBACK, forward.variant)
    file.by_statement = not keep and random.random() < _SHARE_BY_STATEMENT
    if file.by_statement:
        file.add(_HEADER)
    _insert(file)
    file.count(-1)
    for name in forward.indexes:
        file.add(f"drop index {'concurrently ' * file.by_statement}public.{name};")
    for name in reversed(forward.functions):
        file.add(f"drop function public.{name}();")
    for name in (*reversed(forward.tables), *forward.detached):
        file.add(f"drop table public.{name};")
    for kind in random.sample((_insert, _sleep, _do_block, _copy), 2):
        kind(file)
    file.tables, file.indexes, file.detached = forward.tables, forward.indexes, forward.detached
    return file


def _file(written: _Writing, path: str) -> File:
    return File(
        written.version,
        written.direction,
        path,
        "\n".join(written.statements) + "\n",
        tuple(written.steps),
        frozenset((*written.tables, *written.indexes, *written.detached)),
        len(written.tables),
        written.by_statement,
    )
