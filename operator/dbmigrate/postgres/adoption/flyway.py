"""Flyway's table ``flyway_schema_history`` (before version 5: ``schema_version``).

Source: Flyway's documentation, "Flyway schema history table"; tried with Flyway 11. Rows are
only added: an undone migration has a later row of type UNDO_SQL, a deleted one of DELETE.
The checksum is a CRC-32 over the script's lines without their ends; a migration in Java
has none.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from psycopg import sql

from dbmigrate.migrations.foreign import Digests, ForeignHistory, ForeignMigration, version_of
from dbmigrate.migrations.originals import Form
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.postgres.adoption.tool import LOCAL_TIME, Table, Tool, unfinished
from dbmigrate.postgres.server.session import Session

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


def checksum(blocks: Iterable[bytes]) -> int:
    """Flyway's checksum of a script: CRC-32 of its lines, as a signed number of 32 bits."""
    value = 0
    for number, block in enumerate(blocks):
        text = block.removeprefix(b"\xef\xbb\xbf") if number == 0 else block
        value = zlib.crc32(text.translate(None, b"\r\n"), value)
    return value - (1 << 32) if value >= 1 << 31 else value


def digests(file: MigrationFile) -> Digests:
    """A script is one migration."""
    return {"": str(checksum(file.content.read_from(0)))}


FLYWAY = Tool(
    "flyway",
    ("flyway_schema_history", "schema_version"),
    frozenset(
        {"installed_rank", "version", "description", "type", "script", "checksum", "success"}
    ),
    read,
    digests,
    Form(r"V(?P<key>[0-9][0-9._]*?)__.*\.sql"),
)
