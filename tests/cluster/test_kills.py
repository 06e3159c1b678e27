"""Whatever dies, at whatever moment: each migration is applied once, and the status is true."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.cluster.awaiting import until
from tests.cluster.migration import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.kubectl import Kubectl
    from tests.cluster.migration import Migration
    from tests.cluster.operator import Operator
    from tests.cluster.postgres import Database

APPLIED = (
    "SELECT version, count(*) FROM schema_migrations"
    " WHERE migration_type = 'forward' AND status = 'completed' GROUP BY 1 ORDER BY 1"
)
RUNNING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE 'dbmigrate%%' AND query LIKE %s AND state = 'active'"
)


def kill_runner(kubectl: Kubectl, pod: str) -> None:
    """End a runner's pod as SIGKILL does: at once, with no chance to clean up."""
    # PID 1 ignores signals sent from inside its own namespace: the pod goes by force.
    kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")


def await_statement(database: Database, text: str) -> None:
    """Wait until a runner executes a statement that holds this text."""
    until(
        lambda: database.query(RUNNING, f"%{text}%")[0][0] > 0,
        f"{text} is being executed",
    )


def test_a_runner_killed_between_two_statements_is_followed_by_one_that_finishes(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """The open transaction is undone, the next run carries on: each migration applied once."""
    gate = (
        "CREATE TABLE before_the_gate (id int);\n"
        "SELECT pg_advisory_xact_lock(4711);\n"
        "CREATE TABLE after_the_gate (id int);\n"
    )
    migration.files({**tables(2), "v1.3.0_gate.sql": gate, **tables(1, first=4)})
    with psycopg.connect(database.dsn) as keeper:
        keeper.execute("SELECT pg_advisory_lock(4711)")
        migration.apply(execution={"lockTimeout": "60s"})
        await_statement(database, "4711")
        kill_runner(kubectl, migration.runner_pod())

    migration.await_phase("Succeeded", version="1.4.0", timeout=90)

    assert database.query(APPLIED) == [(f"1.{n}.0", 1) for n in range(1, 5)]


def test_a_runner_killed_during_a_long_statement_does_not_run_beside_its_successor(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """The old server process still holds the lock: the next run waits, then finishes."""
    slow = "INSERT INTO t1 SELECT 1, 'once' FROM (SELECT pg_sleep(8)) AS waited;\n"
    migration.files({**tables(1), "v1.2.0_slow.sql": slow})
    migration.apply()
    await_statement(database, "pg_sleep(8)")

    kill_runner(kubectl, migration.runner_pod())

    migration.await_phase("Succeeded", version="1.2.0", timeout=90)
    assert database.query(APPLIED) == [("1.1.0", 1), ("1.2.0", 1)]
    assert database.query("SELECT count(*) FROM t1") == [(1,)]


@pytest.fixture
def unseen_job(
    migration: Migration, database: Database, kubectl: Kubectl, operator: Operator
) -> Iterator[str]:
    """A Job that has ended well while no operator was there to see it; one is back afterwards."""
    migration.files({**tables(1), "v1.2.0_slow.sql": "SELECT pg_sleep(6);\n"})
    migration.apply()
    await_statement(database, "pg_sleep(6)")
    try:
        operator.kill()
        job = migration.jobs()[0]["metadata"]["name"]
        kubectl.wait(f"job/{job}", "condition=Complete", timeout=60)
        yield job
    finally:
        operator.scale(1)


def test_an_operator_killed_during_a_run_knows_the_result_though_the_pod_is_gone(
    migration: Migration, database: Database, kubectl: Kubectl, operator: Operator, unseen_job: str
) -> None:
    """It is asked of the database, and nothing runs a second time."""
    kubectl("delete", "pods", f"--selector=job-name={unseen_job}", "--wait=true")
    assert migration.status()["phase"] == "Migrating"

    operator.scale(1)

    status = migration.await_phase("Succeeded", version="1.2.0")
    assert [m["version"] for m in status["migrations"]] == ["1.1.0", "1.2.0"]
    assert len(migration.jobs()) == 1
    assert database.query(APPLIED) == [("1.1.0", 1), ("1.2.0", 1)]


def test_an_operator_killed_during_a_run_knows_the_result_though_the_job_is_gone(
    migration: Migration, database: Database, kubectl: Kubectl, operator: Operator, unseen_job: str
) -> None:
    """As after the Job's time to live: no migration runs a second time."""
    kubectl("delete", "job", unseen_job, "--wait=true")

    operator.scale(1)

    migration.await_phase("Succeeded", version="1.2.0")
    assert database.query(APPLIED) == [("1.1.0", 1), ("1.2.0", 1)]


def test_a_restarted_operator_writes_nothing_for_what_is_settled(
    migration: Migration, operator: Operator
) -> None:
    """No Job and no status write at a restart: the resource stays as it is, to its version."""
    migration.files(tables(1))
    migration.apply()
    migration.await_phase("Succeeded", version="1.1.0")
    before = until(lambda: migration.get()["metadata"]["resourceVersion"], "the resource is there")

    operator.scale(0)
    operator.scale(1)
    canary = _canary(migration)

    canary.await_phase("Succeeded", version="1.1.0")
    assert migration.get()["metadata"]["resourceVersion"] == before
    assert len(migration.jobs()) == 1


def _canary(migration: Migration) -> Migration:
    """A second resource on the same source: once it is served, the operator has seen both."""
    canary = replace(
        migration,
        name="canary",
        spec={"source": migration.manifest()["spec"]["source"]},
    )
    canary.apply()
    return canary
