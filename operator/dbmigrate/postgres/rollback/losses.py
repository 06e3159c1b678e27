"""Pure: from two snapshots of storage to what a rollback did to data.

A table is itself by its object id, a column by its number. That something was rewritten
or touched does not say yet that anything is lost: `contents` compares what is in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dbmigrate.postgres.rollback.storage import LARGE_OBJECTS, Relation, Storage


class LossKind(StrEnum):
    """What of a relation is lost. The values are those of rollback_data_log."""

    TABLE = "table"
    """The table with all its rows."""
    COLUMNS = "columns"
    """Columns, or the values in them."""
    ROWS = "rows"
    """Rows, removed or overwritten."""
    SEQUENCE = "sequence"
    """A sequence with its last value."""
    LARGE_OBJECTS = "largeObjects"
    """Large objects: these cannot be kept."""


@dataclass(frozen=True, slots=True)
class Touched:
    """Rows of a table that were updated or deleted; undone ones may be counted too."""

    updated: int
    deleted: int

    @property
    def rows(self) -> int:
        """Both."""
        return self.updated + self.deleted


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to the data of relations that were there before."""

    dropped: frozenset[int] = frozenset()
    columns: dict[int, frozenset[int]] = field(default_factory=dict)
    """By table: the numbers of the columns that are gone."""
    rewritten: frozenset[int] = frozenset()
    """Tables with another file: truncated, or all rows written anew."""
    touched: dict[int, Touched] = field(default_factory=dict)
    sequences: frozenset[int] = frozenset()
    large_objects: int = 0

    def __bool__(self) -> bool:
        """Whether anything may be lost."""
        return bool(
            self.dropped
            or self.columns
            or self.rewritten
            or self.touched
            or self.sequences
            or self.large_objects
        )

    def merged(self, other: Changes) -> Changes:
        """What the one or the other did."""
        return Changes(
            self.dropped | other.dropped,
            {
                oid: self.columns.get(oid, frozenset()) | other.columns.get(oid, frozenset())
                for oid in self.columns.keys() | other.columns.keys()
            },
            self.rewritten | other.rewritten,
            {**self.touched, **other.touched},
            self.sequences | other.sequences,
            max(self.large_objects, other.large_objects),
        )


@dataclass(frozen=True, slots=True)
class Loss:
    """What is lost of one relation, with its size."""

    kind: LossKind
    oid: int
    schema: str
    name: str
    columns: tuple[str, ...] = ()
    """For COLUMNS: their names."""
    rows: int = 0
    is_estimate: bool = False
    size: int = 0
    """Bytes, as they are stored."""
    whole: bool = True
    """All rows are kept; else those alone that the rollback removes or overwrites."""

    @property
    def title(self) -> str:
        """For people: ``table public.t``, ``column public.t.c``, ``rows of public.t``."""
        name = f"{self.schema}.{self.name}"
        match self.kind:
            case LossKind.TABLE | LossKind.SEQUENCE:
                return f"{self.kind.value} {name}"
            case LossKind.COLUMNS:
                noun = "column" if len(self.columns) == 1 else "columns"
                return f"{noun} {', '.join(self.columns)} of {name}"
            case LossKind.ROWS:
                return f"rows of {name}"
            case _:
                return "large objects"


def compare(before: Storage, after: Storage) -> Changes:
    """What was done between the two, within one transaction."""
    dropped: set[int] = set()
    sequences: set[int] = set()
    rewritten: set[int] = set()
    columns: dict[int, frozenset[int]] = {}
    for oid, was in before.relations.items():
        now = after.relations.get(oid)
        if now is None:
            (sequences if was.is_sequence else dropped).add(oid)
            continue
        if was.is_sequence:
            continue
        if was.file != now.file:
            rewritten.add(oid)
        gone = was.columns.keys() - now.columns.keys()
        if gone:
            columns[oid] = frozenset(gone)
    counts = _difference(before, after)
    touched = {
        oid: each
        for oid, each in counts.items()
        if oid in before.relations and oid in after.relations
    }
    lost_objects = counts.get(LARGE_OBJECTS, Touched(0, 0)).deleted
    return Changes(
        frozenset(dropped), columns, frozenset(rewritten), touched, frozenset(sequences),
        lost_objects,
    )  # fmt: skip


def _difference(before: Storage, after: Storage) -> dict[int, Touched]:
    found = {}
    for oid, (updated, deleted) in after.counts.items():
        was_updated, was_deleted = before.counts.get(oid, (0, 0))
        each = Touched(max(updated - was_updated, 0), max(deleted - was_deleted, 0))
        if each.rows:
            found[oid] = each
    return found


def shared_columns(was: Relation, now: Relation) -> tuple[int, ...]:
    """The numbers of the columns that a table has before and after."""
    return tuple(sorted(was.columns.keys() & now.columns.keys()))
