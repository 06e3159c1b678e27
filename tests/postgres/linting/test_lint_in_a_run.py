"""Findings are told, or refuse the run before anything is touched."""

import os

import pytest
from tests.postgres.linting.findings import DROPPED, INDEX, found

from dbmigrate.api.lint import LintLevel
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.errors import LinterFailedError
from dbmigrate.postgres.linting import Linting
from dbmigrate.postgres.server.interruption import Interruption

pytestmark = pytest.mark.one_version


@pytest.mark.usefixtures("pending")
def test_up_tells_findings_and_goes_on_by_default(database, dbmigrate):
    """Each place is a line on stderr; the result carries them; the rollback is not run now."""
    ended = dbmigrate("up")
    assert ended.code == 0
    assert "migrations/v1.2.0_harm.sql:2:3: warning: " in ended.err
    assert "rollback" not in ended.err
    assert [row[0] for row in database.history()] == ["1.0.0", "1.1.0", "1.2.0"]


@pytest.mark.usefixtures("pending")
@pytest.mark.parametrize("command", [("up",), ("to", "1.2.0"), ("validate",), ("plan",)])
def test_at_the_level_refuse_nothing_is_begun(database, dbmigrate, command):
    """With the place, the rule, and what to do; neither history nor schema is touched."""
    before = database.rows("select version, status, applied_at from public.schema_migrations")
    ended = dbmigrate(*command, "--lint-level", "refuse", "--output", "json")
    assert ended.code == 3
    result = ended.result
    assert result.outcome is Outcome.BLOCKED
    assert result.failure.code == "LintRefused"
    assert not result.failure.touched
    assert result.failure.file.endswith("migrations/v1.2.0_harm.sql")
    assert (result.failure.line, result.failure.column) == (2, 3)
    assert "-- squawk-ignore ban-drop-column" in result.failure.hint
    assert DROPPED in found(result)
    assert [each.version for each in result.plan.steps] == ["1.2.0"]
    assert database.has("public.users")
    after = database.rows("select version, status, applied_at from public.schema_migrations")
    assert after == before
    assert "name" in {
        row[0]
        for row in database.rows(
            "select attname from pg_attribute where attrelid = 'public.users'::regclass"
        )
    }


def test_a_first_run_that_is_refused_leaves_no_bookkeeping(database, dbmigrate):
    """As if it had not been."""
    database.write("v1.0.0_drop.sql", "drop table if exists users;\n")
    assert dbmigrate("up", "--lint-level", "refuse").code == 3
    assert not database.has("public.schema_migrations")


@pytest.mark.usefixtures("pending")
def test_a_refusal_is_told_once_with_its_advice(dbmigrate):
    """The finding with its line, then the error."""
    ended = dbmigrate("up", "--lint-level", "refuse")
    assert ended.err.count("drop column name;") == 2
    assert "error: the linter refuses " in ended.err
    assert "[LintRefused]" in ended.err
    assert "what to do: mend the file; or, where it is meant, write" in ended.err


def test_a_comment_lets_one_statement_through(applied, dbmigrate):
    """Squawk's own."""
    applied.write(
        "v1.2.0_meant.sql",
        "-- The last reader is gone since 1.1.0.\n-- squawk-ignore ban-drop-column\n"
        "alter table users drop column name;\n",
    )
    assert dbmigrate("up", "--lint-level", "refuse").code == 0


def test_a_rollback_is_never_refused_and_not_linted_when_it_runs(database, dbmigrate):
    """It runs when there is trouble already."""
    database.write("v1.0.0_users.sql", "create table users (id bigint);\n")
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table users;\n")
    assert dbmigrate("up", "--lint-level", "refuse").code == 0
    ended = dbmigrate("to", "0", "--lint-level", "refuse", "--output", "json")
    assert (ended.code, ended.result.lint) == (0, None)


@pytest.mark.usefixtures("pending")
def test_validate_tells_findings_of_rollbacks_too(dbmigrate):
    """They may run tomorrow, in a hurry."""
    ended = dbmigrate("validate", "--output", "json")
    assert ended.code == 0
    assert found(ended.result) == [DROPPED, INDEX]


def test_repeatable_files_that_are_due_are_linted_and_verifications_are_not(database, dbmigrate):
    """One that has run and was not changed is due no more."""
    database.write("v1.0.0_users.sql", "create table users (id bigint);\n")
    database.write("verify/v1.0.0_users.sql", "drop table users;\n")
    database.write("repeatable/views.sql", "drop table if exists scratch;\n")
    due = ("views.sql", 1, "ban-drop-table")
    for command in (("lint",), ("lint", "--all"), ("validate",), ("up",)):
        ended = dbmigrate(*command, "--lint-level", "report", "--output", "json")
        assert (ended.code, found(ended.result)) == (0, [due])
    assert dbmigrate("lint").out == "LINT nothing is pending\n"


@pytest.mark.usefixtures("pending")
def test_a_signal_during_linting_ends_the_run_at_once(database, dbmigrate, tmp_path):
    """Nothing is touched, and no linter is left behind."""
    slow = tmp_path / "squawk"
    slow.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo squawk 2.70.0 && exit\n'
        f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 600\n"
    )
    slow.chmod(0o755)
    process = dbmigrate.start("up", "--squawk", slow, "--output", "json")
    pid_file = tmp_path / "pid"
    while not pid_file.exists():
        assert process.poll() is None
        database.value("select pg_sleep(0.05)")
    process.terminate()
    ended = dbmigrate.end(process, timeout=20)
    assert ended.code == 143
    assert ended.result.outcome is Outcome.INTERRUPTED
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert len(database.history()) == 2
    assert dbmigrate("up").code == 0


def test_a_linter_that_a_signal_struck_is_an_interruption(database):
    """Whatever it says of it: the same signal may reach the linter's own process."""
    database.write("v1.0.0_a.sql", "create table a ();")
    interruption = Interruption()

    def look(_files, _version):
        try:
            interruption.request(15)
        except KeyboardInterrupt:
            raise LinterFailedError("squawk was ended by a signal") from None

    linting = Linting(LintLevel.REFUSE, look)
    result = database.run("up", interruption=interruption, linting=linting)
    assert (result.outcome, result.exit_code) == (Outcome.INTERRUPTED, 143)
    assert not database.has("a")
