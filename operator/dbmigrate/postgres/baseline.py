"""``baseline VERSION``: the database has these migrations already, and the history says so.

Nothing of them is executed, and nothing is compared: that the schema is what the files
make is the word of whoever gives the command. Only the plain mistake is refused, a
baseline of an empty database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from dbmigrate import __version__
from dbmigrate.api.report import AmendmentAction
from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.migrations.amend import Recorded, plan_baseline, report_of
from dbmigrate.migrations.applied import BASELINE, AppliedMigration
from dbmigrate.postgres.amending import Amending, amending, rollback_columns
from dbmigrate.postgres.bookkeeping import HISTORY, TABLES, Bookkeeping

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from dbmigrate.postgres.run import Context

_INSERT: Final = """
    insert into {} (version, filename, checksum, text_checksum, applied_by, rollback_file,
        rollback_sql, rollback_checksum, environment, git_commit_hash, runner_version, origin,
        reason)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

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
    _require_anything(work)
    count = f"{len(records)} migrations" if len(records) > 1 else "1 migration"
    if work.amend.dry_run:
        context.message = f"{count} would be recorded as applied, to {version}"
        return
    work.record(lambda cursor, found: _write(work, cursor, found, records))
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


def _write(
    work: Amending, cursor: psycopg.Cursor[Any], found: Bookkeeping, records: Sequence[Recorded]
) -> None:
    options = work.context.options
    cursor.executemany(
        sql.SQL(_INSERT).format(found.table(HISTORY)),
        [
            (
                str(each.file.version),
                each.file.file,
                each.file.checksum,
                each.file.text_checksum,
                work.applied_by,
                *rollback_columns(each.rollback),
                options.environment,
                options.git_commit,
                __version__,
                BASELINE,
                work.amend.reason or None,
            )
            for each in records
        ],
    )


def _missing(applied: dict[str, AppliedMigration], records: Sequence[Recorded]) -> list[str]:
    return [
        str(each.file.version)
        for each in records
        if (found := applied.get(str(each.file.version))) is None
        or (found.checksum, found.origin) != (each.file.checksum, BASELINE)
    ]
