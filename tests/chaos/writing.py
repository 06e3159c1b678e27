"""Statements whose effects can be counted, and the file that they are written into. Pure.

Each statement that matters leaves one row in `chaos.log`, which nothing else writes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import Final


class Mode(StrEnum):
    """How a file's statements and transactions go together."""

    FILE = "file"
    STATEMENT = "statement"
    OWN = "own"
    """With BEGIN and COMMIT of its own."""


class Writing:
    """A file in the making."""

    def __init__(
        self, random: Random, version: str, direction: str, variant: str, mode: Mode
    ) -> None:
        self.random = random
        self.version = version
        self.direction = direction
        self.variant = variant
        self.mode = mode
        self.in_block = False
        """A transaction of the file's own is open."""
        self.stops = {0}
        """After how many steps a run may stop; what it leaves then is whole."""
        self.statements: list[str] = []
        self.steps: list[str] = []
        self.tables: list[str] = []
        self.indexes: list[str] = []
        self.detached: tuple[str, ...] = ()
        self.functions: list[str] = []
        if mode is not Mode.FILE:
            self.statements.append(f"-- dbmigrate: transaction={mode}")

    @property
    def suffix(self) -> str:
        """Part of a name that is this version's alone."""
        return f"{self.version.replace('.', '_')}_{len(self.statements)}"

    def add(self, statement: str) -> None:
        """One more statement."""
        self.statements.append(statement)
        if not self.in_block:
            self.stops.add(len(self.steps))

    def step(self, kind: str) -> str:
        """One more row that is to be expected; its values as SQL."""
        name = f"{len(self.steps)}:{kind}{self.variant}"
        self.steps.append(name)
        return f"'{self.version}', '{self.direction}', '{name}'"

    def begin(self) -> None:
        """Open a transaction of the file's own."""
        self.add(self.random.choice(("begin;", "start transaction read write;")))
        self.in_block = True

    def end(self, word: str) -> None:
        """Close it."""
        self.in_block = False
        self.add(f"{word};")

    def never(self) -> None:
        """A row that is not to stay."""
        self.add(f"{_LOG} values ('{self.version}', '{self.direction}', 'never to be seen');")

    def count(self, by: int) -> None:
        """Count the versions that are applied."""
        self.add(
            f"update chaos.counter set n = n + {by} where version = '{self.version}';"
            if by < 0
            else f"insert into chaos.counter values ('{self.version}', {by})"
            f" on conflict (version) do update set n = counter.n + {by};"
        )


_LOG: Final = "insert into chaos.log (version, direction, step)"


def insert(file: Writing) -> None:
    """The least."""
    file.add(f"{_LOG} values ({file.step('insert')});")


def table(file: Writing) -> None:
    """A table with rows."""
    name = f"t_{file.suffix}"
    file.add(f"create table public.{name} (id int primary key, label text);")
    file.tables.append(name)
    rows = file.random.choice((3, 300))
    file.add(f"insert into public.{name} select i, 'x' || i from generate_series(1, {rows}) as i;")
    file.add(f"with made as ({_LOG} values ({file.step('table')}) returning 1) table made;")


def copy(file: Writing) -> None:
    """COPY with its data."""
    lines = []
    for _ in range(file.random.randint(1, 3)):
        file.step("copy")
        lines.append(f"{file.version}\t{file.direction}\t{file.steps[-1]}\n")
    data = "".join(lines)
    file.add(f"copy chaos.log (version, direction, step) from stdin;\n{data}\\.")


def do_block(file: Writing) -> None:
    """A statement that takes a moment."""
    pause = file.random.choice((0, 0.003, 0.01))
    values = file.step("do")
    file.add(
        f"do $do$ begin perform pg_catalog.pg_sleep({pause}); {_LOG} values ({values}); end $do$;"
    )


def function(file: Writing) -> None:
    """What a function does that the file makes."""
    name = f"f_{file.suffix}"
    file.add(
        f"create function public.{name}() returns void language sql\n"
        f"    begin atomic; {_LOG} values ({file.step('function')}); end;"
    )
    file.functions.append(name)
    file.add(f"select public.{name}();")


def index(file: Writing) -> None:
    """In statement mode alone: an index, built and perhaps more, beside everything else."""
    if not file.tables:
        table(file)
    name = f"i_{file.suffix}"
    unique = file.random.choice(("", "unique "))
    condition = file.random.choice(("", "", "if not exists "))
    place = file.random.choice(file.tables)
    file.add(f"create {unique}index concurrently {condition}{name} on public.{place} (id, label);")
    match file.random.choice(("keep", "keep", "reindex", "drop")):
        case "reindex":
            file.add(f"reindex index concurrently public.{name};")
        case "drop":
            file.add(f"drop index concurrently public.{name};")
            return
        case _:
            pass
    file.indexes.append(name)


def vacuum(file: Writing) -> None:
    """In statement mode alone."""
    if file.tables:
        file.add(f"vacuum (analyze) public.{file.random.choice(file.tables)};")


def detach(file: Writing) -> None:
    """A partition that is taken off beside everything else."""
    name = f"t_{file.suffix}"
    file.add(f"create table public.{name} (id int) partition by range (id);")
    file.add(f"create table public.{name}_p partition of public.{name} for values from (0) to (9);")
    file.add(f"alter table public.{name} detach partition public.{name}_p concurrently;")
    file.detached += (name, f"{name}_p")


def sleep(file: Writing) -> None:
    """Time in which something may happen."""
    file.add(f"select pg_catalog.pg_sleep({file.random.choice((0.002, 0.01, 0.03))});")


def unlock(file: Writing) -> None:
    """The session's locks are gone."""
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


def setting(file: Writing) -> None:
    """What a clean session must undo."""
    choices = _SETTINGS if file.mode is not Mode.FILE else _SETTINGS + _WITHIN_A_TRANSACTION
    file.add(file.random.choice(choices))


Kind = Callable[[Writing], None]
ANYWHERE: Final[tuple[tuple[Kind, int], ...]] = (
    (insert, 6),
    (table, 4),
    (copy, 2),
    (do_block, 3),
    (function, 2),
    (sleep, 3),
    (unlock, 1),
    (setting, 2),
)
OUTSIDE: Final = ((index, 6), (vacuum, 2), (detach, 2))
"""What PostgreSQL refuses within a transaction."""
_ALONE: Final = frozenset(kind for kind, _ in OUTSIDE)


def write(file: Writing, kinds: list[Kind]) -> None:
    """Statements of these kinds, in order; some in transactions of the file's own."""
    left = list(kinds)
    while left:
        length = file.random.randint(1, 3)
        within = left[:length]
        if file.mode is not Mode.OWN or _ALONE & set(within) or file.random.random() < 0.2:
            left.pop(0)(file)
        else:
            del left[:length]
            _block(file, within)


def _block(file: Writing, kinds: list[Kind]) -> None:
    """One transaction of the file's own; perhaps one behind it, or one that is undone."""
    file.begin()
    for kind in kinds:
        kind(file)
        if file.random.random() < 0.2:
            file.add("savepoint here;")
            file.never()
            file.add("rollback to savepoint here;")
    match file.random.choice(("commit", "commit", "end", "chain", "undo")):
        case "chain":
            file.end("commit and chain")
            file.in_block = True
            insert(file)
            file.end("commit")
        case "undo":
            file.end("commit")
            file.begin()
            file.never()
            file.end("rollback")
        case word:
            file.end(word)
