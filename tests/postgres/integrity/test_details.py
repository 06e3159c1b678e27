"""What a result says of the rows that offend."""

import pytest
from tests.postgres.integrity.shop import PATTERN, RELATIONSHIP

pytestmark = pytest.mark.one_version


def test_counts_all_and_names_a_few(shop, run):
    """Exact number, five keys, and how many more."""
    shop.execute("INSERT INTO shop.orders SELECT n, 99 FROM generate_series(101, 1100) AS n")
    result = run(RELATIONSHIP)
    assert result.affected_records == 1000
    assert result.details.endswith("id=105 (customer_id=99), and 995 more")


def test_cuts_long_values(shop, run):
    """A value of a megabyte does not come over the wire, nor into a status."""
    shop.execute("INSERT INTO shop.visits VALUES (repeat('x', 1000000), '/')")
    query = "SELECT * FROM shop.visits WHERE length(customer) > 1000;"
    result = run({"query": {"sql": query}})
    assert result.affected_records == 1
    assert f"customer={'x' * 59}…, page=/" in result.details


def test_shows_a_query_with_columns_of_one_name(run):
    """Columns may share a name, or have none."""
    result = run({"query": {"sql": "SELECT 1 AS a, 2 AS a, 3, NULL"}})
    assert result.details == "1 row returned by the query: a=1, a=2, ?column?=3, ?column?=NULL"


def test_counts_a_query_without_columns(run):
    """A row is a row."""
    assert run({"query": {"sql": "SELECT FROM shop.orders"}}).affected_records == 3


def test_does_not_show_what_does_not_match_a_pattern(shop, run):
    """It is often personal; a status is read by many."""
    shop.execute("INSERT INTO shop.customers (id, email) VALUES (3, 'secret')")
    assert "secret" not in run(PATTERN).details
