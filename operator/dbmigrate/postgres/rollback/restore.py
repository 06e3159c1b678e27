"""Puts kept data back: into their tables, or into a side table.

In one transaction, under the advisory lock: what cannot be put back as a whole leaves
everything as it was. Nothing that is there is overwritten unless that was asked for.
How one set is put back says `putback`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg.sql import SQL, Identifier, Literal

from dbmigrate.api.report.kept import RestoredData
from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.postgres.rollback.kept import ChosenSet, chosen, in_transaction
from dbmigrate.postgres.rollback.putback import PutBack
from dbmigrate.postgres.rollback.tables import Table, canonical, describe, execute, verbatim

if TYPE_CHECKING:
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.rollback.options import KeptRequest
    from dbmigrate.postgres.server.session import Session

_REFERS: Final = """
    select conrelid::int8, confrelid::int8 from pg_catalog.pg_constraint
    where contype = 'f' and conrelid <> confrelid
"""


def restore(
    session: Session,
    found: Bookkeeping,
    request: KeptRequest,
    warn: Callable[[str], None],
) -> list[RestoredData]:
    """Put back what the request is about.

    Raises:
        RefusedError: NothingKept, RestoreTargetMissing, RestoreColumnsMissing,
            RestoreNeedsKey or RestoreConflict; nothing was changed.
        UsageError: several sets into one table.
        MigrationFailedError: the server refused something; nothing was changed.
    """
    sets = chosen(session, found, request)
    with in_transaction(session):
        canonical(session)
        execute(session, SQL("set constraints all deferred"))
        return _Restore(session, found, request, warn).run(sets)


@dataclass(frozen=True)
class _Restore:
    session: Session
    found: Bookkeeping
    request: KeptRequest
    warn: Callable[[str], None]

    def run(self, sets: list[ChosenSet]) -> list[RestoredData]:
        if self.request.into is not None:
            sets = [each for each in sets if each.kind != "sequence"]
            if len(sets) > 1:
                titles = ", ".join(each.title for each in sets)
                raise UsageError(
                    f"--into takes one set, and these are {len(sets)}: {titles}",
                    code="SeveralSets",
                    hint="choose one by --number N or --table NAME",
                )
        putback = PutBack(self.session, self.found, self.request.on_conflict)
        done = []
        for each, target in self._ordered(sets):
            if each.covered_by:
                self.warn(f"{each.title} was not kept: the backup {each.covered_by} has it")
            elif each.kind == "sequence":
                done += self._sequence(putback, each)
            elif self.request.into is not None:
                done.append(putback.rows(each, target or self._side_table(each)))
            elif target is None:
                raise self._target_missing(each)
            elif each.kind == "columns":
                done.append(putback.values(each, target))
            else:
                done.append(putback.rows(each, target))
        if not done:
            raise RefusedError(
                "none of it was kept", code="NothingKept", hint="restore it from the backup"
            )
        return done

    def _ordered(self, sets: list[ChosenSet]) -> list[tuple[ChosenSet, Table | None]]:
        """Each with its target; tables behind those that they refer to, sequences last."""
        pairs = [(each, self._target(each)) for each in sets]
        oids = {table.oid for _, table in pairs if table is not None}
        parents: dict[int, set[int]] = {}
        for child, parent in self.session.query(_REFERS):
            if parent in oids:
                parents.setdefault(child, set()).add(parent)

        def height(oid: int, below: frozenset[int]) -> int:
            above = parents.get(oid, set()) - below
            return 1 + max((height(each, below | {oid}) for each in above), default=0)

        def place(pair: tuple[ChosenSet, Table | None]) -> tuple[bool, int, int]:
            each, table = pair
            own = height(table.oid, frozenset({table.oid})) if table else 0
            return (each.kind == "sequence", own, each.set_id)

        return sorted(pairs, key=place)

    def _target(self, each: ChosenSet) -> Table | None:
        name = self.request.into
        if name is None:
            name = Identifier(each.schema, each.name).as_string(self.session.connection)
        query = SQL("select pg_catalog.to_regclass({})::pg_catalog.oid").format(Literal(name))
        ((oid,),) = execute(self.session, query)
        return None if oid is None else describe(self.session, oid)

    def _side_table(self, each: ChosenSet) -> Table:
        """Make it, with the kept columns; a type that is gone becomes text."""
        columns = []
        for name, kind in each.columns:
            if not self._has_type(kind):
                self.warn(f"{each.title}: the type {kind} of {name} is gone; it becomes text")
                kind = "text"  # noqa: PLW2901
            columns.append(SQL("{} {}").format(Identifier(name), verbatim(kind)))
        parts = execute(
            self.session,
            SQL("select pg_catalog.parse_ident({})").format(Literal(self.request.into)),
        )[0][0]
        if len(parts) == 1:
            raise UsageError(
                f"--into {self.request.into}: there is no such table; to have it made, give its "
                "schema too, as SCHEMA.NAME",
                code="NoSchema",
            )
        execute(
            self.session,
            SQL("create table {} ({})").format(Identifier(*parts), SQL(", ").join(columns)),
        )
        target = self._target(each)
        if target is None:
            raise self._target_missing(each)
        return target

    def _has_type(self, kind: str) -> bool:
        """Whether the server knows it; a modifier (``numeric(8,2)``) is part of the name."""
        query = SQL("select pg_catalog.to_regtype({}) is not null").format(Literal(kind))
        return bool(execute(self.session, query)[0][0])

    def _sequence(self, putback: PutBack, each: ChosenSet) -> list[RestoredData]:
        name = Identifier(each.schema, each.name).as_string(self.session.connection)
        query = SQL("select pg_catalog.to_regclass({})").format(Literal(name))
        if execute(self.session, query)[0][0] is None:
            self.warn(f"{each.title}: there is no such sequence any more")
            return []
        return [putback.sequence(each)]

    @staticmethod
    def _target_missing(each: ChosenSet) -> RefusedError:
        return RefusedError(
            f"{each.title} cannot be restored: there is no {each.schema}.{each.name}",
            code="RestoreTargetMissing",
            hint="apply the migration again first (`dbmigrate up`), or restore into a side table "
            "by --into SCHEMA.NAME",
        )
