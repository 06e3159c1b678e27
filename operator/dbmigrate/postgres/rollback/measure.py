"""From what a trial changed to what is lost, with its size: reads the tables as they are again.

Here it is decided how each loss is kept: a table or its columns copied whole before the
rollback runs, or its rows caught one by one while it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbmigrate.postgres.rollback.contents import Contents, contents
from dbmigrate.postgres.rollback.losses import Changes, Loss, LossKind, Touched, shared_columns
from dbmigrate.postgres.rollback.tables import Size, Table, describe, size_of, size_of_columns

if TYPE_CHECKING:
    from dbmigrate.postgres.rollback.storage import Storage
    from dbmigrate.postgres.server.session import Session


@dataclass(frozen=True, slots=True)
class Measured:
    """A loss, and the table as it is before the rollback."""

    loss: Loss
    table: Table | None
    """None for large objects."""


def contents_of(
    session: Session, rewritten: frozenset[int], before: Storage, after: Storage
) -> dict[int, Contents]:
    """What is now in the tables that were rewritten, in the columns that they had before."""
    found = {}
    for oid in rewritten:
        table = describe(session, oid)
        if table is not None:
            numbers = shared_columns(before.relations[oid], after.relations[oid])
            found[oid] = contents(session, table, numbers)
    return found


def rewritten_columns(was: Contents, now: Contents) -> frozenset[int] | None:
    """The columns whose values are others now; None when rows are missing or mixed up."""
    if was == now:
        return frozenset()
    changed = frozenset(each for each, sums in was.columns.items() if now.columns[each] != sums)
    return changed if changed and was.rows == now.rows else None


class Measure:
    """Measures the losses of one trial, after it was undone.

    Args:
        session: in the rollback's transaction, with canonical settings.
        changes: what the trial did.
        contents_after: what was in rewritten tables at its end.
        by_whole: tables of which all rows are kept when any is touched.
    """

    def __init__(
        self,
        session: Session,
        changes: Changes,
        contents_after: dict[int, Contents],
        by_whole: frozenset[int] = frozenset(),
    ) -> None:
        self.session = session
        self.changes = changes
        self.after = contents_after
        self.by_whole = by_whole
        self.before: dict[int, Contents] = {}
        """What is in rewritten tables before the rollback, once `losses` was asked."""

    def tables(self) -> dict[int, Table]:
        """All tables and sequences that it is about, as they are now."""
        changes = self.changes
        oids = {
            *changes.dropped, *changes.columns, *changes.rewritten, *changes.touched,
            *changes.sequences,
        }  # fmt: skip
        found = ((oid, describe(self.session, oid)) for oid in sorted(oids))
        return {oid: table for oid, table in found if table is not None}

    def losses(self, tables: dict[int, Table]) -> list[Measured]:
        """What is lost, the largest first. What is empty is no loss."""
        found: list[Measured] = []
        for oid, table in tables.items():
            found += (Measured(each, table) for each in self._of(oid, table))
        number = self.changes.large_objects
        if number:
            loss = Loss(LossKind.LARGE_OBJECTS, 0, "pg_catalog", "pg_largeobject", rows=number)
            found.append(Measured(loss, None))
        return sorted(found, key=lambda each: -each.loss.size)

    def _of(self, oid: int, table: Table) -> Iterator[Loss]:
        changes = self.changes
        if oid in changes.sequences:
            yield Loss(LossKind.SEQUENCE, oid, table.schema, table.name, rows=1)
            return
        if oid in changes.dropped:
            yield from _whole(LossKind.TABLE, table, size_of(self.session, table))
            return
        gone = changes.columns.get(oid, frozenset())
        touched = changes.touched.get(oid)
        if oid in self.after:
            after = self.after[oid]
            was = contents(self.session, table, tuple(sorted(after.columns)))
            self.before[oid] = was
            changed = rewritten_columns(was, after)
            if changed is None or (changed and touched):
                if was.rows:
                    yield from _whole(LossKind.ROWS, table, size_of(self.session, table))
                return
            gone |= changed
            touched = None
        if gone:
            yield from self._columns(table, gone)
        if touched:
            yield from self._touched(table, touched)

    def _columns(self, table: Table, numbers: frozenset[int]) -> Iterator[Loss]:
        lost = tuple(each for each in table.stored() if each.number in numbers)
        if not lost:
            return
        size = size_of_columns(self.session, table, lost)
        if size.rows == 0:
            return
        if table.key is None:  # whole rows are kept, since nothing else tells whose value it was
            size = size_of(self.session, table)
        yield Loss(
            LossKind.COLUMNS, table.oid, table.schema, table.name,
            tuple(each.name for each in lost), size.rows, size.is_estimate, size.size,
        )  # fmt: skip

    def _touched(self, table: Table, touched: Touched) -> Iterator[Loss]:
        size = size_of(self.session, table)
        if table.oid in self.by_whole or not table.may_have_trigger:
            yield from _whole(LossKind.ROWS, table, size)
            return
        share = min(touched.rows / max(size.rows, 1), 1.0)
        yield Loss(
            LossKind.ROWS, table.oid, table.schema, table.name, rows=touched.rows,
            size=round(size.size * share), whole=False,
        )  # fmt: skip


def _whole(kind: LossKind, table: Table, size: Size) -> Iterator[Loss]:
    if size.rows or size.is_estimate:
        yield Loss(
            kind, table.oid, table.schema, table.name, rows=size.rows,
            is_estimate=size.is_estimate, size=size.size,
        )  # fmt: skip
