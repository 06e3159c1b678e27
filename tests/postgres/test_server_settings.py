"""Parameters of the server that are set for all migrations of a run."""

import pytest
from command_line import CommandLine

SHOW = (
    "create table {0} as select current_setting('work_mem') as work_mem, "
    "current_setting('statement_timeout') as timeout, "
    "current_setting('idle_in_transaction_session_timeout') as idle;"
)


@pytest.fixture
def run(database, tmp_path):
    """The program, in a folder whose migrations show what is set."""
    database.write("v1.0.0_a.sql", SHOW.format("a") + "set work_mem = '128kB';")
    database.write("v1.1.0_b.sql", SHOW.format("b"))
    return CommandLine(database, tmp_path)


def shown(database, table):
    """What that file saw."""
    return database.rows(f"select * from {table}")[0]


def test_they_hold_in_every_file(database, run):
    """Whatever the one before has changed."""
    arguments = ("--set", "work_mem=3MB", "--set", "idle_in_transaction_session_timeout=7min")
    ended = run("up", *arguments, "--statement-timeout", "9s")
    assert ended.code == 0, ended.err
    assert shown(database, "a") == shown(database, "b") == ("3MB", "9s", "7min")


def test_a_variable_names_several(database, run):
    """Separated by semicolons."""
    run.env["DBMIGRATE_SET"] = "work_mem=3MB; idle_in_transaction_session_timeout=0"
    assert run("up").code == 0
    assert shown(database, "b") == ("3MB", "0", "0")


def test_a_files_own_header_rules(database, run):
    """It knows what its statements need."""
    database.write("v1.1.0_b.sql", "-- dbmigrate: work_mem=5MB\n" + SHOW.format("b"))
    assert run("up", "--set", "work_mem=3MB").code == 0
    assert (shown(database, "a")[0], shown(database, "b")[0]) == ("3MB", "5MB")


def test_a_rollback_has_them_too(database, run):
    """It may take as long."""
    database.write("rollbacks/v1.1.0_rollback.sql", "drop table b;" + SHOW.format("c"))
    assert run("up").code == 0
    assert run("down", "1.0.0", "--set", "work_mem=3MB").code == 0
    assert shown(database, "c")[0] == "3MB"


@pytest.mark.parametrize("command", ["up", "validate"])
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("work_memm=1MB", "unrecognized configuration parameter"),
        ("work_mem=much", "invalid value for parameter"),
        ("max_connections=7", "cannot be changed without restarting the server"),
    ],
)
def test_what_the_server_does_not_accept_ends_the_run(database, run, command, setting, words):
    """Before anything is created, with all that is wrong."""
    ended = run(command, "--output", "json", "--set", setting, "--set", "jit=maybe")
    assert (ended.code, ended.result.failure.code) == (2, "InvalidServerSetting")
    assert words in ended.result.failure.message
    assert "jit=maybe" in ended.result.failure.message
    assert not database.has("schema_migrations")
    assert not database.has("a")


def test_a_parameter_that_the_role_may_not_set(database, run):
    """The server says so."""
    role = f"{database.name}_role"
    database.connection.execute(f"create role {role} login")
    try:
        run.env["DATABASE_URL"] = run.uri.replace("postgres@", f"{role}@")
        ended = run("up", "--output", "json", "--set", "log_statement=none")
        assert ended.result.failure.code == "InvalidServerSetting"
        assert "permission denied to set parameter" in ended.result.failure.message
    finally:
        database.connection.execute(f"drop role {role}")


def test_what_the_engine_owns_is_a_usage_error(run):
    """Before the database is asked for anything."""
    ended = run("up", "--set", "session_replication_role=replica")
    assert ended.code == 2
    assert "session_replication_role cannot be set" in ended.err
