"""``repair``: an applied file was edited, people agreed, and the history says so from now on.

What was executed stays as it is in ``schema_migrations``; a row of ``migration_repairs``
says what the file is now, who agreed, when and why. Nothing is executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from dbmigrate import __version__
from dbmigrate.api.report.amendment import AmendmentAction
from dbmigrate.errors import RefusedError
from dbmigrate.migrations.amend import (
    Recorded,
    plan_repair,
    report_of,
    require_choice,
    require_reason,
)
from dbmigrate.migrations.applied import AppliedMigration
from dbmigrate.postgres.amending.frame import Amending, amending, rollback_columns
from dbmigrate.postgres.bookkeeping import REPAIRS, Bookkeeping
from dbmigrate.postgres.live import live

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from dbmigrate.postgres.context import Context

_INSERT: Final = """
    insert into {repairs} (migration_id, version, old_filename, filename, old_checksum, checksum,
        old_text_checksum, text_checksum, rollback_file, rollback_sql, rollback_checksum,
        repaired_by, reason, environment, git_commit_hash, runner_version)
    select l.id, l.version, l.filename, %(file)s, l.checksum, %(checksum)s,
        l.text_checksum, %(text_checksum)s,
        coalesce(%(rollback_file)s, l.rollback_file),
        coalesce(%(rollback_sql)s, l.rollback_sql),
        coalesce(%(rollback_checksum)s, l.rollback_checksum),
        %(by)s, %(reason)s, %(environment)s, %(git_commit)s, %(runner)s
    from {live} as l
    where l.version = %(version)s and l.checksum = %(old)s
"""


def repair(context: Context) -> None:
    """Record agreed edits.

    Raises:
        DbmigrateError: as `plan_repair`, `require_choice` and `require_reason`.
    """
    source = context.require_source()
    work = amending(context)
    found = plan_repair(source, work.applied, work.amend)
    context.amendments = report_of(AmendmentAction.REPAIR, found)
    if not found:
        context.message = "nothing to repair: the files are as recorded"
        return
    require_choice(found, work.amend)
    require_reason(work.amend)
    count = f"{len(found)} edits" if len(found) > 1 else "1 edit"
    if work.amend.dry_run:
        context.message = f"{count} would be recorded"
        return
    work.record(lambda cursor, tables: _write(work, cursor, tables, found))
    work.prove(lambda applied: _missing(applied, found))
    context.message = f"{count} recorded as agreed on"


def _write(
    work: Amending, cursor: psycopg.Cursor[Any], tables: Bookkeeping, found: Sequence[Recorded]
) -> None:
    statement = sql.SQL(_INSERT).format(repairs=tables.table(REPAIRS), live=live(tables))
    options = work.context.options
    for each in found:
        if each.replaces is None:
            continue
        file, text, checksum = rollback_columns(each.rollback)
        cursor.execute(
            statement,
            {
                "version": str(each.file.version),
                "old": each.replaces.checksum,
                "file": each.file.file,
                "checksum": each.file.checksum,
                "text_checksum": each.file.text_checksum,
                "rollback_file": file,
                "rollback_sql": text,
                "rollback_checksum": checksum,
                "by": work.applied_by,
                "reason": work.amend.reason.strip(),
                "environment": options.environment,
                "git_commit": options.git_commit,
                "runner": __version__,
            },
        )
        if cursor.rowcount != 1:
            raise RefusedError(
                f"{each.file.version} is not in the history as it was a moment ago",
                code="HistoryDisagrees",
                hint="somebody changed the history meanwhile: find out who before running again",
            )


def _missing(applied: dict[str, AppliedMigration], found: Sequence[Recorded]) -> list[str]:
    return [
        str(each.file.version)
        for each in found
        if (now := applied.get(str(each.file.version))) is None
        or now.checksum != each.file.checksum
        or (each.rollback is not None and now.rollback_checksum != each.rollback.checksum)
    ]
