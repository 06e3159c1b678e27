"""Rows that break a rule are named in the status; mended, all is well again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.cluster.migration import condition_of

if TYPE_CHECKING:
    from tests.cluster.kubectl import Kubectl
    from tests.cluster.migration import Migration
    from tests.cluster.postgres import Database

SHOP = """\
CREATE TABLE customers (
    id bigint PRIMARY KEY,
    email text,
    tier text NOT NULL,
    age integer,
    order_count integer NOT NULL DEFAULT 0
);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, total numeric NOT NULL);
INSERT INTO customers VALUES
    (1, 'a@example.org', 'gold', 40, 1),
    (2, 'b@example.org', 'basic', 30, 0);
INSERT INTO orders VALUES (10, 1, 9.5);
"""
CHECKS: list[dict[str, Any]] = [
    {
        "name": "orders->customers",
        "severity": "critical",
        "relationship": {
            "table": "orders",
            "columns": ["customer_id"],
            "references": {"table": "customers", "columns": ["id"]},
        },
    },
    {
        "name": "order_counts",
        "storedCount": {
            "table": "customers",
            "column": "order_count",
            "key": ["id"],
            "counts": {"table": "orders", "columns": ["customer_id"]},
        },
    },
    {"name": "emails_differ", "unique": {"table": "customers", "columns": ["email"]}},
    {
        "name": "tiers",
        "acceptedValues": {"table": "customers", "column": "tier", "values": ["gold", "basic"]},
    },
    {
        "name": "emails",
        "pattern": {"table": "customers", "column": "email", "regex": "^[^@]+@[^@]+$"},
    },
    {"name": "ages", "range": {"table": "customers", "column": "age", "min": 0, "max": 150}},
    {"name": "totals", "query": {"sql": "SELECT id FROM orders WHERE total < 0"}},
]
BREAK = """\
INSERT INTO customers VALUES (3, 'b@example.org', 'silver', 200, 7), (4, 'nonsense', 'basic', 1, 0);
INSERT INTO orders VALUES (11, 99, -1);
"""
MEND = """\
DELETE FROM orders WHERE id = 11;
DELETE FROM customers WHERE id IN (3, 4);
"""


def run(database: Database, script: str) -> None:
    """Run a script of several statements."""
    with database.connect() as connection:
        connection.execute(script.encode())


def check_again(migration: Migration, value: str) -> dict[str, Any]:
    """Ask for the checks, and return the integrity status that answers."""
    migration.annotate(f"dbmigrate.dev/check={value}")
    status = migration.await_status(
        f"the checks asked for by {value} have run",
        lambda s: s.get("integrity", {}).get("requested") == value,
    )
    integrity: dict[str, Any] = status["integrity"]
    return integrity


def test_broken_rows_of_each_kind_are_named_and_mended_rows_are_healthy_again(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """The status names the check, the number and the keys; the summary is a column."""
    migration.files({"v1.0.0_shop.sql": SHOP})
    migration.apply(integrityChecks=CHECKS)
    status = migration.await_phase("Succeeded", version="1.0.0")
    assert status["integrity"]["summary"] == "Healthy"
    assert [r["status"] for r in status["integrity"]["results"]] == ["PASS"] * len(CHECKS)
    assert condition_of(status, "IntegrityHealthy")["status"] == "True"

    run(database, BREAK)
    integrity = check_again(migration, "broken")

    found = {r["check"]: r for r in integrity["results"]}
    assert {name: (r["status"], r["affectedRecords"]) for name, r in found.items()} == {
        "orders->customers": ("FAIL", 1),
        "order_counts": ("FAIL", 1),
        "emails_differ": ("FAIL", 2),
        "tiers": ("FAIL", 1),
        "emails": ("FAIL", 1),
        "ages": ("FAIL", 1),
        "totals": ("FAIL", 1),
    }
    assert "11" in found["orders->customers"]["details"]
    assert "b@example.org" in found["emails_differ"]["details"]
    assert integrity["criticalFailures"] == 1
    condition = condition_of(migration.status(), "IntegrityHealthy")
    assert condition["status"] == "False"
    assert "orders->customers" in condition["message"]
    assert "critical" in kubectl("get", "dbm", "exams")
    assert migration.status()["phase"] == "Succeeded"
    reported = database.query(
        "SELECT severity_level FROM system_events WHERE event_type = 'data_integrity_check'"
        " ORDER BY id DESC LIMIT 1"
    )
    assert reported == [("error",)]

    run(database, MEND)
    integrity = check_again(migration, "mended")

    assert integrity["summary"] == "Healthy"
    assert condition_of(migration.status(), "IntegrityHealthy")["status"] == "True"


def test_a_check_that_cannot_run_is_an_error_and_never_a_pass(migration: Migration) -> None:
    """A missing table is an ERROR with its reason."""
    migration.files({"v1.0.0_shop.sql": SHOP})
    migration.apply(
        integrityChecks=[{"name": "ghosts", "unique": {"table": "ghosts", "columns": ["id"]}}]
    )

    status = migration.await_phase("Succeeded", version="1.0.0")

    (result,) = status["integrity"]["results"]
    assert result["status"] == "ERROR"
    assert "ghosts" in result["details"]
    assert condition_of(status, "IntegrityHealthy")["status"] == "False"
