"""A database with a small shop, and the running of checks on it."""

import threading
import time
from datetime import timedelta

import pytest
from tests.postgres.integrity.shop import check

from dbmigrate.postgres.integrity.checks import run_checks

SHOP = """
    CREATE SCHEMA shop;
    CREATE TABLE shop.customers (
        id int PRIMARY KEY, email text, orders int, tier text, score numeric, since date
    );
    CREATE TABLE shop.orders (id int PRIMARY KEY, customer_id int, note text);
    CREATE TABLE shop.visits (customer text, page text);  -- no primary key
    INSERT INTO shop.customers VALUES
        (1, 'a@example.com', 2, 'gold', 1.5, '2024-01-01'),
        (2, 'b@example.com', 0, 'basic', 99, '2025-01-01');
    INSERT INTO shop.orders VALUES (11, 1, 'x'), (12, 1, 'x'), (13, NULL, 'y');
    INSERT INTO shop.visits VALUES ('a@example.com', '/'), (NULL, '/');
"""

WAITS = "SELECT true FROM pg_stat_activity WHERE pid = %s AND wait_event = 'advisory'"


@pytest.fixture
def connect(database):
    """Makes one more connection to the test's database."""
    return database.another


@pytest.fixture
def shop(database):
    """A connection to a database with a small shop."""
    database.connection.execute(SHOP)
    return database.connection


@pytest.fixture
def run(shop):
    """Runs one check, or a list of them, and gives the result, or the report."""

    def _run(body, *, timeout=10.0, on=shop):
        checks = body if isinstance(body, list) else [check(body)]
        report = run_checks(on, checks, statement_timeout=timedelta(seconds=timeout))
        return report if isinstance(body, list) else report.results[0]

    return _run


@pytest.fixture
def during(shop, connect, run):
    """Does something on another connection between the checks before and the checks after."""

    def _during(action, after=(), before=()):
        gate = {"query": {"sql": "SELECT pg_advisory_xact_lock(4711)::text"}}
        bodies = [*before, gate, *after]
        checks = [check(body, name=f"rule{n}") for n, body in enumerate(bodies)]
        reports = []
        with connect() as other:
            other.execute("SELECT pg_advisory_lock(4711)")
            worker = threading.Thread(target=lambda: reports.append(run(checks, timeout=30)))
            worker.start()
            try:
                deadline = time.monotonic() + 20
                while not other.execute(WAITS, [shop.info.backend_pid]).fetchone():
                    assert time.monotonic() < deadline, "the check never came to wait"
                    time.sleep(0.01)
                action(other)
            finally:
                other.execute("SELECT pg_advisory_unlock(4711)")
                worker.join(30)
        return [*reports[0].results[: len(before)], *reports[0].results[len(before) + 1 :]]

    return _during
