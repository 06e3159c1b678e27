"""A statement about a subscription that was cut off: the catalog tells, or a person decides."""

import hashlib
import json

import pytest

from dbmigrate.migrations.amend import Amend

pytestmark = pytest.mark.one_version

CREATE = "create subscription s connection 'host=/nowhere' publication p"
UNCONNECTED = CREATE + " with (connect = false, slot_name = none)"


@pytest.fixture
def begun(database):
    """A function: a file whose one statement was begun; from its text and its facts."""
    database.write("v1.0.0_t.sql", "create table t (a int);")
    assert database.run().failure is None

    def begin(text, facts):
        database.write("v1.1.0_u.sql", text + ";")
        database.connection.execute(
            "insert into migration_statements (migration_type, version, filename, file_checksum, "
            "number, checksum, statement, state, facts, applied_by) "
            "values ('forward', '1.1.0', 'v1.1.0_u.sql', '', 1, %s, '', 'begun', %s, 'x')",
            [hashlib.sha256(text.encode()).hexdigest(), json.dumps(facts)],
        )
        return database

    yield begin
    if database.value("select count(*) from pg_subscription where subname = 's'"):
        database.connection.execute("alter subscription s disable")
        database.connection.execute("alter subscription s set (slot_name = none)")
        database.connection.execute("drop subscription s")


def test_a_subscription_that_is_there_was_created(begun):
    """It is not created once more, which would need the other server."""
    database = begun(CREATE, {"exists": False})
    database.connection.execute(UNCONNECTED)
    result = database.run()
    assert result.failure is None, result.failure
    assert database.history()[-1] == ("1.1.0", "forward", "completed")


def test_a_subscription_that_is_not_there_is_created_again(begun):
    """The statement runs: here it does not reach the other server."""
    database = begun(CREATE, {"exists": False})
    failure = database.run().failure
    assert (failure.code, failure.line) == ("MigrationFailed", 1)
    assert "/nowhere" in failure.server_message


def test_a_subscription_that_was_there_before_was_not_created(begun):
    """It is somebody else's."""
    database = begun(CREATE, {"exists": True})
    database.connection.execute(UNCONNECTED)
    assert database.run().failure.sqlstate == "42710"


@pytest.mark.parametrize("is_there", [False, True])
def test_a_subscription_is_dropped_once(begun, is_there):
    """Gone is done; else it is dropped."""
    database = begun("drop subscription s", {"exists": True})
    if is_there:
        database.connection.execute(UNCONNECTED)
    result = database.run()
    assert result.failure is None, result.failure
    assert database.value("select count(*) from pg_subscription where subname = 's'") == 0


def test_a_refresh_is_for_a_person_to_judge(begun):
    """Nothing in the catalog tells whether it has run."""
    database = begun("alter subscription s refresh publication", {})
    assert database.run().failure.code == "StatementInDoubt"
    assert database.run("resolve", amend=Amend(decision="done")).failure is None
    assert database.run().failure is None
