"""What a user does to a resource while its Job runs: delete, suspend, change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.awaiting import until
from tests.cluster.migration import table, tables

if TYPE_CHECKING:
    from tests.cluster.kubectl import Kubectl
    from tests.cluster.migration import Migration
    from tests.cluster.operator import Operator
    from tests.cluster.postgres import Database

SLOW = "CREATE TABLE slow (id int);\nSELECT pg_sleep({});\n"
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


def start_slow(migration: Migration, database: Database, seconds: float) -> dict[str, str]:
    """Start a run whose second of three files lasts so long, and wait until that one runs."""
    files = {**tables(1), "v1.2.0_slow.sql": SLOW.format(seconds), **tables(1, first=3)}
    migration.files(files)
    migration.apply()
    await_sleep(database)
    return files


def await_sleep(database: Database) -> None:
    """Wait until a runner sleeps in its file."""
    until(
        lambda: (
            database.query(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name LIKE 'dbmigrate%%' AND query LIKE '%%pg_sleep%%'"
                " AND state = 'active'",
                *(),
            )[0][0]
            > 0
        ),
        "the slow file runs",
    )


def assert_undone(database: Database, kubectl: Kubectl) -> None:
    """The open transaction is undone, the lock free, the Job gone."""
    until(lambda: database.query(LOCKS) == [(0,)], "the advisory lock is free", timeout=20)
    assert database.query("SELECT to_regclass('slow')") == [(None,)]
    assert database.query("SELECT to_regclass('t1')::text") == [("t1",)]
    until(
        lambda: not kubectl("get", "jobs,pods", "--ignore-not-found", "--output=name"),
        "the Job and its pod are gone",
        timeout=45,
    )


def test_deleting_the_resource_stops_its_run_and_undoes_the_open_file(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """What was committed stays; nothing half is left; no finalizer holds the deletion."""
    start_slow(migration, database, 120)

    migration.delete(timeout=10)

    assert_undone(database, kubectl)


def test_deletion_needs_no_operator(
    migration: Migration, database: Database, kubectl: Kubectl, operator: Operator
) -> None:
    """With the operator down the resource goes at once, and its run is stopped all the same."""
    start_slow(migration, database, 120)
    try:
        operator.scale(0)
        migration.delete(timeout=10)
        assert_undone(database, kubectl)
    finally:
        operator.scale(1)


def test_suspending_finishes_the_running_file_and_starts_no_other(
    migration: Migration, database: Database
) -> None:
    """The run stops after the file; it goes on when it is no longer suspended."""
    start_slow(migration, database, 6)

    migration.apply(suspend=True)

    status = migration.await_phase("Suspended", timeout=40)
    assert database.query("SELECT to_regclass('slow')::text, to_regclass('t3')::text") == [
        ("slow", None)
    ]
    assert status["currentVersion"] == "1.2.0"
    migration.apply(suspend=False)
    migration.await_phase("Succeeded", version="1.3.0")
    assert database.query(
        "SELECT count(*) FROM schema_migrations WHERE migration_type = 'forward'"
    ) == [(3,)]


def test_a_new_target_during_a_run_is_looked_at_after_the_running_file(
    migration: Migration, database: Database
) -> None:
    """The running file is finished, the rest is not begun, the new target decides."""
    start_slow(migration, database, 6)

    migration.apply(targetVersion="1.2.0")

    migration.await_phase("Succeeded", version="1.2.0", timeout=40)
    assert database.query("SELECT to_regclass('slow')::text, to_regclass('t3')::text") == [
        ("slow", None)
    ]


def test_a_new_source_during_a_run_gets_a_run_of_its_own(
    migration: Migration, database: Database
) -> None:
    """No result is booked to a source that it was not made from."""
    files = start_slow(migration, database, 6)
    first = until(migration.jobs, "the first Job is there")[0]

    migration.files({**files, "v1.3.0_table.sql": table(30), "v1.4.0_table.sql": table(4)})

    status = migration.await_phase("Succeeded", version="1.4.0", timeout=60)
    made_from = first["metadata"]["annotations"]["dbmigrate.dev/source-digest"]
    assert status["sourceDigest"] != made_from
    assert status["lastRun"]["sourceDigest"] == status["sourceDigest"]
    assert len(migration.jobs()) == 2
    assert database.query(
        "SELECT to_regclass('slow')::text, to_regclass('t3')::text, to_regclass('t30')::text"
    ) == [("slow", None, "t30")]
