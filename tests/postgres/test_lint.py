"""Linting with a database: pending files only, told or refused, before anything is touched."""

import json
import os

import pytest
from command_line import CommandLine

from dbmigrate.api.lint import LintLevel
from dbmigrate.api.report.lines import parse_result
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.report.termination import TERMINATION_MESSAGE_LIMIT

pytestmark = pytest.mark.one_version

HARMFUL = "alter table users\n  drop column name;\n"


@pytest.fixture
def dbmigrate(database, tmp_path):
    """The command line, in the folder that holds `migrations`."""
    return CommandLine(database, tmp_path)


@pytest.fixture
def applied(database, dbmigrate):
    """The database with migrations that are applied, and one would be refused if it were not."""
    database.write("v1.0.0_users.sql", "create table users (id bigint, name text, x text);\n")
    database.write("v1.1.0_drop.sql", "alter table users drop column x;\n")
    assert dbmigrate("up", "--lint-level", "off").code == 0
    return database


@pytest.fixture
def pending(applied):
    """A harmful migration that is not applied, with its rollback."""
    applied.write("v1.2.0_harm.sql", HARMFUL)
    applied.write(
        "rollbacks/v1.2.0_rollback.sql",
        "alter table users add column name text;\ncreate index on users (name);\n",
    )


@pytest.fixture
def environment(tmp_path):
    """Write an environment's file with these lines."""

    def write(*lines, name="production"):
        folder = tmp_path / "config" / "environments"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.env").write_text("".join(f"{line}\n" for line in lines))

    return write


def found(result):
    """File, line and rule of each finding."""
    return [(each.file.rpartition("/")[2], each.line, each.rule) for each in result.lint.findings]


DROPPED = ("v1.2.0_harm.sql", 2, "ban-drop-column")
INDEX = ("v1.2.0_rollback.sql", 2, "require-concurrent-index-creation")


@pytest.mark.usefixtures("pending")
def test_lint_looks_at_pending_files_and_their_rollbacks_only(dbmigrate):
    """What is applied can be changed no more."""
    ended = dbmigrate("lint", "--output", "json")
    assert ended.code == 1
    assert found(ended.result) == [DROPPED, INDEX]
    assert (ended.result.lint.refusing, ended.result.lint.reported) == (1, 1)
    assert ended.result.outcome is Outcome.SUCCEEDED
    assert ended.result.database_known
    assert [each["event"] for each in ended.events] == ["started", "lint", "result"]


@pytest.mark.usefixtures("pending")
def test_lint_shows_place_rule_line_and_advice(dbmigrate):
    """On stdout, since that is what was asked for."""
    ended = dbmigrate("lint")
    assert ended.code == 1
    assert "migrations/v1.2.0_harm.sql:2:3: refused: " in ended.out
    assert "[ban-drop-column]\n      drop column name;\n      ^\n" in ended.out
    assert "instead: Use `concurrently`" in ended.out
    assert "LINT 1 finding to refuse, 1 finding to report in 2 files" in ended.out
    assert ended.err == ""


@pytest.mark.usefixtures("pending")
def test_lint_of_all_files_asks_no_database(dbmigrate):
    """And so it does where none is named."""
    nowhere = {"DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    ended = dbmigrate("lint", "--all", "--output", "json", env=nowhere)
    assert found(ended.result) == [("v1.1.0_drop.sql", 1, "ban-drop-column"), DROPPED, INDEX]
    assert not ended.result.database_known
    unnamed = dbmigrate("lint", "--output", "json", env={"DATABASE_URL": ""})
    assert found(unnamed.result) == found(ended.result)


@pytest.mark.usefixtures("pending")
def test_lint_of_named_files_looks_at_those(dbmigrate, database):
    """By any path to them."""
    ended = dbmigrate("lint", "--output", "json", "migrations/v1.1.0_drop.sql")
    assert found(ended.result) == [("v1.1.0_drop.sql", 1, "ban-drop-column")]
    ended = dbmigrate("lint", "--output", "json", database.folder / "v1.2.0_harm.sql")
    assert found(ended.result) == [DROPPED]


@pytest.mark.usefixtures("pending")
def test_verifications_among_named_files_are_passed_over(dbmigrate, database):
    """A pipeline names every file that a change brings; what a verification does is undone."""
    named = database.write("verify/v1.1.0_drop.sql", "create index i on a (n);")
    ended = dbmigrate("lint", "--output", "json", named)
    assert (ended.code, ended.result.lint.files) == (0, 0)
    ended = dbmigrate("lint", "--output", "json", named, "migrations/v1.1.0_drop.sql")
    assert found(ended.result) == [("v1.1.0_drop.sql", 1, "ban-drop-column")]


@pytest.mark.usefixtures("pending")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["other.sql"], "UnknownFile"),
        (["--all", "--pending"], "Usage"),
        (["--all", "migrations/v1.1.0_drop.sql"], "Usage"),
        (["--lint-rules", "ban-drop-colum=off"], "InvalidSetting"),
        (["--lint-level", "warn"], "InvalidSetting"),
    ],
)
def test_what_lint_cannot_do_is_a_usage_error(dbmigrate, arguments, code):
    """Nothing is passed over in silence."""
    ended = dbmigrate("lint", "--output", "json", *arguments)
    assert ended.code == 2
    assert ended.result.failure.code == code


def test_lint_of_pending_files_needs_a_database(dbmigrate):
    """It does not take all files instead."""
    ended = dbmigrate("lint", "--pending", "--output", "json", env={"DATABASE_URL": ""})
    assert (ended.code, ended.result.failure.code) == (2, "NoDatabase")


@pytest.mark.usefixtures("applied")
def test_lint_where_nothing_is_pending_is_clean(dbmigrate):
    """Even though an applied file would be refused."""
    ended = dbmigrate("lint")
    assert (ended.code, ended.out) == (0, "LINT nothing is pending\n")


@pytest.mark.usefixtures("pending")
def test_at_the_level_report_lint_finds_and_exits_with_nought(dbmigrate):
    """The exit code is the refusal's."""
    ended = dbmigrate("lint", "--lint-level", "report")
    assert ended.code == 0
    assert "v1.2.0_harm.sql:2:3: warning: " in ended.out


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
def test_an_environment_says_what_is_refused(dbmigrate, environment):
    """Its file's level and rules; the database comes from elsewhere."""
    environment("MIGRATION_LINT=refuse")
    assert dbmigrate("validate", "--environment", "production").code == 3
    environment("MIGRATION_LINT=refuse", "MIGRATION_LINT_RULES=ban-drop-column=report")
    assert dbmigrate("validate", "--environment", "production").code == 0
    environment("MIGRATION_LINT=off")
    ended = dbmigrate("validate", "--environment", "production", "--output", "json")
    assert (ended.code, ended.result.lint) == (0, None)


@pytest.mark.usefixtures("pending")
def test_the_command_line_rules_over_the_file_and_the_file_over_the_process(dbmigrate, environment):
    """Rule by rule."""
    environment("MIGRATION_LINT=refuse", "MIGRATION_LINT_RULES=ban-drop-column=report")
    process = {"MIGRATION_LINT": "off", "MIGRATION_LINT_RULES": "ban-drop-column=off"}
    inherited = dbmigrate("validate", "--output", "json", env=process)
    assert inherited.result.lint is None
    by_file = ("validate", "--environment", "production", "--output", "json")
    ended = dbmigrate(*by_file, env=process)
    assert ended.code == 0
    assert found(ended.result) == [DROPPED, INDEX]
    ended = dbmigrate(*by_file, "--lint-rules", "ban-drop-column=refuse", env=process)
    assert ended.code == 3


@pytest.mark.usefixtures("pending")
def test_lint_offline_knows_the_environment_without_its_password(dbmigrate, environment):
    """Only what linting needs is read."""
    environment("DB_PASSWORD=${NOT_SET_HERE}", "MIGRATION_LINT=report")
    arguments = ("lint", "--all", "--environment")
    assert dbmigrate(*arguments, "production").code == 0
    ended = dbmigrate(*arguments, "prodution", "--output", "json")
    assert (ended.code, ended.result.failure.code) == (2, "UnknownEnvironment")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("MIGRATION_LINT=maybe", "'maybe' is no level"),
        ("MIGRATION_LINT_RULES=x=off", "no rule 'x'"),
    ],
)
def test_a_wrong_setting_of_an_environment_has_its_line(dbmigrate, environment, line, problem):
    """It would otherwise refuse less than was meant."""
    environment("# rules", line)
    ended = dbmigrate("status", "--environment", "production", "--output", "json")
    assert ended.code == 2
    assert ended.result.failure.line == 2
    assert problem in ended.result.failure.message


@pytest.fixture
def broken(tmp_path):
    """A linter that calls everything clean without looking."""
    path = tmp_path / "squawk"
    path.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo squawk 2.70.0 || echo '[]'\n")
    path.chmod(0o755)
    return path


@pytest.mark.usefixtures("pending")
@pytest.mark.parametrize("arguments", [(), ("--all",)])
def test_a_linter_that_does_not_look_fails_lint(dbmigrate, broken, arguments):
    """It is never "no findings"."""
    ended = dbmigrate("lint", "--squawk", broken, "--output", "json", *arguments)
    assert ended.code == 1
    assert ended.result.failure.code == "LinterFailed"
    assert str(broken) in ended.result.failure.message


@pytest.mark.usefixtures("pending")
def test_a_linter_that_fails_is_a_warning_where_findings_only_are_told(database, dbmigrate, broken):
    """A migration does not wait for advice; that none was given is told and kept."""
    ended = dbmigrate("up", "--squawk", broken, "--output", "json")
    assert ended.code == 0
    assert "does not find the error" in ended.result.lint.error
    (warning,) = [each for each in ended.events if each["event"] == "warning"]
    assert warning["message"].startswith("nothing was linted: the linter does not work")
    assert len(database.history()) == 3


@pytest.mark.usefixtures("pending")
def test_a_linter_that_fails_stops_a_run_that_findings_could_refuse(database, dbmigrate, broken):
    """Nobody knows whether it may go on."""
    ended = dbmigrate("up", "--squawk", broken, "--lint-level", "refuse", "--output", "json")
    assert (ended.code, ended.result.failure.code) == (3, "LinterFailed")
    assert len(database.history()) == 2


def test_a_file_that_the_server_takes_is_not_refused_for_the_linters_sake(applied, dbmigrate):
    """Squawk's parser dies of deep nesting; the gap is told."""
    applied.write("v1.2.0_deep.sql", f"select {'(' * 6000}1{')' * 6000};\n")
    ended = dbmigrate("up", "--lint-level", "refuse")
    assert ended.code == 0
    assert "v1.2.0_deep.sql: not linted: the linter cannot read the file" in ended.err


@pytest.mark.usefixtures("pending")
def test_sarif_and_github_tell_the_same_findings(dbmigrate, tmp_path):
    """Each on stdout, and nothing else there."""
    here = {"GITHUB_WORKSPACE": str(tmp_path)}
    ended = dbmigrate("lint", "--output", "sarif", env=here)
    (run,) = json.loads(ended.out)["runs"]
    assert [each["ruleId"] for each in run["results"]] == [DROPPED[2], INDEX[2]]
    assert ended.code == 1
    ended = dbmigrate("lint", "--output", "github", env=here)
    assert ended.code == 1
    first, second = ended.out.splitlines()
    assert first.startswith("::error file=migrations/v1.2.0_harm.sql,line=2,endLine=2,col=3,")
    assert second.startswith("::warning file=migrations/rollbacks/v1.2.0_rollback.sql,line=2,")


def test_a_failure_of_up_is_an_annotation_at_its_line(database, dbmigrate):
    """The forms are those of every command."""
    database.write("v1.0.0_wrong.sql", "select 1;\nselect 1 from nowhere;\n")
    ended = dbmigrate("up", "--output", "github")
    assert ended.code == 1
    (line,) = [each for each in ended.out.splitlines() if each.startswith("::error")]
    assert line.startswith("::error file=migrations/v1.0.0_wrong.sql,line=2,col=15,")


@pytest.mark.usefixtures("pending")
def test_findings_fit_the_termination_message(database, dbmigrate, tmp_path):
    """Counts always, and the first findings."""
    database.write("v1.3.0_many.sql", HARMFUL * 300)
    file = tmp_path / "termination"
    ended = dbmigrate(
        "up", "--lint-level", "refuse", "--termination-message", file, "--output", "json"
    )
    assert ended.code == 3
    assert len(ended.result.lint.findings) == 100
    data = file.read_bytes()
    assert len(data) <= TERMINATION_MESSAGE_LIMIT
    short = parse_result(data.decode())
    assert short.failure.code == "LintRefused"
    assert short.lint.refusing == 301
    assert all(each.level is LintLevel.REFUSE for each in short.lint.findings)


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
