"""The sample project shows how: what is meant is said in the file, with the reason beside it."""

from pathlib import Path

import pytest

from dbmigrate.api.lint import LintLevel
from dbmigrate.lint.check import lint_files
from dbmigrate.lint.policy import Policy
from dbmigrate.migrations.folder import read_source

FOLDER = Path(__file__).parents[3] / "migrations"


@pytest.mark.parametrize("server_version", [150000, 180000])
def test_nothing_in_the_sample_project_is_refused_or_left_out(squawk, server_version):
    """So it runs in production as shipped, where findings refuse."""
    source = read_source([FOLDER])
    files = [*source.migrations, *source.rollbacks.values()]
    report = lint_files(files, Policy(LintLevel.REFUSE), squawk, server_version)
    assert report.files == len(files)
    assert [
        f"{each.file}:{each.line} {each.rule}"
        for each in report.findings
        if each.level is LintLevel.REFUSE
    ] == []
    assert report.gaps == ()
