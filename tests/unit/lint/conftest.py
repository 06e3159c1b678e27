"""Files for the linter, and the linter itself: the one that the tests are installed with."""

import pytest

from dbmigrate.api.lint import LintLevel
from dbmigrate.lint.check import lint_files
from dbmigrate.lint.policy import Policy
from dbmigrate.lint.squawk import find
from dbmigrate.migrations.content import HeldContent
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.migrations.version import Version


@pytest.fixture
def squawk():
    """The real one."""
    return find(None)


@pytest.fixture
def file():
    """Make a file of a text; each has a version of its own."""
    number = 0

    def make(sql, *, is_rollback=False):
        nonlocal number
        number += 1
        data = sql if isinstance(sql, bytes) else sql.encode()
        version, name = Version(1, number, 0), f"v1.{number}.0_x.sql"
        return MigrationFile(
            version, "x", name, HeldContent(data), is_rollback, f"migrations/{name}"
        )

    return make


@pytest.fixture
def lint(squawk, file):
    """Lint texts, or files, by all rules' own levels unless others are given."""

    def run(*texts, level=LintLevel.REFUSE, rules=None, program=None, **options):
        files = [file(each) if isinstance(each, str | bytes) else each for each in texts]
        return lint_files(files, Policy(level, rules or {}), program or squawk, **options)

    return run


@pytest.fixture
def places(lint):
    """Lint one text: line, column and rule of each finding."""

    def run(text, **options):
        found = lint(text, **options).findings
        return [(each.line, each.column, each.rule) for each in found]

    return run
