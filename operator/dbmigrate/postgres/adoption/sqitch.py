"""sqitch's table ``changes``, in its registry's schema (usually ``sqitch``).

Source: sqitch's documentation, "sqitchchanges", and its registry's comments; tried with
version 1.3. A reverted change has no row. A change is known by its name; ``script_hash`` is
the SHA-1 of the deploy script, so it fits a file that is that script to the byte.
"""

from __future__ import annotations

import hashlib

from psycopg import sql

from dbmigrate.migrations.foreign import Digests, ForeignHistory, ForeignMigration
from dbmigrate.migrations.originals import Form
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.postgres.adoption.tool import Table, Tool
from dbmigrate.postgres.server.session import Session

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


def digests(file: MigrationFile) -> Digests:
    """A deploy script is one change."""
    total = hashlib.sha1(usedforsecurity=False)
    for block in file.content.read_from(0):
        total.update(block)
    return {"": total.hexdigest()}


SQITCH = Tool(
    "sqitch",
    ("changes",),
    frozenset({"change_id", "script_hash", "change", "project", "committed_at", "planned_at"}),
    read,
    digests,
    Form(r"(?P<key>.+)\.sql"),
)
