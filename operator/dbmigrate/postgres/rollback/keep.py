"""Copies what a rollback is about to lose into rollback_data_log, on the server, in chunks.

It runs in the rollback's own transaction: what is kept is there exactly if the rollback
is. No row passes through the client; the server holds one chunk at a time. Rows that
are deleted or updated are caught by a trigger while the rollback runs, so that those
alone are kept; the trigger is gone before the transaction ends.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from dbmigrate.postgres.rollback.losses import Loss, LossKind
from dbmigrate.postgres.rollback.tables import CANONICAL, Column, Table, as_object, execute

if TYPE_CHECKING:
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.server.session import Session

LOG: Final = "rollback_data_log"
CHUNK_BYTES: Final = 1 << 20
"""Of rows in one chunk, before compression; a single row may be larger."""
CHUNK_ROWS: Final = 10_000
TRIGGER: Final = "dbmigrate_keeps_rows"


@dataclass(frozen=True, slots=True)
class KeptSet:
    """One set in the log: its number there, and how much it holds."""

    set_id: int
    chunks: int
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class _Header:
    """What every chunk of a set says of itself."""

    set_id: int
    version: str
    loss: Loss
    table: Table | None
    columns: tuple[Column, ...] = ()

    def values(self, *, chunk: Composable, rows: Composable, data: Composable) -> Composed:
        """An INSERT of one chunk."""
        columns = [{"name": each.name, "type": each.type} for each in self.columns]
        key = list(self.table.key) if self.table and self.table.key else None
        return SQL(
            "(rollback_version, table_name, schema_name, set_id, kind, columns, lost_columns, "
            "key_columns, chunk, row_count, byte_count, data_snapshot) "
            "select {version}, {table}, {schema}, {set_id}, {kind}, {columns}::pg_catalog.jsonb, "
            "{lost}::pg_catalog.text[], {key}::pg_catalog.text[], {chunk}, {rows}, "
            "pg_catalog.pg_column_size(d.data), d.data "
            "from (select {data} as data) as d"
        ).format(
            version=Literal(self.version),
            table=Literal(self.loss.name),
            schema=Literal(self.loss.schema),
            set_id=Literal(self.set_id),
            kind=Literal(self.loss.kind.value),
            columns=Literal(json.dumps(columns)),
            lost=Literal(list(self.loss.columns) or None),
            key=Literal(key),
            chunk=chunk,
            rows=rows,
            data=data,
        )


class Keeper:
    """Keeps what one rollback loses.

    Args:
        session: in the rollback's transaction, with `tables.canonical` settings.
        found: where the log is.
        version: of the rollback.
    """

    def __init__(self, session: Session, found: Bookkeeping, version: str) -> None:
        self.session = session
        self.version = version
        self.schema = found.schema
        self.log = found.table(LOG)

    def lock(self, tables: list[Table], altered: frozenset[int]) -> None:
        """Keep the tables as they are until the transaction ends.

        Those that the rollback alters or drops are locked as it will lock them itself: a weaker
        lock that is raised later could meet a client that has read and wants to write, and one
        of the two would be a deadlock's victim. From the others it keeps writers away alone.

        Args:
            tables: all that something is lost of.
            altered: the object ids of the former.
        """
        for mode, group in (
            (SQL("access exclusive"), [each for each in tables if each.oid in altered]),
            (SQL("share row exclusive"), [each for each in tables if each.oid not in altered]),
        ):
            if group:
                names = SQL(", ").join(SQL("only {}").format(each.identifier) for each in group)
                execute(self.session, SQL("lock table {} in {} mode").format(names, mode))

    def copy(self, loss: Loss, table: Table) -> KeptSet:
        """Copy all rows, or for columns their values beside the row's key."""
        header = self._header(loss, table, _kept_columns(loss, table))
        query = SQL("select {} from only {}").format(as_object(header.columns), table.identifier)
        execute(self.session, SQL("do {}").format(self._loop(header, SQL(""), query, SQL(""))))
        return self.count(header)

    def copy_sequence(self, loss: Loss, sequence: Table) -> KeptSet:
        """Keep where a sequence is."""
        header = self._header(loss, sequence, ())
        data = SQL(
            "(select pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object("
            "'last_value', last_value::pg_catalog.text, 'is_called', is_called::pg_catalog.text"
            ")) from {})"
        ).format(sequence.identifier)
        self._insert(header.values(chunk=SQL("1"), rows=SQL("1"), data=data))
        return self.count(header)

    def note_covered(self, loss: Loss, backup: str) -> None:
        """Write down that something is lost here and not kept, and which backup has it."""
        header = self._header(loss, None, ())
        nothing = SQL("null::pg_catalog.jsonb")
        self._insert(header.values(chunk=SQL("0"), rows=Literal(loss.rows), data=nothing))
        execute(
            self.session,
            SQL("update {} set covered_by = {}, byte_count = {} where set_id = {}").format(
                self.log, Literal(backup), Literal(loss.size), Literal(header.set_id)
            ),
        )

    def catch(self, loss: Loss, table: Table) -> Catch:
        """From here on, what statements delete from the table or overwrite in it is kept."""
        header = self._header(loss, table, table.columns)
        function = Identifier(self.schema, f"{TRIGGER}_{header.set_id}")
        begin = SQL(
            "chunk_number := (select coalesce(max(l.chunk), 0) from {} as l where l.set_id = {});"
        ).format(self.log, Literal(header.set_id))
        body = self._loop(header, begin, SQL("execute ({})").format(_OLD_ROWS), SQL("return null;"))
        settings = SQL(" ").join(
            SQL("set {} = {}").format(Identifier(name), Literal(value))
            for name, value in CANONICAL.items()
        )
        execute(
            self.session,
            SQL(
                "create function {}() returns pg_catalog.trigger language plpgsql "
                "security definer {} as {}"
            ).format(function, settings, body),
        )
        for event in (SQL("delete"), SQL("update")):
            trigger = Identifier(f"{TRIGGER}_{event.as_string()}")
            execute(
                self.session,
                SQL(
                    "create trigger {} after {} on {} referencing old table as old_rows "
                    "for each statement execute function {}()"
                ).format(trigger, event, table.identifier, function),
            )
            execute(
                self.session,  # also where session_replication_role is replica
                SQL("alter table {} enable always trigger {}").format(table.identifier, trigger),
            )
        return Catch(self, header, function)

    def _header(self, loss: Loss, table: Table | None, columns: tuple[Column, ...]) -> _Header:
        ((number,),) = self.session.query(
            "select nextval(pg_get_serial_sequence(%s, 'id'))",
            [self.log.as_string(self.session.connection)],
        )
        return _Header(number, self.version, loss, table, columns)

    def _insert(self, values: Composed) -> None:
        execute(self.session, SQL("insert into {} {}").format(self.log, values))

    def _loop(
        self, header: _Header, begin: Composable, query: Composable, end: Composable
    ) -> Literal:
        """The body of a function that keeps the rows of a query, as a literal."""
        insert = header.values(
            chunk=SQL("chunk_number"), rows=SQL("batch_rows"), data=SQL("to_jsonb(batch)")
        )
        body = _LOOP.format(
            begin=begin,
            query=query,
            insert=SQL("insert into {} {}").format(self.log, insert),
            end=end,
            most_bytes=Literal(CHUNK_BYTES),
            most_rows=Literal(CHUNK_ROWS),
        )
        return Literal(body.as_string(self.session.connection))

    def count(self, header: _Header) -> KeptSet:
        """How much a set holds by now."""
        query = SQL(
            "select count(*), coalesce(sum(row_count), 0)::int8, "
            "coalesce(sum(byte_count), 0)::int8 from {} where set_id = {}"
        ).format(self.log, Literal(header.set_id))
        ((chunks, rows, size),) = execute(self.session, query)
        return KeptSet(header.set_id, chunks, rows, size)


@dataclass(frozen=True, slots=True)
class Catch:
    """A trigger that keeps rows, while it is there."""

    keeper: Keeper
    header: _Header
    function: Identifier

    def end(self) -> KeptSet:
        """Take the trigger away; what it has kept."""
        # With CASCADE the triggers go too, whatever the table is called by now.
        execute(self.keeper.session, SQL("drop function {}() cascade").format(self.function))
        return self.keeper.count(self.header)


def _kept_columns(loss: Loss, table: Table) -> tuple[Column, ...]:
    """For lost columns: these and the key, else every column."""
    if loss.kind is not LossKind.COLUMNS or table.key is None:
        return table.columns
    wanted = {*loss.columns, *table.key}
    return tuple(each for each in table.columns if each.name in wanted)


# Rows are gathered until they make a chunk. A FOR loop fetches by a cursor, some rows at a time.
_LOOP: Final = SQL("""
#variable_conflict use_column
declare
    piece pg_catalog.jsonb;
    batch pg_catalog.jsonb[] := '{{}}';
    batch_bytes pg_catalog.int8 := 0;
    batch_rows pg_catalog.int4 := 0;
    chunk_number pg_catalog.int4 := 0;
begin
    {begin}
    for piece in {query} loop
        batch := batch || piece;
        batch_bytes := batch_bytes + pg_catalog.pg_column_size(piece);
        batch_rows := batch_rows + 1;
        if batch_bytes >= {most_bytes} or batch_rows >= {most_rows} then
            chunk_number := chunk_number + 1;
            {insert};
            batch := '{{}}';
            batch_bytes := 0;
            batch_rows := 0;
        end if;
    end loop;
    if batch_rows > 0 then
        chunk_number := chunk_number + 1;
        {insert};
    end if;
    {end}
end
""")

# The table may have other columns by now than when the rollback began.
_OLD_ROWS: Final = SQL("""
    select pg_catalog.format(
        'select pg_catalog.jsonb_object(%L::pg_catalog.text[], array[%s]::pg_catalog.text[]) '
        'from old_rows',
        coalesce(pg_catalog.array_agg(a.attname::pg_catalog.text order by a.attnum), '{{}}'),
        coalesce(pg_catalog.string_agg(
            pg_catalog.format(
                'case when %1$I is distinct from null then pg_catalog.concat(%1$I) end', a.attname
            ), ', ' order by a.attnum
        ), '')
    )
    from pg_catalog.pg_attribute as a
    where a.attrelid = tg_relid and a.attnum > 0 and not a.attisdropped
""").format()
