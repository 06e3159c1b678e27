"""A database that had its schema before dbmigrate came: recorded, and gone on from."""

import signal

import pytest
from command_line import CommandLine

from dbmigrate.api.report.outcome import Outcome
from dbmigrate.migrations.amend import Amend

ROWS = """
    select version, filename, origin, status, applied_by, reason, rollback_sql
    from schema_migrations order by id
"""


@pytest.fixture
def existing(database):
    """Tables a and b were made by hand; the source has them and one more."""
    database.connection.execute("create table a (); create table b ();")
    database.write("v1.0.0_a.sql", "create table a ();")
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table a;")
    database.write("v1.1.0_b.sql", "create table b ();")
    database.write("rollbacks/v1.1.0_rollback.sql", "drop table b;")
    database.write("v1.2.0_c.sql", "create table c ();")
    database.write("rollbacks/v1.2.0_rollback.sql", "drop table c;")
    return database


def test_what_is_there_is_recorded_and_not_run(existing):
    """With who, why, and the rollbacks; then `up` goes on behind it."""
    result = existing.run("baseline", "1.1.0", amend=Amend(reason="made by hand"))
    assert (result.outcome, result.current_version) == (Outcome.SUCCEEDED, "1.1.0")
    assert [(each.action, each.version) for each in result.amendments] == [
        ("baseline", "1.0.0"), ("baseline", "1.1.0"),
    ]  # fmt: skip
    assert existing.rows(ROWS) == [
        ("1.0.0", "v1.0.0_a.sql", "baseline", "completed", "tester", "made by hand",
         "drop table a;"),
        ("1.1.0", "v1.1.0_b.sql", "baseline", "completed", "tester", "made by hand",
         "drop table b;"),
    ]  # fmt: skip
    result = existing.run("up")
    assert [record.version for record in result.applied] == ["1.2.0"]
    assert [record.origin for record in result.history] == ["baseline", "baseline", ""]


def test_a_dry_run_creates_nothing(existing):
    """It tells the rows that there would be."""
    result = existing.run("baseline", "1.1.0", amend=Amend(dry_run=True))
    assert (result.outcome, result.dry_run, len(result.amendments)) == (
        Outcome.SUCCEEDED, True, 2,
    )  # fmt: skip
    assert not existing.has("schema_migrations")


def test_the_same_again_is_nothing(existing):
    """A script may say it each time, also after later migrations."""
    existing.run("baseline", "1.1.0")
    for _ in range(2):
        result = existing.run("baseline", "1.1.0")
        assert (result.outcome, result.amendments) == (Outcome.SUCCEEDED, ())
        existing.run("up")
    assert existing.value("select count(*) from schema_migrations") == 3


def test_a_wrong_baseline_is_corrected(existing):
    """1.2.0 was not there: it is pending again, with who said so and why, and then runs."""
    existing.run("baseline", "1.2.0")
    assert existing.run("baseline", "1.1.0").failure.code == "HistoryNotEmpty"
    correct = Amend(correct=True, reason="c was not there")
    result = existing.run("baseline", "1.1.0", amend=correct)
    assert [(each.action, each.version) for each in result.amendments] == [("withdraw", "1.2.0")]
    assert (result.current_version, result.pending_versions) == ("1.1.0", ("1.2.0",))
    assert existing.rows(ROWS)[2:] == [
        ("1.2.0", "v1.2.0_c.sql", "baseline", "rolled_back", "tester", None, "drop table c;"),
        ("1.2.0", "v1.2.0_c.sql", "baseline", "completed", "tester", "c was not there", None),
    ]
    assert existing.run("up").current_version == "1.2.0"
    assert existing.has("c")
    assert existing.run("baseline", "1.0.0", amend=correct).failure.code == "HistoryNotEmpty"


def test_a_history_that_was_run_gets_none(existing):
    """And stays as it is."""
    existing.connection.execute("drop table a, b")
    existing.run("up", "1.0.0")
    failure = existing.run("baseline", "1.1.0").failure
    assert failure.code == "HistoryNotEmpty"
    assert len(existing.history()) == 1


def test_a_failed_first_try_is_no_history(existing):
    """Somebody ran `up` on the existing schema; nothing was applied."""
    assert existing.run("up").failure.code == "MigrationFailed"
    assert existing.run("baseline", "1.1.0").failure is None
    assert existing.run("up").current_version == "1.2.0"


def test_an_empty_database_gets_none(database):
    """There, `up` makes the schema; a baseline would only pretend it."""
    database.write("v1.0.0_a.sql", "create table a ();")
    result = database.run("baseline", "1.0.0")
    assert (result.failure.code, result.exit_code) == ("NothingThere", 3)
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table a;")
    database.run("up")
    database.run("down", "0")
    assert database.has("schema_migrations")
    assert database.run("baseline", "1.0.0").failure.code == "NothingThere"


@pytest.mark.one_version
@pytest.mark.parametrize(
    "statement",
    [
        "create schema other; create view other.v as select 1",
        "create type mood as enum ('sad')",
        "create function f() returns int language sql as 'select 1'",
        "create domain d as int",
    ],
)
def test_anything_of_its_own_makes_a_database_not_empty(database, statement):
    """Tables are not all that migrations make."""
    database.connection.execute(statement)
    database.write("v1.0.0_a.sql", "select 1;")
    assert database.run("baseline", "1.0.0").failure is None


def test_the_way_back_ends_at_the_baseline(existing):
    """We have not run it, so we do not undo it."""
    existing.run("baseline", "1.1.0")
    existing.run("up")
    for command, target in (("down", "0"), ("to", "1.0.0"), ("plan", "1.0.0")):
        failure = existing.run(command, target).failure
        assert failure.code == "BelowBaseline"
    assert existing.run("down", "1.1.0").current_version == "1.1.0"
    assert existing.has("b")


def test_an_edited_file_below_the_baseline_is_refused_as_any_other(existing):
    """Its checksum was recorded."""
    existing.run("baseline", "1.1.0")
    existing.write("v1.0.0_a.sql", "create table other ();")
    assert existing.run("up").failure.code == "ChecksumMismatch"


def test_a_file_that_is_applied_in_part_is_not_said_to_be_applied(existing):
    """It was begun by statement; the rest of it would never run."""
    existing.write(
        "v1.0.0_a.sql", "vacuum a; create index concurrently i on a ((1)); select nothing();"
    )
    assert existing.run("up").failure.code == "MigrationFailed"
    assert existing.run("baseline", "1.1.0").failure.code == "UnfinishedMigration"


def test_the_environment_is_remembered_and_checked(existing):
    """As by any command that writes."""
    existing.run("baseline", "1.1.0", environment="production")
    assert existing.run("up", environment="staging").failure.code == "EnvironmentMismatch"


def test_it_waits_for_the_lock_of_another_run(existing):
    """One runner for each database."""
    from dbmigrate.postgres.lock import KEY  # noqa: PLC0415

    with existing.another() as other:
        other.execute("select pg_advisory_lock(%s)", [KEY])
        assert existing.run("baseline", "1.1.0", wait_lock=0.1).exit_code == 4
        dry = existing.run("baseline", "1.1.0", wait_lock=0.1, amend=Amend(dry_run=True))
        assert dry.failure is None


def test_killed_in_the_midst_nothing_is_recorded(existing, tmp_path):
    """All rows are there or none; the same command does it again."""
    existing.write("v0.9.0_z.sql", "select 1;")
    existing.run("up", "0.9.0")
    existing.write("rollbacks/v0.9.0_rollback.sql", "select 1;")
    existing.run("down", "0")
    dbmigrate = CommandLine(existing, tmp_path)
    arguments = ("baseline", "1.1.0", "--source", existing.folder, "--lock-timeout", "1m")
    with existing.another() as other, other.transaction(force_rollback=True):
        # The second row waits for this one to be committed or not.
        other.execute(
            "insert into schema_migrations (version, filename, checksum, text_checksum, applied_by)"
            " values ('1.0.0', 'f', 'c', 't', 'b')"
        )
        process = dbmigrate.start(*arguments)
        existing.wait_until("""
            select count(*) = 1 from pg_stat_activity
            where datname = current_database() and application_name = 'dbmigrate/baseline'
                and wait_event = 'transactionid'
        """)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        existing.connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'dbmigrate/baseline' and datname = current_database()"
        )
        existing.wait_until("""
            select count(*) = 0 from pg_stat_activity
            where datname = current_database() and application_name = 'dbmigrate/baseline'
        """)
    assert existing.value("select count(*) from schema_migrations where origin = 'baseline'") == 0
    assert dbmigrate(*arguments).code == 0
    versions = "select array_agg(version order by id) from schema_migrations where {}"
    assert existing.value(versions.format("origin = 'baseline'")) == ["0.9.0", "1.0.0", "1.1.0"]


def test_people_see_what_was_recorded(existing, tmp_path):
    """A table, and the state in `status`; JSON has the same."""
    dbmigrate = CommandLine(existing, tmp_path)
    where = ("--source", existing.folder)
    dry = dbmigrate("baseline", "1.1.0", *where, "--dry-run")
    assert (dry.code, "v1.1.0_b.sql" in dry.out, "--dry-run" in dry.out) == (0, True, True)
    done = dbmigrate("baseline", "1.1.0", *where, "--reason", "by hand", "--output", "json")
    assert (done.code, done.result.amendments[0].rollback) == (0, "rollbacks/v1.0.0_rollback.sql")
    status = dbmigrate("status", *where).out
    assert status.count("baseline") == 2
    assert "CURRENT 1.1.0, 1 pending" in status
    unknown = dbmigrate("baseline", "7.0.0", *where)
    assert (unknown.code, "UnknownVersion" in unknown.err) == (2, True)
