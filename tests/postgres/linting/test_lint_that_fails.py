"""A linter that does not look is never taken for one that found nothing."""

import pytest

pytestmark = pytest.mark.one_version


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
