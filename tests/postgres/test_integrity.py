"""Integrity checks against a real server: each kind's PASS, FAIL and ERROR, and what must hold."""

import json
import threading
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from dbmigrate.api.checks import IntegrityCheck
from dbmigrate.errors import RefusedError, UnreachableError
from dbmigrate.migrations.checks import load_checks
from dbmigrate.postgres.integrity.checks import run_checks
from dbmigrate.postgres.integrity.events import PAYLOAD_LIMIT, record_report
from dbmigrate.postgres.integrity.snapshot import Snapshot

SAMPLE = Path(__file__).parents[2] / "migrations"

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

RELATIONSHIP = {
    "relationship": {
        "table": "shop.orders",
        "columns": ["customer_id"],
        "references": {"table": "shop.customers", "columns": ["id"]},
    }
}
STORED_COUNT = {
    "storedCount": {
        "table": "shop.customers",
        "column": "orders",
        "key": ["id"],
        "counts": {"table": "shop.orders", "columns": ["customer_id"]},
    }
}
UNIQUE = {"unique": {"table": "shop.customers", "columns": ["email"]}}
ACCEPTED = {
    "acceptedValues": {"table": "shop.customers", "column": "tier", "values": ["gold", "basic"]}
}
PATTERN = {"pattern": {"table": "shop.customers", "column": "email", "regex": "^[^@]+@[^@]+$"}}
RANGE = {"range": {"table": "shop.customers", "column": "score", "min": 0, "max": "99.5"}}
QUERY = {"query": {"sql": "SELECT id, note FROM shop.orders WHERE note = 'bad' ORDER BY id"}}


def check(body, name="rule", severity="warning"):
    """A check with that body, as a manifest would give it."""
    return IntegrityCheck.model_validate({"name": name, "severity": severity, **body})


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


class TestEachKind:
    """What each kind calls PASS and FAIL."""

    @pytest.mark.parametrize(
        "body", [RELATIONSHIP, STORED_COUNT, UNIQUE, ACCEPTED, PATTERN, RANGE, QUERY]
    )
    def test_passes_on_data_that_obey(self, run, body):
        """Rows that obey give PASS, with nothing affected; NULLs count as obeying."""
        result = run(body)
        assert (result.status, result.affected_records) == ("PASS", 0)

    @pytest.mark.parametrize(
        ("body", "damage", "affected", "details"),
        [
            (
                RELATIONSHIP,
                "INSERT INTO shop.orders VALUES (15, 9, ''), (14, 8, '')",
                2,
                (
                    "2 rows of shop.orders without their row in shop.customers: "
                    "id=14 (customer_id=8), id=15 (customer_id=9)"
                ),
            ),
            (
                STORED_COUNT,
                "UPDATE shop.customers SET orders = CASE id WHEN 1 THEN 3 END",
                2,
                (
                    "2 rows of shop.customers whose orders is not what shop.orders holds: "
                    "id=1 (orders=3, counted=2), id=2 (orders=NULL, counted=0)"
                ),
            ),
            (
                UNIQUE,
                (
                    "INSERT INTO shop.customers (id, email) VALUES (3, 'a@example.com'), (4, NULL),"
                    " (5, NULL), (6, 'a@example.com')"
                ),
                3,
                (
                    "3 rows of shop.customers that share email with another: "
                    "email=a@example.com (rows=3)"
                ),
            ),
            (
                ACCEPTED,
                "INSERT INTO shop.customers (id, tier) VALUES (3, 'Gold'), (4, NULL)",
                1,
                (
                    "1 row of shop.customers whose tier is none of the accepted values: "
                    "id=3 (tier=Gold)"
                ),
            ),
            (
                PATTERN,
                "INSERT INTO shop.customers (id, email) VALUES (3, 'nobody'), (4, NULL)",
                1,
                "1 row of shop.customers whose email does not match the pattern: id=3",
            ),
            (
                RANGE,
                (
                    "INSERT INTO shop.customers (id, score)"
                    " VALUES (3, -0.01), (4, 99.51), (5, 99.5), (6, NULL)"
                ),
                2,
                (
                    "2 rows of shop.customers whose score is out of range: "
                    "id=3 (score=-0.01), id=4 (score=99.51)"
                ),
            ),
            (
                QUERY,
                "UPDATE shop.orders SET note = 'bad' WHERE id < 13",
                2,
                "2 rows returned by the query: id=11, note=bad, id=12, note=bad",
            ),
        ],
    )
    def test_fails_with_number_and_keys(  # noqa: PLR0917 -- a case has four parts
        self, shop, run, body, damage, affected, details
    ):
        """Rows that disobey give FAIL: how many, and which."""
        shop.execute(damage)
        result = run(body)
        assert (result.status, result.affected_records) == ("FAIL", affected)
        assert result.details == details

    def test_range_compares_dates_given_as_text(self, run):
        """A bound is taken as the column's type takes it."""
        result = run({"range": {"table": "shop.customers", "column": "since", "min": "2024-06-01"}})
        assert result.details.endswith("id=1 (since=2024-01-01)")

    def test_composite_reference_with_a_null_is_no_orphan(self, shop, run):
        """As with MATCH SIMPLE: one NULL, and the row refers to nothing."""
        shop.execute("""
            CREATE TABLE shop.parents (a int, b int, PRIMARY KEY (a, b));
            CREATE TABLE shop.children (id int PRIMARY KEY, a int, b int);
            INSERT INTO shop.parents VALUES (1, 1);
            INSERT INTO shop.children VALUES (1, 1, 1), (2, 1, NULL), (3, 1, 2);
        """)
        result = run(
            {
                "relationship": {
                    "table": "shop.children",
                    "columns": ["a", "b"],
                    "references": {"table": "shop.parents", "columns": ["a", "b"]},
                }
            }
        )
        assert result.details.endswith(": id=3 (a=1, b=2)")

    def test_names_rows_without_a_primary_key_by_what_is_wrong(self, shop, run):
        """Where no key is, the column itself is shown."""
        shop.execute("INSERT INTO shop.visits VALUES ('ghost', '/')")
        body = {
            "relationship": {
                "table": "shop.visits",
                "columns": ["customer"],
                "references": {"table": "shop.customers", "columns": ["email"]},
            }
        }
        assert run(body).details.endswith(": customer=ghost")

    def test_takes_names_as_they_are_written(self, shop, run):
        """No folding, and nothing in a name is SQL."""
        shop.execute("""
            CREATE TABLE shop."Odd; Table" (id int PRIMARY KEY, "a%%s ""b" int);
            ALTER TABLE shop."Odd; Table" RENAME COLUMN "a%%s ""b" TO "a%s {b";
            INSERT INTO shop."Odd; Table" VALUES (1, -1);
        """)
        body = {"range": {"table": "shop.Odd; Table", "column": "a%s {b", "min": 0}}
        assert run(body).affected_records == 1

    def test_looks_up_unqualified_tables_by_the_search_path(self, shop, run):
        """As a query on this connection would."""
        shop.execute("SET search_path = shop")
        assert run({"unique": {"table": "customers", "columns": ["email"]}}).status == "PASS"


class TestForeignKeys:
    """The declared ones, believed only after looking."""

    BODY = {"foreignKeys": {"schemas": ["shop"]}}  # noqa: RUF012 -- never changed

    def test_a_not_valid_foreign_key_is_verified(self, shop, run):
        """NOT VALID lets old orphans stay; the check finds them."""
        shop.execute("""
            INSERT INTO shop.orders VALUES (14, 8);
            ALTER TABLE shop.orders ADD CONSTRAINT orders_customer_id_fkey
            FOREIGN KEY (customer_id) REFERENCES shop.customers NOT VALID;
        """)
        result = run(self.BODY)
        assert (result.status, result.affected_records) == ("FAIL", 1)
        assert result.details == (
            "orders_customer_id_fkey: 1 row of shop.orders without their row in shop.customers: "
            "id=14 (customer_id=8)"
        )

    def test_a_foreign_key_whose_triggers_were_off_is_verified(self, shop, run):
        """It claims to be valid, and is not."""
        shop.execute("""
            ALTER TABLE shop.orders ADD FOREIGN KEY (customer_id) REFERENCES shop.customers;
            SET session_replication_role = replica;
            DELETE FROM shop.customers WHERE id = 1;
            RESET session_replication_role;
        """)
        assert run(self.BODY).affected_records == 2

    def test_tells_how_many_hold(self, shop, run):
        """PASS says what was looked at: a partitioned table's key counts once."""
        shop.execute("""
            ALTER TABLE shop.orders ADD FOREIGN KEY (customer_id) REFERENCES shop.customers;
            CREATE TABLE shop.log (customer_id int REFERENCES shop.customers)
            PARTITION BY RANGE (customer_id);
            CREATE TABLE shop.log_1 PARTITION OF shop.log FOR VALUES FROM (0) TO (10);
            CREATE TABLE shop.log_2 PARTITION OF shop.log FOR VALUES FROM (10) TO (20);
        """)
        result = run(self.BODY)
        assert (result.status, result.details) == ("PASS", "2 foreign keys hold")

    def test_match_full_refuses_a_key_that_is_partly_null(self, shop, run):
        """All NULL refers to nothing; some NULL is a violation."""
        shop.execute("""
            CREATE TABLE shop.parents (a int, b int, PRIMARY KEY (a, b));
            CREATE TABLE shop.children (id int PRIMARY KEY, a int, b int);
            INSERT INTO shop.children VALUES (1, NULL, NULL), (2, 1, NULL);
            ALTER TABLE shop.children ADD CONSTRAINT fk FOREIGN KEY (a, b)
            REFERENCES shop.parents MATCH FULL NOT VALID;
        """)
        assert run(self.BODY).details.endswith(": id=2 (a=1, b=NULL)")

    def test_rows_of_an_inheriting_table_are_not_bound(self, shop, run):
        """A foreign key binds the table itself, not its heirs."""
        shop.execute("""
            ALTER TABLE shop.orders ADD FOREIGN KEY (customer_id) REFERENCES shop.customers;
            CREATE TABLE shop.old_orders () INHERITS (shop.orders);
            INSERT INTO shop.old_orders VALUES (99, 99);
        """)
        assert run(self.BODY).status == "PASS"

    def test_finding_no_foreign_key_is_no_pass(self, run):
        """Nothing verified is not the same as all verified."""
        result = run(self.BODY)
        assert (result.status, result.details) == (
            "ERROR",
            "no foreign key is declared there: nothing was verified",
        )

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ({"tables": ["shop.nowhere"]}, "table shop.nowhere does not exist"),
            ({"schemas": ["nowhere"]}, "schema nowhere does not exist"),
        ],
    )
    def test_a_missing_table_or_schema_is_an_error(self, run, body, reason):
        """What was named must be there."""
        result = run({"foreignKeys": body})
        assert (result.status, result.details) == ("ERROR", reason)


class TestWhatCannotRun:
    """ERROR with its reason, never PASS, and no harm to the other checks."""

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (
                {"unique": {"table": "shop.nowhere", "columns": ["id"]}},
                "table shop.nowhere does not exist",
            ),
            (
                {"unique": {"table": "shop.orders", "columns": ["nothing"]}},
                "column t.nothing does not exist (SQLSTATE 42703)",
            ),
            (
                {"pattern": {"table": "shop.orders", "column": "note", "regex": "("}},
                "invalid regular expression: parentheses () not balanced (SQLSTATE 2201B)",
            ),
            (
                {"range": {"table": "shop.orders", "column": "id", "min": "many"}},
                'invalid input syntax for type integer: "many" (SQLSTATE 22P02)',
            ),
            ({"query": {"sql": "TABLE void"}}, 'relation "void" does not exist (SQLSTATE 42P01)'),
            (
                {"query": {"sql": "UPDATE shop.orders SET note = ''"}},
                'syntax error at or near "UPDATE" (SQLSTATE 42601)',
            ),
            ({"query": {"sql": "-- nothing"}}, "syntax error at end of input (SQLSTATE 42601)"),
        ],
    )  # fmt: skip
    def test_says_why(self, run, body, reason):
        """Each with the reason that a person can act upon."""
        result = run(body)
        assert (result.status, result.details, result.affected_records) == ("ERROR", reason, 0)

    def test_a_check_that_takes_too_long_is_an_error(self, run):
        """The timeout is the check's own."""
        result = run({"query": {"sql": "SELECT pg_sleep(30)::text"}}, timeout=0.2)
        assert (result.status, result.details) == ("ERROR", "did not finish within 0.2 s")
        assert result.duration_ms < 5000

    def test_the_timeout_is_for_the_whole_check(self, run):
        """Counting the rest of the rows does not get the time anew."""
        query = "SELECT n, pg_sleep(0.16)::text FROM generate_series(1, 9) AS n"
        result = run({"query": {"sql": query}}, timeout=1)
        assert (result.status, result.details) == ("ERROR", "did not finish within 1 s")

    def test_a_missing_right_is_an_error(self, shop, connect, run):
        """The role may not read: nothing is known."""
        shop.execute("DROP ROLE IF EXISTS integrity_stranger")
        shop.execute("CREATE ROLE integrity_stranger")
        shop.execute("GRANT USAGE ON SCHEMA shop TO integrity_stranger")
        with connect() as other:
            other.execute("SET ROLE integrity_stranger")
            result = run(UNIQUE, on=other)
        assert result.status == "ERROR"
        assert "permission denied for table customers" in result.details

    def test_rows_hidden_by_a_policy_are_an_error(self, shop, connect, run):
        """A role that does not see all rows must not call them right."""
        shop.execute("INSERT INTO shop.orders VALUES (14, 8)")
        shop.execute("ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY")
        shop.execute("DROP ROLE IF EXISTS integrity_reader")
        shop.execute("CREATE ROLE integrity_reader")
        shop.execute("GRANT USAGE ON SCHEMA shop TO integrity_reader")
        shop.execute("GRANT SELECT ON ALL TABLES IN SCHEMA shop TO integrity_reader")
        with connect() as other:
            other.execute("SET ROLE integrity_reader")
            result = run(RELATIONSHIP, on=other)
        assert result.status == "ERROR"
        assert "row-level security" in result.details

    def test_the_checks_after_it_still_run(self, shop, run):
        """One ERROR does not spoil the rest."""
        shop.execute("INSERT INTO shop.orders VALUES (14, 8)")
        report = run(
            [
                check({"query": {"sql": "SELECT 1/0"}}, name="broken"),
                check(RELATIONSHIP, name="orphans", severity="critical"),
                check(UNIQUE, name="doubles"),
            ]
        )
        assert [r.status for r in report.results] == ["ERROR", "FAIL", "PASS"]
        assert (report.critical_failures, report.warnings, report.errors) == (1, 0, 1)
        assert (report.healthy, report.summary) == (False, "1 critical, 1 error")

    def test_a_lost_connection_is_said(self, run, shop, connect):
        """Not a result: nobody knows how the data are."""
        with connect() as other:
            killer = f"SELECT pg_terminate_backend({shop.info.backend_pid})::text"
            assert other is not shop
            with pytest.raises(UnreachableError):
                run({"query": {"sql": killer}})


class TestReadOnly:
    """A check changes nothing, whatever its query says."""

    @pytest.mark.parametrize(
        "hostile",
        [
            "SELECT 1; COMMIT; DROP TABLE shop.visits",
            "SELECT 1; DROP TABLE shop.visits",
            "SELECT 1) AS q; COMMIT; DROP TABLE shop.visits; SELECT * FROM (SELECT 1",
            "SELECT 1) AS q UNION SELECT (1",
            "COMMIT",
            "ROLLBACK; DROP TABLE shop.visits",
            "WITH gone AS (DELETE FROM shop.visits RETURNING 1) SELECT * FROM gone",
            "SELECT * INTO shop.copy FROM shop.visits",
            "SELECT customer FROM shop.visits FOR UPDATE",
            "SELECT set_config('transaction_read_only', 'off', true), wreck() AS x",
            "SELECT set_config('default_transaction_read_only', 'off', false), wreck()::text",
            "SELECT wreck()::text",
            "SELECT nextval('shop.numbers')",
        ],
    )
    def test_a_hostile_query_is_an_error_and_changes_nothing(self, shop, run, connect, hostile):
        """Refused by the server; the next check sees what was there, and so does everybody."""
        shop.execute("""
            CREATE SEQUENCE shop.numbers;
            CREATE FUNCTION wreck() RETURNS int LANGUAGE plpgsql AS
            $$ BEGIN PERFORM set_config('transaction_read_only', 'off', true);
               DELETE FROM shop.visits; RETURN 1; END $$;
        """)
        report = run([check({"query": {"sql": hostile}}), check(RELATIONSHIP, name="next")])
        assert [r.status for r in report.results] == ["ERROR", "PASS"]
        with connect() as other:
            assert other.execute("SELECT count(*) FROM shop.visits").fetchone() == (2,)
            assert other.execute("SELECT to_regclass('shop.copy')").fetchone() == (None,)

    def test_what_the_server_lets_through_is_undone(self, run, connect):
        """PostgreSQL before 16 makes large objects in a read-only transaction; none remains."""
        run({"query": {"sql": "SELECT lo_create(0)"}})
        with connect() as other:
            rows = other.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone()
        assert rows == (0,)

    def test_a_setting_that_a_query_changes_does_not_reach_the_next_check(self, run):
        """Otherwise one check could send the next one to other tables."""
        first = "SELECT set_config('search_path', 'pg_catalog', false) AS path"
        second = "SELECT 1 WHERE current_setting('search_path') = 'pg_catalog'"
        report = run(
            [check({"query": {"sql": first}}), check({"query": {"sql": second}}, name="second")]
        )
        assert [r.status for r in report.results] == ["FAIL", "PASS"]

    def test_a_transaction_that_is_another_one_is_noticed(self, connect):
        """Were there a way out all the same, no result would be believed."""
        with connect() as other:
            other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot = Snapshot(other)
            snapshot.verify()
            other.execute("COMMIT")
            other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            with pytest.raises(RefusedError, match="left the read-only transaction"):
                snapshot.verify()
            other.execute("ROLLBACK")

    def test_leaves_the_connection_as_it_was(self, shop, run):
        """The caller goes on with a connection that can write, outside of a transaction."""
        run(UNIQUE)
        assert shop.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert (shop.isolation_level, shop.read_only) == (None, None)
        shop.execute("INSERT INTO shop.visits VALUES ('x', 'y')")

    def test_refuses_a_connection_within_a_transaction(self, shop, run):
        """Its snapshot and its rights to write are not ours to judge."""
        with shop.transaction(), pytest.raises(RefusedError, match="outside of a transaction"):
            run(UNIQUE)


class TestOneSnapshot:
    """All checks see the same moment, or say that they could not."""

    def test_a_write_between_two_checks_is_not_seen(self, during, run):
        """The orphan came after the snapshot: PASS now, FAIL at the next run."""
        (result,) = during(
            lambda other: other.execute("INSERT INTO shop.orders VALUES (14, 8)"), [RELATIONSHIP]
        )
        assert result.status == "PASS"
        assert run(RELATIONSHIP).status == "FAIL"

    @pytest.mark.parametrize(
        "rewrite",
        [
            "TRUNCATE shop.orders",
            "ALTER TABLE shop.orders ALTER COLUMN note TYPE varchar(9)",
            "VACUUM FULL shop.orders",
            "DROP TABLE shop.orders; CREATE TABLE shop.orders (id int, customer_id int)",
        ],
    )
    def test_a_table_that_was_rewritten_meanwhile_is_an_error(self, shop, during, rewrite):
        """The old snapshot would see it empty, and call its orphans none."""
        shop.execute("INSERT INTO shop.orders VALUES (14, 8)")
        (result,) = during(lambda other: other.execute(rewrite), [RELATIONSHIP])
        assert result.status == "ERROR"
        assert "orders" in result.details or "rewritten" in result.details

    def test_an_index_that_is_made_meanwhile_does_no_harm(self, during):
        """Ordinary work beside us is no error."""
        (result,) = during(
            lambda other: other.execute("CREATE INDEX ON shop.orders (customer_id)"), [RELATIONSHIP]
        )
        assert result.status == "PASS"

    def test_a_check_that_is_over_holds_no_lock(self, during):
        """An ALTER TABLE waits for the check that reads its table, not for all of them."""

        def alter(other):
            other.execute("SET lock_timeout = '2s'")
            other.execute("ALTER TABLE shop.orders ADD COLUMN seen boolean")

        (result,) = during(alter, before=[RELATIONSHIP])
        assert result.status == "PASS"


@pytest.mark.one_version
class TestDetails:
    """What a person gets to read is short, whatever the data are."""

    def test_counts_all_and_names_a_few(self, shop, run):
        """Exact number, five keys, and how many more."""
        shop.execute("INSERT INTO shop.orders SELECT n, 99 FROM generate_series(101, 1100) AS n")
        result = run(RELATIONSHIP)
        assert result.affected_records == 1000
        assert result.details.endswith("id=105 (customer_id=99), and 995 more")

    def test_cuts_long_values(self, shop, run):
        """A value of a megabyte does not come over the wire, nor into a status."""
        shop.execute("INSERT INTO shop.visits VALUES (repeat('x', 1000000), '/')")
        query = "SELECT * FROM shop.visits WHERE length(customer) > 1000;"
        result = run({"query": {"sql": query}})
        assert result.affected_records == 1
        assert f"customer={'x' * 59}…, page=/" in result.details

    def test_shows_a_query_with_columns_of_one_name(self, run):
        """Columns may share a name, or have none."""
        result = run({"query": {"sql": "SELECT 1 AS a, 2 AS a, 3, NULL"}})
        assert result.details == "1 row returned by the query: a=1, a=2, ?column?=3, ?column?=NULL"

    def test_counts_a_query_without_columns(self, run):
        """A row is a row."""
        assert run({"query": {"sql": "SELECT FROM shop.orders"}}).affected_records == 3

    def test_does_not_show_what_does_not_match_a_pattern(self, shop, run):
        """It is often personal; a status is read by many."""
        shop.execute("INSERT INTO shop.customers (id, email) VALUES (3, 'secret')")
        assert "secret" not in run(PATTERN).details


@pytest.mark.one_version
class TestRecord:
    """The report in the database."""

    @pytest.fixture
    def events(self, shop):
        """The shop, with the bookkeeping's table in the schema history."""
        shop.execute("CREATE SCHEMA history")
        shop.execute(
            "CREATE TABLE history.system_events (id bigint GENERATED ALWAYS AS IDENTITY, "
            "event_type text NOT NULL, event_category text NOT NULL, severity_level text NOT NULL, "
            "message text NOT NULL, event_data jsonb, "
            "created_at timestamptz NOT NULL DEFAULT now())"
        )
        return shop

    def record(self, connection, report):
        """Records the report, and gives the rows that are there."""
        record_report(
            connection, "history", report, environment="staging", context={"version": "1.6.0"}
        )
        return connection.execute(
            "SELECT event_type, event_category, severity_level, message, event_data"
            " FROM history.system_events"
        ).fetchall()

    def test_writes_one_row_in_the_known_form(self, events, run):
        """Type, category, severity, and the report with its counts."""
        events.execute("INSERT INTO shop.orders VALUES (14, 8)")
        ((kind, category, severity, message, data),) = self.record(
            events, run([check(RELATIONSHIP, name="orphans"), check(UNIQUE, name="doubles")])
        )
        assert (kind, category, severity) == (
            "data_integrity_check",
            "database_maintenance",
            "warning",
        )
        assert message == "Integrity checks: 1 warning"
        assert (data["critical_failures"], data["warnings"], data["errors"]) == (0, 1, 0)
        assert (data["environment"], data["context"]) == ("staging", {"version": "1.6.0"})
        assert data["report"].splitlines()[1:] == [
            "================================================",
            "",
            "✗ orphans: FAIL (warning)",
            (
                "  Details: 1 row of shop.orders without their row in shop.customers: "
                "id=14 (customer_id=8)"
            ),
            "  Affected Records: 1",
            "",
            "✓ doubles: PASS (warning)",
            "  Details: no offending row",
            "",
            "Summary:",
            "  Critical Failures: 0",
            "  Warnings: 1",
            "  Errors: 0",
        ]

    @pytest.mark.parametrize(
        ("body", "severity", "level"),
        [
            (UNIQUE, "critical", "info"),
            (RELATIONSHIP, "info", "info"),
            (RELATIONSHIP, "warning", "warning"),
            (RELATIONSHIP, "critical", "error"),
            ({"query": {"sql": "nonsense"}}, "info", "error"),
        ],
    )
    def test_the_level_follows_the_worst(self, events, run, body, severity, level):
        """A check that could not run is an error, however little it matters."""
        events.execute("INSERT INTO shop.orders VALUES (14, 8)")
        ((_, _, found, _, _),) = self.record(events, run([check(body, severity=severity)]))
        assert found == level

    def test_notifies_of_critical_failures_only(self, events, run, connect):
        """Who listens gets type, number, time and names; a warning wakes nobody."""
        events.execute("INSERT INTO shop.orders VALUES (14, 8)")
        with connect() as listener:
            listener.execute("LISTEN data_integrity_alert")
            self.record(events, run([check(RELATIONSHIP)]))
            report = run([check(RELATIONSHIP, name="orphans", severity="critical")])
            self.record(events, report)
            notices = list(listener.notifies(timeout=10, stop_after=1))
        assert [json.loads(notice.payload) for notice in notices] == [
            {
                "type": "critical_failure",
                "failures": 1,
                "timestamp": report.checked_at,
                "checks": ["orphans"],
            }
        ]

    def test_a_notification_fits_whatever_the_number(self, events, run):
        """PostgreSQL refuses 8000 bytes; the number stays right when names are left out."""
        events.execute("INSERT INTO shop.orders VALUES (14, 8)")
        report = run(
            [check(RELATIONSHIP, name=f"{'x' * 58}{n:05}", severity="critical") for n in range(150)]
        )
        assert report.critical_failures * 63 > PAYLOAD_LIMIT
        assert len(self.record(events, report)) == 1

    def test_writes_nothing_when_it_cannot_notify(self, events, run):
        """Both or none."""
        events.execute("""
            INSERT INTO shop.orders VALUES (14, 8);
            DROP ROLE IF EXISTS integrity_writer;
            CREATE ROLE integrity_writer;
            GRANT USAGE ON SCHEMA history TO integrity_writer;
            GRANT INSERT, SELECT ON history.system_events TO integrity_writer;
            REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC;
        """)
        report = run([check(RELATIONSHIP, severity="critical")])
        events.execute("SET ROLE integrity_writer")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="pg_notify"):
            self.record(events, report)
        rows = events.execute("SELECT count(*) FROM history.system_events").fetchone()
        assert rows == (0,)


class TestSample:
    """The list that lies beside the sample migrations."""

    @pytest.fixture
    def exams(self, database):
        """The sample's first version, where no trigger mends the counts."""
        database.connection.execute((SAMPLE / "v1.0.0_initial_schema.sql").read_bytes())
        return database.connection

    def results(self, connection):
        """The report, and each check's status and number by its name."""
        report = run_checks(
            connection, load_checks(SAMPLE / "checks.yaml"), statement_timeout=timedelta(seconds=10)
        )
        return report, {r.check: (r.status, r.affected_records) for r in report.results}

    def test_passes_on_the_sample_data(self, exams):
        """Healthy, each check."""
        report, results = self.results(exams)
        assert set(results.values()) == {("PASS", 0)}
        assert (report.healthy, report.summary) == (True, "Healthy")

    def test_finds_what_is_broken_and_is_healthy_again(self, exams):
        """Each rule broken once: each is named, with its number; mended, all is well."""
        exams.execute("""
            BEGIN;
            INSERT INTO subjects (name, exam_count) VALUES ('Physics', -1);
            INSERT INTO users (username, email) VALUES ('broken', 'no address');
            INSERT INTO user_sessions (user_name) VALUES ('ghost'), ('ghost');
            UPDATE questions SET difficulty = 'Hard' WHERE id = 1;
            UPDATE questions SET subject_id = 2 WHERE id = 2;
            SET LOCAL session_replication_role = replica;
            INSERT INTO questions (exam_id, subject_id, question_text, options, correct_option)
            VALUES (99, 1, '', '[]', 0);
            UPDATE exams SET subject_id = 98 WHERE id = 4;
            UPDATE subjects SET question_count = -5 WHERE id = 3;
            COMMIT;
        """)
        report, results = self.results(exams)
        assert results == {
            "foreign_key_integrity": ("FAIL", 2),
            "questions->exams": ("FAIL", 1),
            "exams->subjects": ("FAIL", 1),
            "user_sessions->users": ("FAIL", 2),
            "subject_question_counts": ("FAIL", 2),
            "subject_exam_counts": ("FAIL", 2),
            "duplicate_subjects": ("FAIL", 2),
            "data_type_validity.email": ("FAIL", 1),
            "data_type_validity.difficulty": ("FAIL", 1),
            "data_type_validity.question_count": ("FAIL", 1),
            "data_type_validity.exam_count": ("FAIL", 1),
            "questions_of_their_exams_subject": ("FAIL", 4),
        }
        assert report.summary == "8 critical, 4 warnings"
        exams.execute("""
            BEGIN;
            DELETE FROM questions WHERE exam_id = 99;
            UPDATE exams SET subject_id = 3 WHERE id = 4;
            UPDATE questions SET subject_id = 1 WHERE id = 2;
            UPDATE questions SET difficulty = 'Beginner' WHERE id = 1;
            DELETE FROM user_sessions WHERE user_name = 'ghost';
            DELETE FROM users WHERE username = 'broken';
            DELETE FROM subjects WHERE exam_count = -1;
            UPDATE subjects SET question_count =
                (SELECT count(*) FROM questions WHERE subject_id = subjects.id);
            COMMIT;
        """)
        report, _ = self.results(exams)
        assert report.healthy
