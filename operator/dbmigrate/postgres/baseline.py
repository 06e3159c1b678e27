"""``baseline VERSION``: the database has these migrations already, and the history says so.

Nothing of them is executed, and nothing is compared: that the schema is what the files
make is the word of whoever gives the command. Only the plain mistake is refused, a
baseline of an empty database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dbmigrate.api.report import AmendmentAction
from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.migrations.amend import Recorded, plan_baseline, report_of
from dbmigrate.migrations.applied import BASELINE, AppliedMigration
from dbmigrate.postgres.amending import Amending, Row, amending, insert_rows
from dbmigrate.postgres.bookkeeping import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbmigrate.postgres.run import Context

_HAS_ANYTHING: Final = """
    with owned as (
        select n.oid, n.nspname from pg_catalog.pg_namespace as n
        where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    )
    select exists (
        select from pg_catalog.pg_class as c join owned on owned.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm', 'f')
            and not (owned.nspname = %(schema)s and c.relname = any(%(tables)s::name[]))
    ) or exists (
        select from pg_catalog.pg_type as t join owned on owned.oid = t.typnamespace
        where t.typtype in ('d', 'e', 'r')
    ) or exists (
        select from pg_catalog.pg_proc as p join owned on owned.oid = p.pronamespace
        where owned.nspname <> %(schema)s
            or p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
    ) or exists (
        select from pg_catalog.pg_extension as e where e.extname <> 'plpgsql'
    )
"""
"""Tables, views, types, functions or extensions that are not the bookkeeping's own."""


def baseline(context: Context) -> None:
    """Record all files up to the target as applied.

    Raises:
        DbmigrateError: as `plan_baseline`, and NothingThere for an empty database.
    """
    source = context.require_source()
    version = context.options.target
    if version is None:
        raise UsageError("`baseline` needs a version", code="NoTarget")
    work = amending(context)
    records = plan_baseline(source, work.applied, version)
    context.amendments = report_of(AmendmentAction.BASELINE, records)
    if not records:
        context.message = f"nothing to do: the baseline {version} is recorded already"
        return
    work.require_finished()
    _require_anything(work)
    count = f"{len(records)} migrations" if len(records) > 1 else "1 migration"
    if work.amend.dry_run:
        context.message = f"{count} would be recorded as applied, to {version}"
        return
    rows = [Row(each, BASELINE) for each in records]
    work.record(lambda cursor, found: insert_rows(work, cursor, found, rows))
    work.prove(lambda applied: _missing(applied, records))
    context.message = f"{count} recorded as applied, to {version}; none was run"


def _require_anything(work: Amending) -> None:
    parameters = {"schema": work.found.schema, "tables": list(TABLES)}
    if not work.session.query(_HAS_ANYTHING, parameters)[0][0]:
        raise RefusedError(
            "the database is empty: it has no table, view, type, function or extension of its own",
            code="NothingThere",
            hint="`dbmigrate up` makes the schema; a baseline is for a database that has it",
        )


def _missing(applied: dict[str, AppliedMigration], records: Sequence[Recorded]) -> list[str]:
    return [
        str(each.file.version)
        for each in records
        if (found := applied.get(str(each.file.version))) is None
        or (found.checksum, found.origin) != (each.file.checksum, BASELINE)
    ]
