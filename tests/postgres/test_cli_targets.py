"""Small things that a person types and reads."""

import pytest

pytestmark = pytest.mark.one_version


@pytest.fixture
def two(database):
    """Two migrations, with rollbacks, of which the older one's fails."""
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("v1.1.0_b.sql", "create table b ();")
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table nothing;")
    database.write("rollbacks/v1.1.0_rollback.sql", "drop table b;")
    return database


@pytest.mark.parametrize(
    "arguments", [("up", "--target", "latest"), ("to", "latest"), ("up", "--target", "1.1.0")]
)
def test_latest_is_a_target(two, dbmigrate, arguments):
    """As in the resource."""
    ended = dbmigrate(*arguments, "--source", two.folder)
    assert ended.code == 0, ended.err
    assert two.has("b")
    assert dbmigrate("plan", "--target", "latest", "--source", two.folder).code == 0


def test_latest_is_no_way_back(two, dbmigrate):
    """`down` needs a version."""
    ended = dbmigrate("down", "latest", "--source", two.folder)
    assert ended.code == 2


def test_a_rollback_that_fails_tells_what_is_left_to_roll_back(two, dbmigrate):
    """That nothing is pending would sound as if all were well."""
    assert dbmigrate("up", "--source", two.folder).code == 0
    ended = dbmigrate("down", "0", "--source", two.folder)
    assert ended.code == 1
    assert "1 file done before that; current version 1.0.0, 1 still to roll back" in ended.err


def test_check_without_checks_says_where_to_write_them(two, dbmigrate):
    """And how to name another file."""
    ended = dbmigrate("check", "--source", two.folder)
    assert ended.code == 2
    assert "checks.yaml does not exist" in ended.err
    assert "--checks FILE" in ended.err
