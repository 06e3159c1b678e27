"""``baseline VERSION``: the database has these migrations already, and the history says so.

Nothing of them is executed, and nothing is compared: that the schema is what the files
make is the word of whoever gives the command. Only the plain mistake is refused, a
baseline of an empty database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from dbmigrate import __version__
from dbmigrate.api.report.amendment import Amendment, AmendmentAction
from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.migrations.amend import Baseline, plan_baseline, report_of
from dbmigrate.migrations.applied import BASELINE, AppliedMigration
from dbmigrate.postgres.amending.frame import Amending, Row, amending, insert_rows
from dbmigrate.postgres.bookkeeping import HISTORY, TABLES, Bookkeeping
from dbmigrate.postgres.live import LIVE

if TYPE_CHECKING:
    import psycopg

    from dbmigrate.postgres.context import Context

_WITHDRAW: Final = f"update {{}} set status = 'rolled_back' where version = %s and {LIVE}"  # noqa: S608 -- our constant
_WITHDRAWN: Final = """
    insert into {0} (version, filename, checksum, text_checksum, applied_by, migration_type,
        origin, reason, recorded_by, recorded_at, runner_version)
    select version, filename, checksum, text_checksum, %(by)s, 'rollback', origin, %(reason)s,
        %(by)s, pg_catalog.clock_timestamp(), %(runner)s
    from {0} where version = %(version)s and migration_type = 'forward'
    order by id desc limit 1
"""
"""Says who withdrew a row of a baseline, and why."""
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
    plan = plan_baseline(source, work.applied, version, correct=work.amend.correct)
    context.amendments = (
        *(
            Amendment(AmendmentAction.WITHDRAW, str(each.version), each.file, each.checksum)
            for each in plan.withdrawn
        ),
        *report_of(AmendmentAction.BASELINE, plan.recorded),
    )
    if not context.amendments:
        context.message = f"nothing to do: the baseline {version} is recorded already"
        return
    work.require_finished()
    _require_anything(work)
    if work.amend.dry_run:
        context.message = f"{_count(plan)}, to {version}, would be recorded"
        return
    work.record(lambda cursor, found: _write(work, cursor, found, plan))
    work.prove(lambda applied: _wrong(applied, plan))
    context.message = f"recorded: {_count(plan)}, to {version}; none was run"


def _count(plan: Baseline) -> str:
    said = f"{len(plan.recorded)} as applied" if plan.recorded or not plan.withdrawn else ""
    withdrawn = f"{len(plan.withdrawn)} as pending again" if plan.withdrawn else ""
    return " and ".join(filter(None, (said, withdrawn)))


def _write(work: Amending, cursor: psycopg.Cursor[Any], found: Bookkeeping, plan: Baseline) -> None:
    table = found.table(HISTORY)
    for each in plan.withdrawn:
        cursor.execute(sql.SQL(_WITHDRAW).format(table), [str(each.version)])
        cursor.execute(
            sql.SQL(_WITHDRAWN).format(table),
            {"version": str(each.version), "by": work.applied_by, "runner": __version__,
             "reason": work.amend.reason.strip() or None},
        )  # fmt: skip
    insert_rows(work, cursor, found, [Row(each, BASELINE) for each in plan.recorded])


def _wrong(applied: dict[str, AppliedMigration], plan: Baseline) -> list[str]:
    """What is not as it was recorded."""
    missing = [
        str(each.file.version)
        for each in plan.recorded
        if (found := applied.get(str(each.file.version))) is None
        or (found.checksum, found.origin) != (each.file.checksum, BASELINE)
    ]
    return missing + [str(each.version) for each in plan.withdrawn if str(each.version) in applied]


def _require_anything(work: Amending) -> None:
    parameters = {"schema": work.found.schema, "tables": list(TABLES)}
    if not work.session.query(_HAS_ANYTHING, parameters)[0][0]:
        raise RefusedError(
            "the database is empty: it has no table, view, type, function or extension of its own",
            code="NothingThere",
            hint="`dbmigrate up` makes the schema; a baseline is for a database that has it",
        )
