"""sqitch's table ``changes``, in its registry's schema (usually ``sqitch``).

Source: sqitch's documentation, "sqitchchanges", and its registry's comments; tried with
version 1.3. A reverted change has no row. A change is known by its name; ``script_hash`` is
the SHA-1 of the deploy script, so it fits a file that is that script to the byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from psycopg import sql

from dbmigrate.migrations.foreign import ForeignHistory, ForeignMigration
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.postgres.adoption.tool import Table, Tool
from dbmigrate.postgres.session import Session

_QUERY = """
    select project, change, script_hash, committed_at::text, committer_name, committer_email
    from {} order by committed_at, planned_at
"""


def read(session: Session, table: Table) -> ForeignHistory:
    """What is deployed now, in the order of deployment."""
    rows = session.compose(sql.SQL(_QUERY).format(table.identifier))
    is_one = len({project for project, *_ in rows}) == 1
    return ForeignHistory(
        "sqitch",
        str(table),
        tuple(
            ForeignMigration(
                key=change if is_one else f"{project}:{change}",
                label=f"{project}:{change}",
                name=change,
                digest=digest or "",
                applied_at=when,
                applied_by=f"{name} <{email}>",
            )
            for project, change, digest, when, name, email in rows
        ),
    )


def fits(file: MigrationFile, migrations: Sequence[ForeignMigration]) -> bool | None:
    """Whether the file is the deploy script."""
    if len(migrations) != 1 or not migrations[0].digest:
        return None
    return hashlib.sha1(file.data, usedforsecurity=False).hexdigest() == migrations[0].digest


SQITCH = Tool(
    "sqitch",
    ("changes",),
    frozenset({"change_id", "script_hash", "change", "project", "committed_at", "planned_at"}),
    read,
    fits,
)
