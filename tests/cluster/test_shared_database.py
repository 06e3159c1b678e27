"""Two resources pointed at one database: one waits for the other, and says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.cluster.awaiting import until
from tests.cluster.migration import condition_of, tables

if TYPE_CHECKING:
    from tests.cluster.migration import Migration
    from tests.cluster.postgres import Database


def test_one_waits_for_the_other_and_says_so(migration: Migration, database: Database) -> None:
    """Both succeed in the end, and each migration is applied once."""
    files = {**tables(1), "v1.2.0_slow.sql": "SELECT pg_sleep(8);\n"}
    migration.files(files)
    migration.apply()
    until(
        lambda: database.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")[0][0],
        "the first holds the lock",
    )
    second = replace(
        migration, name="second", spec={"source": migration.manifest()["spec"]["source"]}
    )
    second.apply()

    status = second.await_status(
        "the second says that it waits",
        lambda s: condition_of(s, "Reconciling").get("reason") == "WaitingForLock",
    )

    assert "exams" in status["message"]
    migration.await_phase("Succeeded", version="1.2.0")
    second.await_phase("Succeeded", version="1.2.0")
    assert database.query(
        "SELECT version, count(*) FROM schema_migrations GROUP BY 1 ORDER BY 1"
    ) == [("1.1.0", 1), ("1.2.0", 1)]
