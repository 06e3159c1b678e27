"""A database that a newer release has migrated, seen by an older source."""

import shutil

import pytest
from command_line import CommandLine

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.rules import DatabaseAhead, PlanRules

pytestmark = pytest.mark.one_version

LENIENT = PlanRules(database_ahead=DatabaseAhead.WARN)


@pytest.fixture
def ahead(database):
    """1.1.0 and 1.2.0 are applied, and the source ends at 1.0.0; 1.1.0's rollback is kept."""
    for version, table in (("1.0.0", "a"), ("1.1.0", "b"), ("1.2.0", "c")):
        database.write(f"v{version}_{table}.sql", f"create table {table} ();")
        database.write(f"rollbacks/v{version}_rollback.sql", f"drop table {table};")
    assert database.run("up").failure is None
    for version, table in (("1.1.0", "b"), ("1.2.0", "c")):
        (database.folder / f"v{version}_{table}.sql").unlink()
    shutil.rmtree(database.folder / "rollbacks")
    return database


@pytest.mark.parametrize("command", ["up", "plan", "validate"])
def test_it_is_refused_with_what_it_would_take(ahead, command):
    """The versions, whether their rollbacks are kept, and the command."""
    failure = ahead.run(command).failure
    assert failure.code == "DatabaseAhead"
    assert "1.1.0 (v1.1.0_b.sql, rollback kept), 1.2.0" in failure.message
    assert "`dbmigrate to 1.0.0` would undo 1.2.0, 1.1.0" in failure.hint


def test_the_proposed_commands_do_what_was_said(ahead):
    """First the look, then the way back, by the kept rollbacks."""
    plan = ahead.run("plan", "1.0.0").plan
    assert [step.version for step in plan.steps] == ["1.2.0", "1.1.0"]
    result = ahead.run("to", "1.0.0", expect_plan=plan.hash)
    assert (result.outcome, result.current_version) == (Outcome.SUCCEEDED, "1.0.0")
    assert not ahead.has("b")


def test_status_tells_it_without_failing(ahead):
    """In the result for machines, as a warning for people."""
    result = ahead.run("status")
    assert (result.failure, result.current_version) == (None, "1.2.0")
    assert [(each.version, each.rollback_kept) for each in result.ahead] == [
        ("1.1.0", True), ("1.2.0", True),
    ]  # fmt: skip
    (warning,) = ahead.reporter.of(EventName.WARNING)
    assert "ahead of the source" in warning["message"]
    assert "`dbmigrate to 1.0.0`" in warning["message"]


def test_the_rule_makes_it_a_warning(ahead):
    """An older release of an application that fits the newer schema may start."""
    result = ahead.run("up", rules=LENIENT)
    assert (result.outcome, result.exit_code, result.applied) == (Outcome.SUCCEEDED, 0, ())
    (warning,) = ahead.reporter.of(EventName.WARNING)
    assert "ahead of the source: it has 1.1.0" in warning["message"]
    assert ahead.has("c")


def test_waiting_is_satisfied_by_a_newer_version(ahead, tmp_path):
    """The older release's init container does not wait for ever."""
    ended = CommandLine(ahead, tmp_path)("wait", "--version", "1.0.0", "--timeout", "0")
    assert ended.code == 0


def test_the_option_and_the_environments_key_say_the_rule(ahead, tmp_path):
    """The option rules; a value that is none is refused with its line."""
    dbmigrate = CommandLine(ahead, tmp_path)
    folder = tmp_path / "config" / "environments"
    folder.mkdir(parents=True)
    file = folder / "test.env"
    where = ("--source", ahead.folder, "--environment", "test")
    file.write_text("MIGRATION_DATABASE_AHEAD=warn\n")
    assert dbmigrate("up", *where).code == 0
    assert dbmigrate("up", *where, "--database-ahead", "refuse").code == 3
    file.write_text("MIGRATION_DATABASE_AHEAD=ignore\n")
    ended = dbmigrate("up", *where)
    assert ended.code == 2
    assert "test.env:1" in ended.err
    assert "refuse, warn" in ended.err
