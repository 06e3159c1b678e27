"""Two operators at once do no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.awaiting import until
from tests.cluster.migration import Migration, tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.kubectl import Kubectl
    from tests.cluster.operator import Operator
    from tests.cluster.postgres import Server

COUNT = 20


@pytest.fixture
def two_operators(operator: Operator) -> Iterator[None]:
    """Two operators for the time of a test."""
    operator.scale(2)
    yield
    operator.scale(1)


def phases(kubectl: Kubectl) -> list[str]:
    """Where the namespace's resources stand: one question for all, which costs little."""
    items = kubectl.json("get", "dbm")["items"]
    return [each.get("status", {}).get("phase", "") for each in items]


def ended(migration: Migration) -> list[dict[str, Any]]:
    """The resource's Jobs, once all have ended: that is told later than the result."""
    jobs = migration.jobs()
    counts = [job["status"].get("succeeded", 0) + job["status"].get("failed", 0) for job in jobs]
    return jobs if all(counts) else []


@pytest.mark.usefixtures("two_operators")
def test_two_operators_make_one_job_for_each_step(
    kubectl: Kubectl, shared_postgres: Server
) -> None:
    """20 resources, two operators: one Job and one row in the history for each."""
    migrations, databases = [], []
    for number in range(COUNT):
        made = shared_postgres.create_database()
        databases.append(made)
        kubectl.apply(made.secret(f"db-{number}"))
        each = Migration(kubectl, name=f"m{number}", secret=f"db-{number}")
        each.files(tables(2))
        migrations.append(each)

    kubectl.apply(*(each.manifest() for each in migrations))
    until(
        lambda: phases(kubectl) == ["Succeeded"] * COUNT,
        "all have succeeded",
        timeout=180,
        every=1,
        shown=lambda: kubectl("get", "dbm,jobs"),
    )

    for each, database in zip(migrations, databases, strict=True):
        jobs = until(lambda each=each: ended(each), "its Jobs are told to have ended")
        attempts = [job["metadata"]["labels"]["dbmigrate.dev/attempt"] for job in jobs]
        assert len(set(attempts)) == len(jobs)
        # Another attempt is made only for one that failed, such as when the server was too busy.
        assert [job["status"].get("succeeded", 0) for job in jobs] == [0] * (len(jobs) - 1) + [1]
        rows = database.query("SELECT version, status FROM schema_migrations ORDER BY id")
        assert rows == [("1.1.0", "completed"), ("1.2.0", "completed")]
    for database in databases:
        shared_postgres.drop_database(database)
