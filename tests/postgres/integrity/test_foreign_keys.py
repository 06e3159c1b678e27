"""Foreign keys that the server does not vouch for are looked at, row by row."""

import pytest

BODY = {"foreignKeys": {"schemas": ["shop"]}}


def test_a_not_valid_foreign_key_is_verified(shop, run):
    """NOT VALID lets old orphans stay; the check finds them."""
    shop.execute("""
        INSERT INTO shop.orders VALUES (14, 8);
        ALTER TABLE shop.orders ADD CONSTRAINT orders_customer_id_fkey
        FOREIGN KEY (customer_id) REFERENCES shop.customers NOT VALID;
    """)
    result = run(BODY)
    assert (result.status, result.affected_records) == ("FAIL", 1)
    assert result.details == (
        "orders_customer_id_fkey: 1 row of shop.orders without their row in shop.customers: "
        "id=14 (customer_id=8)"
    )


def test_a_foreign_key_whose_triggers_were_off_is_verified(shop, run):
    """It claims to be valid, and is not."""
    shop.execute("""
        ALTER TABLE shop.orders ADD FOREIGN KEY (customer_id) REFERENCES shop.customers;
        SET session_replication_role = replica;
        DELETE FROM shop.customers WHERE id = 1;
        RESET session_replication_role;
    """)
    assert run(BODY).affected_records == 2


def test_tells_how_many_hold(shop, run):
    """PASS says what was looked at: a partitioned table's key counts once."""
    shop.execute("""
        ALTER TABLE shop.orders ADD FOREIGN KEY (customer_id) REFERENCES shop.customers;
        CREATE TABLE shop.log (customer_id int REFERENCES shop.customers)
        PARTITION BY RANGE (customer_id);
        CREATE TABLE shop.log_1 PARTITION OF shop.log FOR VALUES FROM (0) TO (10);
        CREATE TABLE shop.log_2 PARTITION OF shop.log FOR VALUES FROM (10) TO (20);
    """)
    result = run(BODY)
    assert (result.status, result.details) == ("PASS", "2 foreign keys hold")


def test_match_full_refuses_a_key_that_is_partly_null(shop, run):
    """All NULL refers to nothing; some NULL is a violation."""
    shop.execute("""
        CREATE TABLE shop.parents (a int, b int, PRIMARY KEY (a, b));
        CREATE TABLE shop.children (id int PRIMARY KEY, a int, b int);
        INSERT INTO shop.children VALUES (1, NULL, NULL), (2, 1, NULL);
        ALTER TABLE shop.children ADD CONSTRAINT fk FOREIGN KEY (a, b)
        REFERENCES shop.parents MATCH FULL NOT VALID;
    """)
    assert run(BODY).details.endswith(": id=2 (a=1, b=NULL)")


def test_rows_of_an_inheriting_table_are_not_bound(shop, run):
    """A foreign key binds the table itself, not its heirs."""
    shop.execute("""
        ALTER TABLE shop.orders ADD FOREIGN KEY (customer_id) REFERENCES shop.customers;
        CREATE TABLE shop.old_orders () INHERITS (shop.orders);
        INSERT INTO shop.old_orders VALUES (99, 99);
    """)
    assert run(BODY).status == "PASS"


def test_finding_no_foreign_key_is_no_pass(run):
    """Nothing verified is not the same as all verified."""
    result = run(BODY)
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
def test_a_missing_table_or_schema_is_an_error(run, body, reason):
    """What was named must be there."""
    result = run({"foreignKeys": body})
    assert (result.status, result.details) == ("ERROR", reason)
