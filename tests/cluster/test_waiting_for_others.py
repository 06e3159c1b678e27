"""A session of the application is in the way of a migration: the status and one Event say which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.cluster.awaiting import until
from tests.cluster.migration import condition_of, tables

if TYPE_CHECKING:
    from tests.cluster.kubectl import Kubectl
    from tests.cluster.migration import Migration
    from tests.cluster.postgres import Database

WAITS = "waits for the ACCESS EXCLUSIVE lock on public.t1"
GIVEN_UP = "canceling statement due to lock timeout; last seen in the way: "
"""What the status says between two tries; a busy machine may show that first."""
PATIENT = {"execution": {"lockTimeout": "2s", "lockRetries": 50, "lockRetryTimeout": "5m"}}


def events(kubectl: Kubectl) -> list[dict[str, Any]]:
    """The Events about somebody in the way."""
    found = kubectl.json("get", "events", "--field-selector=reason=WaitingForLock")
    items: list[dict[str, Any]] = found["items"]
    return items


def test_who_is_in_the_way_is_said_until_they_are_gone(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """Over several tries there is one Event; then the migration goes on by itself."""
    migration.files({**tables(1), "v1.2.0_more.sql": "ALTER TABLE t1 ADD COLUMN more text;\n"})
    migration.apply(targetVersion="1.1.0", **PATIENT)
    migration.await_phase("Succeeded", version="1.1.0")
    with database.connect(application_name="nightly") as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM t1")
        migration.apply(targetVersion="latest")
        status = migration.await_status(
            "it says who is in the way",
            lambda s: bool(s.get("progress", {}).get("blockers")),
        )
        (blocker,) = status["progress"]["blockers"]
        until(lambda: "(try 3 of 51)" in migration.status().get("message", ""), "it tries again")
        told = events(kubectl)
        reader.execute("COMMIT")

    assert condition_of(status, "Reconciling")["reason"] == "WaitingForLock"
    who = f"process {blocker['pid']} (user {database.owner}, application nightly"
    assert who in status["message"]
    assert any(each in status["message"] for each in (WAITS, GIVEN_UP))
    assert blocker["state"] == "idle in transaction"
    assert blocker["query"] == "SELECT count(*) FROM t1"
    (event,) = told
    assert (event["type"], event["involvedObject"]["name"]) == ("Warning", "exams")
    assert "SELECT count(*) FROM t1" in event["message"]
    done = migration.await_phase("Succeeded", version="1.2.0")
    assert "progress" not in done
    assert len(events(kubectl)) == 1


def test_how_far_a_long_statement_is_reaches_the_status(
    migration: Migration, database: Database
) -> None:
    """With the server's own phase and per cent."""
    database.query(
        "CREATE FUNCTION slow(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN "
        "IF n % 100 = 0 THEN PERFORM pg_sleep(0.2); END IF; RETURN n; END $$"
    )
    database.query(
        "CREATE TABLE big AS SELECT n, repeat('x', 500) AS filler FROM generate_series(1, 5000) n"
    )
    migration.files({"v1.0.0_index.sql": "CREATE INDEX ON big (slow(n));\n"})
    migration.apply()
    status = migration.await_status(
        "it says how far it is", lambda s: "percent" in s.get("progress", {})
    )

    assert status["progress"]["phase"] == "building index: scanning table"
    assert 0 <= status["progress"]["percent"] <= 100
    assert "building index: scanning table, " in status["message"]
    assert status["progress"]["statementStartedAt"]
    migration.await_phase("Succeeded", version="1.0.0")
