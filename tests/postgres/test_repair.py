"""Applied files that were edited: an agreed edit is recorded, and nothing else is let through."""

import signal

import psycopg
import pytest
from command_line import CommandLine

from dbmigrate.api.report.outcome import Outcome
from dbmigrate.migrations.amend import Amend
from dbmigrate.migrations.version import Version

pytestmark = pytest.mark.one_version

OLD, NEW = "create table a (); -- tpyo", "create table a (); -- typo"
AGREED = Amend(reason="agreed with the team", everything=True)
REPAIRS = """
    select version, old_filename, filename, repaired_by, reason, rollback_sql
    from migration_repairs order by id
"""


@pytest.fixture
def edited(database):
    """1.0.0 was edited after it was applied; 1.1.0 was not."""
    database.write("v1.0.0_a.sql", OLD)
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table a;")
    database.write("v1.1.0_b.sql", "create table b ();")
    assert database.run("up").failure is None
    database.write("v1.0.0_a.sql", NEW)
    return database


def test_an_agreed_edit_is_recorded_and_counts_from_then_on(edited):
    """Who, what it was, what it is, and why; what was executed stays in the history."""
    before = edited.rows("select * from schema_migrations order by id")
    old = edited.value("select checksum from schema_migrations where version = '1.0.0'")
    assert edited.run("up").failure.code == "ChecksumMismatch"
    result = edited.run("repair", amend=AGREED)
    assert (result.outcome, result.message) == (Outcome.SUCCEEDED, "1 edit recorded as agreed on")
    (amendment,) = result.amendments
    assert (amendment.version, amendment.old_checksum) == ("1.0.0", old)
    assert edited.rows(REPAIRS) == [
        ("1.0.0", "v1.0.0_a.sql", "v1.0.0_a.sql", "tester", "agreed with the team",
         "drop table a;"),
    ]  # fmt: skip
    result = edited.run("up")
    assert (result.failure, result.current_version) == (None, "1.1.0")
    assert edited.rows("select * from schema_migrations order by id") == before
    record = result.history[0]
    assert (record.checksum, record.applied_checksum) == (amendment.checksum, old)
    assert result.history[1].applied_checksum == ""


def test_the_old_text_is_then_the_edited_one(edited):
    """The history says which text was agreed on, not that any will do."""
    edited.run("repair", amend=AGREED)
    edited.write("v1.0.0_a.sql", OLD)
    assert edited.run("up").failure.code == "ChecksumMismatch"


def test_of_several_repairs_the_newest_counts(edited):
    """Each has its row."""
    edited.run("repair", amend=AGREED)
    edited.write("v1.0.0_a.sql", NEW + " again")
    edited.run("repair", amend=AGREED)
    edited.write("v1.0.0_a.sql", OLD)
    edited.run("repair", amend=AGREED)
    assert edited.run("up").failure is None
    assert len(edited.rows(REPAIRS)) == 3
    assert edited.run("status").history[0].applied_checksum == ""


def test_a_renamed_files_name_is_recorded(edited):
    """The history's name is what people look for."""
    (edited.folder / "v1.0.0_a.sql").rename(edited.folder / "v1.0.0_accounts.sql")
    edited.run("repair", amend=AGREED)
    assert edited.run("status").history[0].file == "v1.0.0_accounts.sql"


def test_only_the_named_version_is_repaired(edited):
    """The other edit still stops everything."""
    edited.write("v1.1.0_b.sql", "create table b (); -- edited")
    result = edited.run("repair", amend=Amend(reason="x", versions=(Version(1, 0, 0),)))
    assert [each.version for each in result.amendments] == ["1.0.0"]
    failure = edited.run("up").failure
    assert failure.code == "ChecksumMismatch"
    assert "v1.0.0_a.sql" not in failure.message


def test_nothing_is_repaired_unasked(edited):
    """Neither without a choice, nor without a reason, nor in a dry run."""
    assert edited.run("repair", amend=Amend(reason="x")).failure.code == "RepairNotChosen"
    assert edited.run("repair", amend=Amend(everything=True)).failure.code == "NoReason"
    dry = edited.run("repair", amend=Amend(dry_run=True))
    assert (dry.failure, dry.dry_run, len(dry.amendments)) == (None, True, 1)
    assert edited.rows(REPAIRS) == []


def test_nothing_edited_is_nothing_to_repair(database):
    """Line ends are no edit; an empty database has none."""
    assert database.run("repair", amend=AGREED).outcome is Outcome.SUCCEEDED
    assert not database.has("schema_migrations")
    database.write("v1.0.0_a.sql", "create table a ();\n")
    database.run("up")
    database.write("v1.0.0_a.sql", "create table a ();\r\n")
    result = database.run("repair", amend=AGREED)
    assert (result.outcome, result.amendments) == (Outcome.SUCCEEDED, ())


def test_the_new_rollback_is_kept_and_serves(edited):
    """An older source that lacks it goes back by the text that belongs to the agreed edit."""
    edited.write("rollbacks/v1.0.0_rollback.sql", "alter table a rename to gone;")
    edited.run("repair", amend=AGREED)
    (edited.folder / "rollbacks" / "v1.0.0_rollback.sql").unlink()
    edited.write("v1.0.0_a.sql", NEW + " once more")
    edited.run("repair", amend=AGREED)  # which has no rollback of its own
    edited.write("rollbacks/v1.1.0_rollback.sql", "drop table b;")
    assert edited.run("down", "0").failure is None
    assert edited.has("gone")


def test_a_rollback_that_came_later_is_kept_by_a_repair(edited):
    """The database had none of 1.1.0."""
    edited.run("repair", amend=AGREED)
    edited.write("rollbacks/v1.1.0_rollback.sql", "drop table b;")
    result = edited.run("repair", amend=AGREED)
    assert [(each.version, each.rollback) for each in result.amendments] == [
        ("1.1.0", "rollbacks/v1.1.0_rollback.sql")
    ]
    (edited.folder / "v1.1.0_b.sql").unlink()
    (edited.folder / "rollbacks" / "v1.1.0_rollback.sql").unlink()
    assert edited.run("to", "1.0.0").current_version == "1.0.0"


def test_an_undone_and_applied_again_migration_forgets_its_repair(edited):
    """The repair belongs to the row that was repaired."""
    edited.run("repair", amend=AGREED)
    edited.write("rollbacks/v1.1.0_rollback.sql", "drop table b;")
    edited.run("down", "0")
    edited.write("v1.0.0_a.sql", OLD)
    assert edited.run("up").failure is None
    assert edited.run("up").failure is None


@pytest.mark.parametrize(
    "statement",
    [
        "update migration_repairs set reason = 'other'",
        "delete from migration_repairs",
        "truncate migration_repairs",
    ],
)
def test_repairs_are_only_added(edited, statement):
    """As the history."""
    edited.run("repair", amend=AGREED)
    with pytest.raises(psycopg.errors.IntegrityError):
        edited.connection.execute(statement)


def test_killed_in_the_midst_nothing_is_recorded(edited, tmp_path):
    """All edits or none; the same command does it again."""
    edited.write("v1.1.0_b.sql", "create table b (); -- edited")
    edited.connection.execute("create unique index only_here on migration_repairs (version)")
    dbmigrate = CommandLine(edited, tmp_path)
    arguments = (
        "repair", "--all", "--reason", "x", "--source", edited.folder, "--lock-timeout", "1m",
    )  # fmt: skip
    with edited.another() as other, other.transaction(force_rollback=True):
        # The second edit's row waits for this one to be committed or not.
        other.execute("""
            insert into migration_repairs (migration_id, version, old_filename, filename,
                old_checksum, checksum, old_text_checksum, text_checksum, repaired_by, reason)
            values (2, '1.1.0', '', '', '', '', '', '', '', '')
        """)
        process = dbmigrate.start(*arguments)
        edited.wait_until("""
            select count(*) = 1 from pg_stat_activity
            where datname = current_database() and application_name = 'dbmigrate/repair'
                and wait_event = 'transactionid'
        """)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        edited.connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'dbmigrate/repair' and datname = current_database()"
        )
        edited.wait_until("""
            select count(*) = 0 from pg_stat_activity
            where datname = current_database() and application_name = 'dbmigrate/repair'
        """)
    assert edited.rows(REPAIRS) == []
    assert dbmigrate(*arguments).code == 0
    assert len(edited.rows(REPAIRS)) == 2


def test_people_see_what_differs_and_what_was_recorded(edited, tmp_path):
    """Both sums before; the state in `status` after."""
    dbmigrate = CommandLine(edited, tmp_path)
    where = ("--source", edited.folder)
    shown = dbmigrate("repair", *where)
    assert (shown.code, "RepairNotChosen" in shown.err, "--all" in shown.err) == (2, True, True)
    assert "v1.0.0_a.sql: recorded" in shown.err
    assert dbmigrate("repair", "1.0.0", *where).code == 2
    done = dbmigrate("repair", "1.0.0", *where, "--reason", "typo")
    assert (done.code, "v1.0.0_a.sql" in done.out) == (0, True)
    assert "applied, repaired" in dbmigrate("status", *where).out
    assert dbmigrate("up", *where).code == 0
