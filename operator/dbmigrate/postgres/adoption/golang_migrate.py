"""golang-migrate's table ``schema_migrations``: one row, the current version.

Source: golang-migrate's ``database/postgres/README.md``; tried with version 4. Everything
older than that version is applied; the tool keeps no names, times or checksums.
"""

from __future__ import annotations

from psycopg import sql

from dbmigrate.migrations.foreign import ForeignHistory, ForeignMigration, version_of
from dbmigrate.migrations.originals import Form
from dbmigrate.postgres.adoption.tool import Table, Tool, unfinished
from dbmigrate.postgres.server.session import Session


def read(session: Session, table: Table) -> ForeignHistory:
    """The current version.

    Raises:
        RefusedError: it is dirty (AdoptionUnfinished).
    """
    rows = session.compose(sql.SQL("select version::text, dirty from {}").format(table.identifier))
    for version, dirty in rows:
        if dirty:
            raise unfinished(
                "golang-migrate",
                f"version {version} is dirty: it failed half-way",
                f"look what of it is in the database, mend that, then `migrate force {version}` "
                "(or the version before), and adopt",
            )
    current = tuple(
        ForeignMigration(key=version, label=f"version {version}", version=version_of(version))
        for version, _ in rows
    )
    return ForeignHistory("golang-migrate", str(table), current, is_pointer=True)


GOLANG_MIGRATE = Tool(
    "golang-migrate",
    ("schema_migrations",),
    frozenset({"version", "dirty"}),
    read,
    exact=True,
    original=Form(r"(?P<key>[0-9]+)_.*\.up\.sql"),
)
