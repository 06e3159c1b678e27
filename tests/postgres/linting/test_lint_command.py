"""`dbmigrate lint`: pending files, all files, or those that are named."""

import pytest
from tests.postgres.linting.findings import DROPPED, INDEX, found

from dbmigrate.api.report.outcome import Outcome

pytestmark = pytest.mark.one_version


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
