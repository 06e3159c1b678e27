"""Random migrations whose effects can be counted. Pure: all comes from the random generator.

Each statement that matters leaves one row in `chaos.log`, which nothing else writes and no
constraint protects: what is applied twice, half or not at all shows there. The log and the
counters are no part of a migration, so that a rollback leaves its traces too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.chaos.writing import (
    ANYWHERE,
    OUTSIDE,
    Mode,
    Writing,
    copy,
    detach,
    do_block,
    index,
    insert,
    sleep,
    write,
)

PREPARATION: Final = """
    create schema chaos;
    create table chaos.log (
        id bigint generated always as identity,
        version text not null, direction text not null, step text not null
    );
    create table chaos.counter (version text primary key, n int not null);
"""
"""What the judge needs in a trial's database, before any migration."""

_MODES: Final = {Mode.FILE: 60, Mode.STATEMENT: 25, Mode.OWN: 15}
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
    stops: frozenset[int]
    """After how many of its steps a run may stop; none where the file is one transaction."""

    @property
    def is_in_parts(self) -> bool:
        """It is not one transaction: cut off, a beginning of its steps is there."""
        return bool(self.stops)

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


def make_source(random: Random, *, keep: bool) -> tuple[Migration, ...]:
    """A few versions, oldest first.

    Args:
        random: decides all.
        keep: rollbacks are tried first, so that each of them must be one transaction.
    """
    numbers = range(1, random.randint(2, 6) + 1)
    return tuple(make_migration(random, f"1.{number}.0", keep=keep) for number in numbers)


def make_migration(random: Random, version: str, *, keep: bool, variant: str = "") -> Migration:
    """One version; another variant of it is another text with other steps."""
    file = Writing(random, version, FORWARD, variant, _draw_mode(random))
    insert(file)
    file.count(1)
    kinds = ANYWHERE + (OUTSIDE if file.mode is not Mode.FILE else ())
    number = random.randint(2 if file.mode is Mode.OWN else 0, 6)
    drawn = random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds], k=number)
    if file.mode is Mode.STATEMENT and random.random() < 0.5:
        drawn.append(index)
    write(file, drawn)
    if file.mode is Mode.STATEMENT and {index, detach} & set(drawn) and random.random() < 0.7:
        del file.statements[0]  # the header: the statements say it by themselves
    return Migration(
        _file(file, f"v{version}_chaos.sql"),
        _file(_back(file, keep=keep), f"rollbacks/v{version}_rollback.sql"),
    )


def _draw_mode(random: Random) -> Mode:
    return random.choices(list(_MODES), list(_MODES.values()))[0]


def _back(forward: Writing, *, keep: bool) -> Writing:
    random = forward.random
    mode = Mode.FILE if keep else _draw_mode(random)
    file = Writing(random, forward.version, ROLLBACK, forward.variant, mode)
    insert(file)
    file.count(-1)
    for name in forward.indexes:
        file.add(f"drop index {'concurrently ' * (mode is not Mode.FILE)}public.{name};")
    if mode is Mode.OWN:
        file.begin()
        insert(file)
    for name in reversed(forward.functions):
        file.add(f"drop function public.{name}();")
    for name in (*reversed(forward.tables), *forward.detached):
        file.add(f"drop table public.{name};")
    if mode is Mode.OWN:
        file.end("commit")
    write(file, random.sample((insert, sleep, do_block, copy), 2))
    file.tables, file.indexes, file.detached = forward.tables, forward.indexes, forward.detached
    return file


def _file(written: Writing, path: str) -> File:
    return File(
        written.version,
        written.direction,
        path,
        "\n".join(written.statements) + "\n",
        tuple(written.steps),
        frozenset((*written.tables, *written.indexes, *written.detached)),
        len(written.tables),
        frozenset(written.stops) if written.mode is not Mode.FILE else frozenset(),
    )
