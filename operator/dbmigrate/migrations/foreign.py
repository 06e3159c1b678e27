"""Another tool's history, as it was read: what it applied, in order, by its own names.

Pure. How each tool keeps it is known to `dbmigrate.postgres.adoption`; how its migrations
are matched with our files, to `dbmigrate.migrations.adoption`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dbmigrate.migrations.source import MigrationFile
from dbmigrate.migrations.version import Version

_NUMBER = re.compile(r"[0-9]+(?:[._][0-9]+)*", re.ASCII)
_TIMESTAMP = re.compile(r"(?P<date>[0-9]{8})(?P<time>[0-9]{6})", re.ASCII)
_PARTS = 3


@dataclass(frozen=True, slots=True)
class ForeignMigration:
    """One migration that another tool says is applied."""

    key: str
    """What the tool calls it, and what a map names it by."""
    label: str
    """For people: its script, or its description."""
    version: Version | None = None
    """What its number is as a version of ours; None when it has none."""
    name: str = ""
    """What may be the name of its file; empty when the tool keeps none."""
    group: str = ""
    """Another key of several migrations together, such as the file that holds them."""
    digest: str = ""
    """The tool's own checksum, as text; empty when there is none that could be compared."""
    part: str = ""
    """Which part of a file it is, where a file may hold several migrations."""
    applied_at: str | None = None
    """As PostgreSQL writes a timestamptz; None when the tool does not keep it."""
    applied_by: str | None = None
    milliseconds: int | None = None
    is_baseline: bool = False
    """It says that everything up to it was there before the tool came."""


@dataclass(frozen=True, slots=True)
class ForeignHistory:
    """What one tool says of one database."""

    tool: str
    table: str
    """With its schema, for people."""
    migrations: tuple[ForeignMigration, ...]
    """In the order in which they were applied."""
    is_pointer: bool = False
    """Only the newest is known: everything older is applied, too."""
    notes: tuple[str, ...] = ()
    """What is left out, for people."""


Digests = Mapping[str, str]
"""A tool's checksums of one file, by the file's parts; a whole file is the part ``""``."""
DigestOf = Callable[[MigrationFile], Digests]


def no_digests(_file: MigrationFile) -> Digests:
    """For a tool that keeps no checksums."""
    return {}


def fits(digests: Digests, migrations: Sequence[ForeignMigration]) -> bool | None:
    """Whether a file is what those migrations ran, by the tool's checksums; None: unknown."""
    if not digests or not all(each.digest for each in migrations):
        return None
    if digests.keys() == {""}:
        return digests[""] == migrations[0].digest if len(migrations) == 1 else None
    return digests == {each.part: each.digest for each in migrations}


def version_of(number: str) -> Version | None:
    """What another tool's number is as a version of ours.

    ``1`` is 1.0.0, ``1.2`` and ``1_2`` are 1.2.0, ``00003`` is 3.0.0; a time of 14 digits is
    its date and its time: ``20240131094500`` is 20240131.94500.0. None when it does not fit.
    """
    time = _TIMESTAMP.fullmatch(number)
    if time is not None:
        return Version(int(time["date"]), int(time["time"]), 0)
    if _NUMBER.fullmatch(number) is None:
        return None
    parts = [part.lstrip("0") or "0" for part in re.split("[._]", number)]
    if len(parts) > _PARTS:
        return None
    try:
        version = Version.parse(".".join([*parts, *["0"] * (_PARTS - len(parts))]))
    except ValueError:  # more digits than a version has
        return None
    return None if version == Version(0, 0, 0) else version
