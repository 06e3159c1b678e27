"""All checks see one moment, and hold nobody up."""

import pytest
from tests.postgres.integrity.shop import RELATIONSHIP


def test_a_write_between_two_checks_is_not_seen(during, run):
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
def test_a_table_that_was_rewritten_meanwhile_is_an_error(shop, during, rewrite):
    """The old snapshot would see it empty, and call its orphans none."""
    shop.execute("INSERT INTO shop.orders VALUES (14, 8)")
    (result,) = during(lambda other: other.execute(rewrite), [RELATIONSHIP])
    assert result.status == "ERROR"
    assert "orders" in result.details or "rewritten" in result.details


def test_an_index_that_is_made_meanwhile_does_no_harm(during):
    """Ordinary work beside us is no error."""
    (result,) = during(
        lambda other: other.execute("CREATE INDEX ON shop.orders (customer_id)"), [RELATIONSHIP]
    )
    assert result.status == "PASS"


def test_a_check_that_is_over_holds_no_lock(during):
    """An ALTER TABLE waits for the check that reads its table, not for all of them."""

    def alter(other):
        other.execute("SET lock_timeout = '2s'")
        other.execute("ALTER TABLE shop.orders ADD COLUMN seen boolean")

    (result,) = during(alter, before=[RELATIONSHIP])
    assert result.status == "PASS"
