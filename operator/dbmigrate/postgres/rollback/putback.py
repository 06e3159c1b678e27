"""How one kept set is put back: rows inserted, values given back, a sequence set.

Values go through their types' input functions, as a quoted literal in INSERT does: they
come back as they were, or fail. Nothing passes through the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from dbmigrate.api.report.kept import RestoredData
from dbmigrate.errors import RefusedError
from dbmigrate.postgres.rollback.keep import LOG
from dbmigrate.postgres.rollback.kept import ChosenSet
from dbmigrate.postgres.rollback.options import OnConflict
from dbmigrate.postgres.rollback.tables import Column, Table, as_text, execute, verbatim

if TYPE_CHECKING:
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.server.session import Session

_CONFLICT: Final = (
    "nothing was restored; --on-conflict skip leaves what is there, --on-conflict replace "
    "overwrites it, --into SCHEMA.NAME restores beside it"
)

# jsonb_to_record takes a JSON string for a json value as it is: these are read as text and cast.
_JSON: Final = """
    with recursive base (oid, typtype, typbasetype) as (
        select t.oid, t.typtype, t.typbasetype
        from pg_catalog.pg_attribute as a join pg_catalog.pg_type as t on t.oid = a.atttypid
        where a.attrelid = %s and a.attnum = %s
        union all
        select t.oid, t.typtype, t.typbasetype
        from base as b join pg_catalog.pg_type as t on t.oid = b.typbasetype
        where b.typtype = 'd'
    )
    select exists (
        select from base where oid in (
            'pg_catalog.json'::pg_catalog.regtype, 'pg_catalog.jsonb'::pg_catalog.regtype
        )
    )
"""

_DEFAULT: Final = """
    select pg_catalog.pg_get_expr(d.adbin, d.adrelid) from pg_catalog.pg_attrdef as d
    where d.adrelid = %s and d.adnum = %s
"""


@dataclass(frozen=True)
class PutBack:
    """Puts sets back, within the caller's transaction and `tables.canonical` settings."""

    session: Session
    found: Bookkeeping
    on_conflict: OnConflict

    def rows(self, each: ChosenSet, target: Table) -> RestoredData:
        """Insert the kept rows.

        Raises:
            RefusedError: RestoreColumnsMissing, RestoreNeedsKey, RestoreConflict.
        """
        columns = self._columns(each, target, tuple(name for name, _ in each.columns))
        distinct: Composable = SQL("")
        order: Composable = SQL("dbmigrate_chunk, dbmigrate_place")
        if each.kind == "rows" and each.key is not None:
            # A row that was changed twice was kept twice: as it was at first is what it was.
            key = SQL(", ").join(_kept_text(name) for name in each.key)
            distinct = SQL("distinct on ({})").format(key)
            order = SQL("{}, dbmigrate_chunk, dbmigrate_place").format(key)
        statement = SQL(
            "with kept as (select {distinct} {names} from {source} order by {order}), "
            "done as (insert into {target} ({names}) overriding system value "
            "select * from kept {conflict} returning 1) "
            "select (select count(*) from kept), (select count(*) from done)"
        ).format(
            distinct=distinct,
            names=SQL(", ").join(Identifier(column.name) for column in columns),
            source=self._source(each, target, columns),
            order=order,
            target=target.identifier,
            conflict=self._conflict(each, target, columns),
        )
        try:
            ((kept, done),) = execute(self.session, statement)
        except psycopg.errors.UniqueViolation as error:
            text = f"{error.diag.message_primary} {error.diag.message_detail or ''}".rstrip()
            raise RefusedError(
                f"{each.title}: a row is there already: {text}",
                code="RestoreConflict",
                hint=_CONFLICT,
            ) from error
        return self._restored(each, target, rows=done, skipped=kept - done)

    def values(self, each: ChosenSet, target: Table) -> RestoredData:
        """Give the rows that are there the lost columns' values back.

        A value is in the way when it is not null, not the kept one, and not the column's
        default, which the migration gave to every row when it was applied again.

        Raises:
            RefusedError: RestoreColumnsMissing, RestoreNeedsKey, RestoreConflict.
        """
        key = self._columns(each, target, each.key or ())
        lost = [
            column
            for column in self._columns(each, target, each.lost)
            if column.name not in (each.key or ())
        ]
        if not key or not lost:
            raise _needs_key(each, target)
        execute(
            self.session,
            SQL("lock table {} in share row exclusive mode").format(target.identifier),
        )
        source = self._source(each, target, lost)
        same = SQL(" and ").join(  # as text: a type's own equality may be in any schema
            SQL("{} = {}").format(as_text(column.name, of="t"), _kept_text(column.name, of="k"))
            for column in key
        )
        other = SQL(" or ").join(self._is_other(target, column) for column in lost)
        ((kept, missing, conflicts),) = execute(
            self.session,
            SQL(
                "select count(*), count(*) filter (where t.ctid is null), "
                "count(*) filter (where t.ctid is not null and ({other})) "
                "from {source} left join {target} as t on {same}"
            ).format(other=other, source=source, target=target.identifier, same=same),
        )
        if conflicts and self.on_conflict is OnConflict.REFUSE:
            raise RefusedError(
                f"{each.title}: {conflicts:,} of {kept:,} rows have another value by now",
                code="RestoreConflict",
                hint=_CONFLICT,
            )
        is_skipping = self.on_conflict is OnConflict.SKIP
        ((done,),) = execute(
            self.session,
            SQL(
                "with done as (update {target} as t set {sets} from {source} "
                "where {same} and not ({unless}) returning 1) select count(*) from done"
            ).format(
                target=target.identifier,
                sets=SQL(", ").join(
                    SQL("{0} = k.{0}").format(Identifier(column.name)) for column in lost
                ),
                source=source,
                same=same,
                unless=other if is_skipping else SQL("false"),
            ),
        )
        skipped = conflicts if is_skipping else 0
        return self._restored(each, target, rows=done, skipped=skipped, missing=missing)

    def sequence(self, each: ChosenSet) -> RestoredData:
        """Set a sequence to where it was, unless it is further by now."""
        name = Identifier(each.schema, each.name)
        statement = SQL(
            "select pg_catalog.setval({text}::pg_catalog.regclass, "
            "(l.data_snapshot -> 0 ->> 'last_value')::pg_catalog.int8, "
            "(l.data_snapshot -> 0 ->> 'is_called')::pg_catalog.bool) "
            "from {log} as l, {name} as s, pg_catalog.pg_sequence as p "
            "where l.set_id = {set_id} and p.seqrelid = {text}::pg_catalog.regclass "
            "and pg_catalog.sign(p.seqincrement) * (l.data_snapshot -> 0 ->> 'last_value')::int8 "
            ">= pg_catalog.sign(p.seqincrement) * s.last_value"
        ).format(
            text=Literal(name.as_string(self.session.connection)),
            log=self.found.table(LOG),
            name=name,
            set_id=Literal(each.set_id),
        )
        done = len(execute(self.session, statement))
        return RestoredData(
            each.set_id, each.version, each.kind, f"{each.schema}.{each.name}", done, 1 - done
        )

    def _columns(self, each: ChosenSet, target: Table, names: tuple[str, ...]) -> list[Column]:
        """The target's columns of these names, without the generated ones."""
        there = {column.name: column for column in target.columns}
        missing = [name for name in names if name not in there]
        if missing:
            raise RefusedError(
                f"{each.title} cannot be restored into {target.schema}.{target.name}, which has "
                f"no column {', '.join(missing)}",
                code="RestoreColumnsMissing",
                hint="apply the migration that adds it, or restore into a side table by "
                "--into SCHEMA.NAME",
            )
        return [there[name] for name in names if not there[name].is_generated]

    def _source(self, each: ChosenSet, target: Table, columns: list[Column]) -> Composed:
        """The kept rows, as ``k``, with the target's types."""
        fields, values = [], []
        for column in columns:
            name = Identifier(column.name)
            is_json = self.session.query(_JSON, [target.oid, column.number])[0][0]
            kind = verbatim(column.type)
            fields.append(SQL("{} {}").format(name, SQL("text") if is_json else kind))
            cast = SQL("x.{0}::{1} as {0}") if is_json else SQL("x.{0}")
            values.append(cast.format(name, kind))
        return SQL(
            "(select l.chunk as dbmigrate_chunk, e.place as dbmigrate_place, "
            "e.data as dbmigrate_data, {values} from {log} as l "
            "cross join lateral pg_catalog.jsonb_array_elements(l.data_snapshot) "
            "with ordinality as e (data, place) "
            "cross join lateral pg_catalog.jsonb_to_record(e.data) as x ({fields}) "
            "where l.set_id = {set_id} and l.data_snapshot is not null) as k"
        ).format(
            values=SQL(", ").join(values),
            log=self.found.table(LOG),
            fields=SQL(", ").join(fields),
            set_id=Literal(each.set_id),
        )

    def _conflict(self, each: ChosenSet, target: Table, columns: list[Column]) -> Composable:
        if self.on_conflict is OnConflict.REFUSE:
            return SQL("")
        if self.on_conflict is OnConflict.SKIP:
            return SQL("on conflict do nothing")
        if target.key is None:
            raise _needs_key(each, target)
        updates = [
            SQL("{0} = excluded.{0}").format(Identifier(column.name))
            for column in columns
            if column.name not in target.key
        ]
        key = SQL(", ").join(map(Identifier, target.key))
        if not updates:
            return SQL("on conflict ({}) do nothing").format(key)
        return SQL("on conflict ({}) do update set {}").format(key, SQL(", ").join(updates))

    def _is_other(self, target: Table, column: Column) -> Composed:
        """A condition on ``t`` and ``k``: the value there now is in the way."""
        now = as_text(column.name, of="t")
        allowed: list[Composable] = [_kept_text(column.name, of="k")]
        defaults = self.session.query(_DEFAULT, [target.oid, column.number])
        if defaults and "(" not in defaults[0][0]:  # a constant: calling something may do something
            allowed.append(SQL("pg_catalog.concat({})").format(verbatim(defaults[0][0])))
        tests = [SQL("{} is distinct from {}").format(now, each) for each in allowed]
        return SQL("({} is not null and {})").format(now, SQL(" and ").join(tests))

    @staticmethod
    def _restored(
        each: ChosenSet, target: Table, *, rows: int, skipped: int = 0, missing: int = 0
    ) -> RestoredData:
        into = f"{target.schema}.{target.name}"
        return RestoredData(each.set_id, each.version, each.kind, into, rows, skipped, missing)


def _kept_text(name: str, of: str | None = None) -> Composed:
    data = Identifier("dbmigrate_data") if of is None else Identifier(of, "dbmigrate_data")
    return SQL("({} ->> {})").format(data, Literal(name))


def _needs_key(each: ChosenSet, target: Table) -> RefusedError:
    return RefusedError(
        f"{each.title}: {target.schema}.{target.name} has no key by which a row is found",
        code="RestoreNeedsKey",
        hint="restore into a side table by --into SCHEMA.NAME, and compare",
    )
