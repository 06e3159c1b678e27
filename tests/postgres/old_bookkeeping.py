"""A database as an older release of this program left it: with the tables of that time."""

import hashlib
import json

from dbmigrate.postgres.bookkeeping.steps import STEPS


def sha256(text: str) -> str:
    """Of a text's bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def make(database, files, version=1):
    """Make the tables of that version, and a history of these files as its runner wrote it.

    Args:
        database: the test's.
        files: text and rollback's text (or None) by version; the texts are executed.
        version: of the tables.
    """
    connection = database.connection
    for number in (each for each in STEPS if each <= version):
        connection.execute(STEPS[number].read_bytes())
    connection.execute(
        "insert into migration_settings (key, value) values ('bookkeeping', %s)",
        [json.dumps({"version": version, "by": "0.0.1"})],
    )
    for number, (text, rollback) in files.items():
        connection.execute(text)
        database.write(f"v{number}_old.sql", text)
        connection.execute(
            """
            insert into schema_migrations (version, filename, checksum, text_checksum, applied_by,
                execution_time_ms, rollback_file, rollback_sql, rollback_checksum, runner_version)
            values (%s, %s, %s, %s, 'an older runner', 7, %s, %s, %s, '0.0.1')
            """,
            [
                number, f"v{number}_old.sql", sha256(text), sha256(text),
                rollback and f"rollbacks/v{number}_rollback.sql", rollback,
                rollback and sha256(rollback),
            ],
        )  # fmt: skip
