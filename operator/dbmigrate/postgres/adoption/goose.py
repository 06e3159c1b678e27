"""goose's table ``goose_db_version``.

Source: goose's ``internal/dialect``; tried with version 3. The newest row of a version
counts: older releases add one with ``is_applied`` false when they undo, newer ones delete
it. Version 0 is the table's own beginning. It keeps no names and no checksums.
"""

from __future__ import annotations

from psycopg import sql

from dbmigrate.migrations.foreign import ForeignHistory, ForeignMigration, version_of
from dbmigrate.migrations.originals import Form
from dbmigrate.postgres.adoption.tool import LOCAL_TIME, Table, Tool
from dbmigrate.postgres.server.session import Session

_QUERY = f"""
    select version_id::text, is_applied, {LOCAL_TIME.format("tstamp::timestamp")}
    from {{}} where version_id > 0 order by id
"""  # noqa: S608 -- our constants


def read(session: Session, table: Table) -> ForeignHistory:
    """What is applied now, in the order of application."""
    applied: dict[str, ForeignMigration] = {}
    for version, is_applied, when in session.compose(sql.SQL(_QUERY).format(table.identifier)):
        applied.pop(version, None)
        if is_applied:
            applied[version] = ForeignMigration(
                key=version,
                label=f"version {version}",
                version=version_of(version),
                applied_at=when,
            )
    return ForeignHistory("goose", str(table), tuple(applied.values()))


GOOSE = Tool(
    "goose",
    ("goose_db_version",),
    frozenset({"id", "version_id", "is_applied", "tstamp"}),
    read,
    original=Form(r"(?P<key>[0-9]+)_.*\.sql", "-- +goose up", "-- +goose down"),
)
