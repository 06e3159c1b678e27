"""What each kind of check calls PASS and FAIL."""

import pytest
from tests.postgres.integrity.shop import PATTERN, RELATIONSHIP, UNIQUE

STORED_COUNT = {
    "storedCount": {
        "table": "shop.customers",
        "column": "orders",
        "key": ["id"],
        "counts": {"table": "shop.orders", "columns": ["customer_id"]},
    }
}

ACCEPTED = {
    "acceptedValues": {"table": "shop.customers", "column": "tier", "values": ["gold", "basic"]}
}

RANGE = {"range": {"table": "shop.customers", "column": "score", "min": 0, "max": "99.5"}}

QUERY = {"query": {"sql": "SELECT id, note FROM shop.orders WHERE note = 'bad' ORDER BY id"}}


@pytest.mark.parametrize(
    "body", [RELATIONSHIP, STORED_COUNT, UNIQUE, ACCEPTED, PATTERN, RANGE, QUERY]
)
def test_passes_on_data_that_obey(run, body):
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
            ("1 row of shop.customers whose tier is none of the accepted values: id=3 (tier=Gold)"),
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
    shop, run, body, damage, affected, details
):
    """Rows that disobey give FAIL: how many, and which."""
    shop.execute(damage)
    result = run(body)
    assert (result.status, result.affected_records) == ("FAIL", affected)
    assert result.details == details


def test_range_compares_dates_given_as_text(run):
    """A bound is taken as the column's type takes it."""
    result = run({"range": {"table": "shop.customers", "column": "since", "min": "2024-06-01"}})
    assert result.details.endswith("id=1 (since=2024-01-01)")


def test_composite_reference_with_a_null_is_no_orphan(shop, run):
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


def test_names_rows_without_a_primary_key_by_what_is_wrong(shop, run):
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


def test_takes_names_as_they_are_written(shop, run):
    """No folding, and nothing in a name is SQL."""
    shop.execute("""
        CREATE TABLE shop."Odd; Table" (id int PRIMARY KEY, "a%%s ""b" int);
        ALTER TABLE shop."Odd; Table" RENAME COLUMN "a%%s ""b" TO "a%s {b";
        INSERT INTO shop."Odd; Table" VALUES (1, -1);
    """)
    body = {"range": {"table": "shop.Odd; Table", "column": "a%s {b", "min": 0}}
    assert run(body).affected_records == 1


def test_looks_up_unqualified_tables_by_the_search_path(shop, run):
    """As a query on this connection would."""
    shop.execute("SET search_path = shop")
    assert run({"unique": {"table": "customers", "columns": ["email"]}}).status == "PASS"
