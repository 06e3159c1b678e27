"""What a server refuses in a migration: the error says what to do, and nothing is left behind."""

import contextlib

import psycopg
import pytest

from dbmigrate.api.report.outcome import Outcome
from dbmigrate.migrations.amend import Amend


@pytest.fixture
def failing(database):
    """Runs one file, as a role if one is given; the failure, after which nothing is there."""

    def _failing(sql, role=None):
        database.write("v1.0.0_a.sql", f"create table mine.a ();\n{sql}")
        settings = database.server.params(database.name)
        result = database.run("up", settings={**settings, "user": role or "postgres"})
        assert result.outcome is Outcome.FAILED
        assert not database.has("mine.a")
        assert result.pending == 1
        return result.failure

    database.connection.execute("create schema mine")
    return _failing


@pytest.fixture
def role(database):
    """A role without rights but for the history and the schema ``mine``."""
    name = f"{database.name}_role"
    database.connection.execute(f"create role {name} login")
    database.connection.execute(f"grant create on schema public to {name}")
    database.connection.execute(f"create schema if not exists mine authorization {name}")
    yield name
    database.connection.execute(f"drop owned by {name} cascade; drop role {name}")


@pytest.fixture
def as_role(failing, role, database):
    """As `failing`, by a role with few rights."""
    database.connection.execute(f"grant all on schema mine to {role}")
    return lambda sql: failing(sql, role)


def test_an_extension_that_is_not_installed(failing):
    """It is for the server's machine."""
    failure = failing("create extension no_such_extension;")
    assert failure.line == 2
    assert "install the extension's package on the server's machine" in failure.hint


def test_an_extension_that_the_role_may_not_create(as_role):
    """It is for an administrator."""
    failure = as_role("create extension pg_stat_statements;")
    if failure.sqlstate != "42501":
        pytest.skip("this build has no extension that takes rights")
    assert 'CREATE EXTENSION "pg_stat_statements"' in failure.hint


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("create schema other;", "grant create on database test_"),
        ("create table locked.t ();", "grant usage, create on schema locked to"),
        ("alter table public.foreign_one add n int;", "connect as the owner of table foreign_one"),
        ("set local session_replication_role = replica;", "grant set on parameter session_repl"),
        ("create role x;", "grant the right to the role that migrates"),
    ],
)
def test_a_right_that_is_missing(as_role, database, sql, hint):
    """Which one, and on what."""
    database.connection.execute("create schema locked; create table public.foreign_one ()")
    failure = as_role(sql)
    assert (failure.sqlstate, failure.line) == ("42501", 2)
    assert hint in failure.hint


def test_no_right_to_the_historys_schema(database, role):
    """Told before any file runs."""
    database.write("v1.0.0_a.sql", "create table mine.a ();")
    database.connection.execute("create schema hidden")
    settings = {**database.server.params(database.name), "user": role}
    result = database.run("up", settings=settings, history_schema="hidden")
    assert result.failure.code == "BookkeepingDenied"
    assert "grant usage, create on schema hidden" in result.failure.hint


def test_no_right_to_an_existing_history(database, role):
    """Another role made it."""
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run("up").failure is None
    result = database.run("status", settings=database.server.params(database.name) | {"user": role})
    assert result.failure.code == "BookkeepingDenied"


def test_no_right_to_connect(database, role):
    """The database does not take that role."""
    database.connection.execute(f"revoke connect on database {database.name} from public")
    result = database.run("up", settings=database.server.params(database.name) | {"user": role})
    assert (result.failure.code, result.exit_code) == ("ConnectionNotAllowed", 5)
    assert "grant CONNECT" in result.failure.hint


@contextlib.contextmanager
def altered(database, what):
    """A setting of the database or a role, for a while."""
    database.connection.execute(f"alter {what} set default_transaction_read_only = on")
    try:
        yield
    finally:
        database.connection.execute("set default_transaction_read_only = off")
        database.connection.execute(f"alter {what} reset default_transaction_read_only")


def test_a_database_that_was_made_read_only(database):
    """Who did it had a reason: it is not overridden, and the way to do so is told."""
    database.write("v1.0.0_a.sql", "create table a ();")
    with altered(database, f"database {database.name}"):
        result = database.run("up")
        assert (result.failure.code, result.exit_code) == ("ReadOnlyDatabase", 5)
        assert "default_transaction_read_only is on (database)" in result.failure.message
        assert database.run("status").failure is None
        option = {"options": "-cdefault_transaction_read_only=off"}
        settings = database.server.params(database.name) | option
        assert database.run("up", settings=settings).current_version == "1.0.0"


def test_a_file_that_makes_itself_read_only(failing):
    """Its own next statement fails."""
    failure = failing("set transaction_read_only = on; create table mine.b ();")
    assert failure.sqlstate == "25006"
    assert "leave out what the file sets" in failure.hint


def test_a_temporary_file_beyond_its_limit(failing):
    """An administrator's limit, by its name."""
    failure = failing(
        "set local temp_file_limit = '64kB'; set local work_mem = '64kB';"
        "create table mine.b as select n from generate_series(1, 100000) as n order by -n;"
    )
    assert failure.sqlstate == "53400"
    assert "temp_file_limit" in failure.hint


@pytest.mark.parametrize("limit", ["database", "role", "server"])
def test_too_many_connections(database, role, limit):
    """Of the database, of the role, of the whole server."""
    database.write("v1.0.0_a.sql", "create table a ();")
    others = []
    if limit == "database":
        database.connection.execute(f"alter database {database.name} connection limit 0")
    elif limit == "role":
        database.connection.execute(f"alter role {role} connection limit 0")
    else:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                others.append(database.another())
    try:
        settings = database.server.params(database.name) | {"user": role}
        result = database.run("up", settings=settings)
    finally:
        for each in others:
            each.close()
    assert (result.failure.code, result.exit_code) == ("TooManyConnections", 5)
    assert result.failure.transient
    assert "max_connections or the limit of the role" in result.failure.hint


@pytest.mark.one_version
@pytest.mark.parametrize(
    ("command", "table"),
    [
        ("status", "schema_migrations"),
        ("status", "migration_statements"),
        ("status", "migration_settings"),
        ("up", "schema_migrations"),
        ("up", "migration_statements"),
        ("up", "migration_locks"),
        ("resolve", "migration_statements"),
    ],
)
def test_a_right_that_is_missing_on_any_table_is_one_error(database, role, table, command):
    """Whichever of them it is, and whoever looks first: refused, and nothing was touched."""
    database.write("v1.0.0_a.sql", "create table a ();")
    assert database.run("up").failure is None
    database.connection.execute(
        f"grant select, insert, update, delete on all tables in schema public to {role};"
        f"revoke all on {table} from {role}"
    )
    settings = database.server.params(database.name) | {"user": role}
    amend = Amend(decision="abandon") if command == "resolve" else None
    result = database.run(command, settings=settings, amend=amend)
    failure = result.failure
    assert (failure.code, failure.touched, result.exit_code) == ("BookkeepingDenied", False, 3)
    assert "select, insert, update and delete" in failure.hint
