"""Alembic's table ``alembic_version``: the revision at which the database is.

Source: Alembic's documentation, "Cookbook"; tried with version 1.20. What came before that
revision stands in Python files alone, so the files here are those up to the one that stands
for it: a map says which, since a revision's name is no number.
"""

from __future__ import annotations

from psycopg import sql

from dbmigrate.migrations.foreign import ForeignHistory, ForeignMigration
from dbmigrate.postgres.adoption.tool import Table, Tool, unfinished
from dbmigrate.postgres.server.session import Session


def read(session: Session, table: Table) -> ForeignHistory:
    """The current revision.

    Raises:
        RefusedError: there are several, of branches that were not merged (AdoptionUnfinished).
    """
    rows = session.compose(
        sql.SQL("select version_num from {} order by 1").format(table.identifier)
    )
    if len(rows) > 1:
        heads = ", ".join(revision for (revision,) in rows)
        raise unfinished(
            "alembic",
            f"the database is at several revisions: {heads}",
            "bring the branches together by `alembic merge heads` and `alembic upgrade head`",
        )
    current = tuple(
        ForeignMigration(key=revision, label=f"revision {revision}") for (revision,) in rows
    )
    return ForeignHistory("alembic", str(table), current, is_pointer=True)


ALEMBIC = Tool("alembic", ("alembic_version",), frozenset({"version_num"}), read, exact=True)
