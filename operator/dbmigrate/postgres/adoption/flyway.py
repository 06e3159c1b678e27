"""Flyway's table ``flyway_schema_history`` (before version 5: ``schema_version``).

Source: Flyway's documentation, "Flyway schema history table"; tried with Flyway 11. Rows are
only added: an undone migration has a later row of type UNDO_SQL, a deleted one of DELETE.
The checksum is a CRC-32 over the script's lines without their ends.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from psycopg import sql

from dbmigrate.migrations.foreign import ForeignHistory, ForeignMigration, version_of
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.postgres.adoption.tool import LOCAL_TIME, Table, Tool, unfinished
from dbmigrate.postgres.session import Session

_QUERY = f"""
    select version, description, type, script, checksum::text, installed_by,
        {LOCAL_TIME.format("installed_on")}, execution_time, success
    from {{}} order by installed_rank
"""  # noqa: S608 -- our constants
_TAKEN_BACK = ("UNDO", "DELETE")


def read(session: Session, table: Table) -> ForeignHistory:
    """What is applied now.

    Raises:
        RefusedError: a migration failed (AdoptionUnfinished).
    """
    applied: dict[str, ForeignMigration] = {}
    notes: list[str] = []
    for row in session.compose(sql.SQL(_QUERY).format(table.identifier)):
        version, description, kind, script, checksum, who, when, took, success = row
        if not success:
            raise unfinished(
                "flyway",
                f"{script} failed, by {table}",
                "mend it and run `flyway repair`, then adopt",
            )
        if kind == "SCHEMA":
            continue
        if version is None:
            notes.append(f"{script}: repeatable, which is not adopted: `up` runs it again")
            continue
        if kind.startswith(_TAKEN_BACK):
            applied.pop(version, None)
            continue
        applied[version] = ForeignMigration(
            key=version,
            label=script,
            version=version_of(version),
            name="" if kind.endswith("BASELINE") else description,
            digest=checksum or "",
            applied_at=when,
            applied_by=who,
            milliseconds=took,
            is_baseline=kind == "BASELINE",
        )
    return ForeignHistory(
        "flyway", str(table), tuple(applied.values()), notes=tuple(dict.fromkeys(notes))
    )


def checksum(data: bytes) -> int:
    """Flyway's checksum of a script: CRC-32 of its lines, as a signed number of 32 bits."""
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    value = zlib.crc32(text.replace(b"\n", b""))
    return value - (1 << 32) if value >= 1 << 31 else value


def fits(file: MigrationFile, migrations: Sequence[ForeignMigration]) -> bool | None:
    """Whether the file is the script that Flyway ran; a Java migration has no checksum."""
    if len(migrations) != 1 or not migrations[0].digest:
        return None
    return str(checksum(file.data)) == migrations[0].digest


FLYWAY = Tool(
    "flyway",
    ("flyway_schema_history", "schema_version"),
    frozenset(
        {"installed_rank", "version", "description", "type", "script", "checksum", "success"}
    ),
    read,
    fits,
)
