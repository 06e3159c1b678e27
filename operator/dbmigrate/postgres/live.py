"""The migrations that are applied now, as a relation: each with its newest repair laid over it.

Every reader of the history selects from it, so that an agreed edit counts everywhere at
once. An older release's tables, which the commands that only look leave as they are, give
the same columns.
"""

from __future__ import annotations

from typing import Final

from psycopg import sql

from dbmigrate.postgres.bookkeeping import HISTORY, REPAIRS, Bookkeeping

LIVE: Final = "migration_type = 'forward' and status = 'completed'"
"""Of a row of the history: its migration is applied now."""
_AMENDMENTS_SINCE: Final = 3
"""The version of the tables that brought ``origin`` and ``migration_repairs``."""

_COMMON: Final = "h.id, h.version, h.applied_at, h.applied_by, h.execution_time_ms, \
h.git_commit_hash, h.plan_hash, h.checksum as applied_checksum"
_REPAIRED: Final = (
    "filename", "checksum", "text_checksum", "rollback_file", "rollback_sql", "rollback_checksum",
)  # fmt: skip


def live(found: Bookkeeping) -> sql.Composed:
    """The relation, to stand behind FROM with an alias.

    Columns: those of the history, as the newest repair has them; ``applied_checksum``, of
    the file that was executed; ``origin``.
    """
    history = found.table(HISTORY)
    if found.version < _AMENDMENTS_SINCE:
        columns = ", ".join(f"h.{name}" for name in _REPAIRED)
        return sql.SQL(
            f"(select {_COMMON}, {columns}, 'run' as origin from {{}} as h where {LIVE})"  # noqa: S608 -- our constants
        ).format(history)
    columns = ", ".join(f"coalesce(r.{name}, h.{name}) as {name}" for name in _REPAIRED)
    # By lateral, one look into an index for each row: without statistics the planner would
    # compare every row with every repair.
    return sql.SQL(
        f"(select {_COMMON}, {columns}, h.origin from {{}} as h left join lateral ("  # noqa: S608 -- our constants
        f"select {', '.join(_REPAIRED)} from {{}} where migration_id = h.id "
        f"order by id desc limit 1) as r on true where {LIVE})"
    ).format(history, found.table(REPAIRS))
