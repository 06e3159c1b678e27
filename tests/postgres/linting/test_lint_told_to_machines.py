"""Findings as SARIF, as GitHub's annotations, and in a termination message."""

import json

import pytest
from tests.postgres.linting.findings import DROPPED, HARMFUL, INDEX

from dbmigrate.api.lint import LintLevel
from dbmigrate.api.report.lines import parse_result
from dbmigrate.api.report.termination import TERMINATION_MESSAGE_LIMIT

pytestmark = pytest.mark.one_version


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
