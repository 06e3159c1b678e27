"""An environment says what findings are worth; options rule over it."""

import pytest
from tests.postgres.linting.findings import DROPPED, INDEX, found

pytestmark = pytest.mark.one_version


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
