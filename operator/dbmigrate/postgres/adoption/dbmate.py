"""dbmate's table ``schema_migrations``: one row for each applied migration, its version.

Source: dbmate's README, "Creating migrations"; tried with version 2.36. It keeps no names,
times or checksums. A failed migration leaves no row. Rails' table looks the same.
"""

from __future__ import annotations

from psycopg import sql

from dbmigrate.migrations.foreign import ForeignHistory, ForeignMigration, version_of
from dbmigrate.migrations.originals import Form
from dbmigrate.postgres.adoption.tool import Table, Tool
from dbmigrate.postgres.server.session import Session


def read(session: Session, table: Table) -> ForeignHistory:
    """What is applied now, oldest version first: the order of application is not kept."""
    rows = session.compose(sql.SQL("select version::text from {}").format(table.identifier))
    versions = sorted((version for (version,) in rows), key=lambda text: (len(text), text))
    return ForeignHistory(
        "dbmate",
        str(table),
        tuple(
            ForeignMigration(key=version, label=f"version {version}", version=version_of(version))
            for version in versions
        ),
    )


DBMATE = Tool(
    "dbmate",
    ("schema_migrations",),
    frozenset({"version"}),
    read,
    exact=True,
    original=Form(r"(?P<key>[0-9]+)_.*\.sql", "-- migrate:up", "-- migrate:down"),
)
