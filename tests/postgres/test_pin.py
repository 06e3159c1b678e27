"""A database that was copied on purpose is told which environment it is now."""

import psycopg
import pytest
from command_line import CommandLine

from dbmigrate.postgres.lock import KEY


@pytest.fixture
def run(database, tmp_path):
    """The program, at production's database."""
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run("up", environment="production").failure is None
    return CommandLine(database, tmp_path)


def pinned(database):
    """The name that it remembers."""
    return database.value(
        "select value ->> 'name' from migration_settings where key = 'environment'"
    )


def test_it_is_another_environment_from_now_on(database, run):
    """The refusal names the command; who did it, and what was before, is written down."""
    failure = database.run("up", environment="staging").failure
    assert failure.code == "EnvironmentMismatch"
    assert "`dbmigrate pin --environment staging`" in failure.hint
    ended = run("pin", "--environment", "staging", "--applied-by", "ann", "--output", "json")
    assert (ended.code, ended.result.message) == (0, "pinned to staging; it was production")
    assert database.run("up", environment="staging").failure is None
    assert database.run("up", environment="production").failure.code == "EnvironmentMismatch"
    (event,) = database.rows(
        "select event_data -> 'from' ->> 'name', event_data -> 'to' ->> 'name', "
        "event_data ->> 'pinned_by' from system_events where event_type = 'environment_pinned'"
    )
    assert event == ("production", "staging", "ann")
    assert database.value("select count(*) from migration_locks") == 0


def test_a_copy_of_the_same_environment(database, run):
    """A server was replaced: the warning ends."""
    database.connection.execute("""
        update migration_settings set value = jsonb_set(value, '{systemIdentifier}', '"1"')
        where key = 'environment'
    """)
    ended = run("pin", "--environment", "production")
    assert (ended.code, "on another server" in ended.out) == (0, True)
    assert "copied" not in run("status", "--environment", "production").err


def test_once_more_does_nothing(database, run):
    """It is said already."""
    for _ in range(2):
        assert run("pin", "--environment", "staging").code == 0
    assert pinned(database) == "staging"
    count = "select count(*) from system_events where event_type = 'environment_pinned'"
    assert database.value(count) == 1


def test_it_must_be_said_which(run):
    """No default would be safe."""
    ended = run("pin", "--output", "json")
    assert (ended.code, ended.result.failure.code) == (2, "NoEnvironment")


def test_a_database_without_a_history(database, tmp_path):
    """It remembers nothing yet, and nothing is created."""
    ended = CommandLine(database, tmp_path)("pin", "--environment", "staging", "--output", "json")
    assert (ended.code, ended.result.failure.code) == (3, "NoHistory")
    assert not database.has("migration_settings")


def test_beside_another_run_it_waits(database, run):
    """What a run was told must hold to its end."""
    with database.another() as other:
        other.execute("select pg_advisory_lock(%s)", [KEY])
        assert run("pin", "--environment", "staging", "--wait-lock", "0").code == 4
    assert pinned(database) == "production"


def test_without_the_right_nothing_is_half_written(database, run):
    """Neither the pin without its record nor the record alone."""
    database.connection.execute(
        "create function no() returns trigger language plpgsql as "
        "$$ begin raise insufficient_privilege; end $$;"
        "create trigger no before insert on system_events for each row execute function no()"
    )
    assert run("pin", "--environment", "staging").code == 1
    assert pinned(database) == "production"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.connection.execute(
            "insert into system_events (event_type, event_category, severity_level, message) "
            "values ('a', 'b', 'c', 'd')"
        )
