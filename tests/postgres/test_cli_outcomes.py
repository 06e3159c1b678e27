"""Every command in both forms of output, every way to name sources and database, every ending."""

import pytest
from command_line import CommandLine

from dbmigrate import __version__ as dbmigrate_version
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.postgres.lock import KEY

pytestmark = pytest.mark.one_version


@pytest.fixture
def dbmigrate(database, tmp_path):
    """The command line, in a folder with two migrations and a list of checks."""
    database.write("v1.0.0_users.sql", "create table users (id int primary key);\n")
    database.write("v1.1.0_names.sql", "alter table users add column name text;\n")
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table users;\n")
    database.write("rollbacks/v1.1.0_rollback.sql", "alter table users drop column name;\n")
    database.write(
        "checks.yaml",
        "integrityChecks: [{name: ids, unique: {table: users, columns: [id]}}]\n",
    )
    return CommandLine(database, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["up"], "current version 1.1.0"),
        (["down", "0"], "2 migrations rolled back"),
        (["to", "1.0.0"], "current version 1.0.0"),
        (["status"], "CURRENT 1.1.0"),
        (["plan", "--target", "1.0.0"], "roll back  1.1.0    rollbacks/v1.1.0_rollback.sql"),
        (["validate"], "valid: 0 pending"),
        (["check"], "INTEGRITY Healthy"),
        (["wait", "--version", "1.0.0"], "the database is at 1.1.0"),
    ],
)
def test_each_command_speaks_to_people_and_to_machines(dbmigrate, arguments, text):
    """The last line of JSON is the result, and each line before it an event with its time."""
    dbmigrate("up")
    ended = dbmigrate(*arguments)
    assert ended.code == 0, ended.err
    assert text in ended.out
    assert ended.err == ""
    assert "{" not in ended.out
    dbmigrate("up")
    machine = dbmigrate(*arguments, "--output", "json")
    assert machine.code == 0
    assert (machine.result.command, machine.result.outcome) == (arguments[0], Outcome.SUCCEEDED)
    assert all(event["event"] and event["time"] for event in machine.events[:-1])
    first = machine.events[0]
    assert (first["event"], first["command"]) == ("started", arguments[0])
    assert first["runner"] == dbmigrate_version
    assert machine.err == ""


def test_status_warns_of_an_edited_file(database, dbmigrate):
    """All is applied, nothing is pending, and yet `up` will refuse: both sums are named."""
    dbmigrate("up")
    assert dbmigrate("status").err == ""
    database.write("v1.0.0_users.sql", "create table users (id bigint primary key);\n")
    ended = dbmigrate("status")
    assert ended.code == 0
    assert "warning: an applied migration was edited afterwards:" in ended.err
    assert "v1.0.0_users.sql: applied " in ended.err


def test_validate_refuses_an_edited_file(database, dbmigrate):
    """Its checksum is not the history's; both are named, and nothing runs."""
    dbmigrate("up", "--target", "1.0.0")
    database.write("v1.0.0_users.sql", "create table users (id bigint primary key);\n")
    ended = dbmigrate("validate")
    assert ended.code == 3
    assert "[ChecksumMismatch]" in ended.err
    assert "v1.0.0_users.sql: applied " in ended.err
    assert len(database.history()) == 1


def test_a_lock_that_is_held_is_exit_code_4_with_its_holder(database, dbmigrate):
    """After --wait-lock; who holds it is told while waiting and in the end."""
    with database.another() as other:
        (pid,) = other.execute("select pg_backend_pid()").fetchone()
        other.execute("select pg_advisory_lock(%s)", [KEY])
        ended = dbmigrate("up", "--wait-lock", "300ms")
    assert ended.code == 4
    assert "waiting: " in ended.err
    assert f"process {pid}" in ended.err
    assert "[LockNotObtained]" in ended.err
    assert not database.has("public.users")


def test_several_sources_are_merged(database, dbmigrate, tmp_path):
    """By the option given twice, or by its variable with a colon."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "v1.0.5_more.sql").write_text("create table more (id int);\n")
    plan = dbmigrate("plan", "--source", "migrations", "--source", "more", "--output", "json")
    versions = [step.version for step in plan.result.plan.steps]
    assert versions == ["1.0.0", "1.0.5", "1.1.0"]
    env = {"DBMIGRATE_SOURCE": "more:migrations"}
    assert dbmigrate("up", env=env).code == 0
    assert [row[0] for row in database.history()] == versions


def test_a_flat_folder_serves(database, dbmigrate, tmp_path):
    """What a ConfigMap is: rollbacks beside the migrations."""
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in database.folder.rglob("*.sql"):
        (flat / path.name).write_bytes(path.read_bytes())
    assert dbmigrate("up", "--source", "flat").code == 0
    assert dbmigrate("down", "0", "--source", "flat").code == 0
    assert not database.has("public.users")


def connection_variables(database, *names):
    """Host, port, database and user under these names."""
    values = ("127.0.0.1", str(database.server.port), database.name, "postgres")
    return {"DATABASE_URL": "", **dict(zip(names, values, strict=True))}


def test_the_connection_may_come_from_db_variables(database, dbmigrate):
    """The source document's keys, from the process."""
    env = connection_variables(database, "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER")
    ended = dbmigrate("status", env=env)
    assert ended.code == 0
    assert f"{database.name} at 127.0.0.1:{database.server.port} (from DB_* variables)" in ended.out


def test_the_connection_may_come_from_the_option(dbmigrate):
    """It rules over the variable."""
    dead = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}
    ended = dbmigrate("status", "--database", dbmigrate.uri, env=dead)
    assert ended.code == 0
    assert "(from --database)" in ended.out


@pytest.mark.parametrize(
    ("env", "commit"),
    [
        ({}, None),
        ({"CI_COMMIT_SHA": "gitlab"}, "gitlab"),
        ({"CI_COMMIT_SHA": "gitlab", "GITHUB_SHA": "github"}, "github"),
        ({"GITHUB_SHA": "github", "DBMIGRATE_GIT_COMMIT": "ours"}, "ours"),
    ],
)
def test_the_commit_needs_no_git(database, dbmigrate, env, commit):
    """A Job has no checkout and no git: the commit comes from the environment, or is not known."""
    assert dbmigrate("up", env=env).code == 0
    assert database.rows("select distinct git_commit_hash from schema_migrations") == [(commit,)]


def test_the_longest_version_is_recorded_whole(database, dbmigrate):
    """A column of twenty characters would be too short for it, and more so for its rollback."""
    version = "9999999999.9999999999.9999999999"
    database.write(f"v{version}_{'long' * 40}.sql", "create table far (id int);\n")
    database.write(f"rollbacks/v{version}_rollback.sql", "drop table far;\n")
    assert dbmigrate("up").code == 0
    assert f"CURRENT {version}" in dbmigrate("status").out
    assert dbmigrate("down", "1.1.0").code == 0
    rows = [row for row in database.history() if row[0] == version]
    assert rows == [(version, "forward", "rolled_back"), (version, "rollback", "completed")]


def test_a_history_that_was_changed_meanwhile_is_not_called_a_success(database, dbmigrate):
    """After the last file the history is read again: what the run did must be there."""
    del dbmigrate

    def somebody(event, _data):
        if event == "migrationCompleted":
            database.connection.execute("update schema_migrations set status = 'rolled_back'")

    database.reporter.listeners.append(somebody)
    result = database.run("up", "1.0.0")
    assert (result.failure.code, result.exit_code) == ("HistoryDisagrees", 3)
    assert "1.0.0" in result.failure.message


def test_a_message_of_megabytes_is_cut(database, dbmigrate):
    """When it happens, and in the status afterwards; its length is told."""
    huge = "do $$ begin raise exception '%', repeat('x', 5000000); end $$;\n"
    database.write("v1.2.0_huge.sql", huge)
    failed = dbmigrate("up")
    assert failed.code == 1
    assert "more characters) [MigrationFailed]" in failed.err
    assert len(failed.err) < 10_000
    assert len(dbmigrate("status").out) < 2_000
    assert len(dbmigrate("status", "--output", "json").result.last_failure.message) == 2000


def test_what_no_option_may_be_is_told_in_the_form_that_was_asked_for(dbmigrate):
    """Even when the form itself stands behind what is wrong."""
    ended = dbmigrate("up", "--nonsense", "--output=json")
    assert ended.code == 2
    assert ended.result.failure.message == "No such option '--nonsense'"
