"""A result as GitHub's workflow commands: no text can become a command of its own."""

from pathlib import Path

import pytest

from dbmigrate.api.lint import LintFinding, LintGap, LintLevel, LintReport
from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.api.report.result import RunResult
from dbmigrate.lint.github import commands, warning

ROOT = Path("/srv/repository")
HOSTILE = "a:b,c%d\r\n::error::e"


def lines(*, findings=(), gaps=(), failure=None, error=""):
    """What is written for a result."""
    report = LintReport("squawk", LintLevel.REFUSE, findings=findings, gaps=gaps, error=error)
    outcome = Outcome.SUCCEEDED if failure is None else Outcome.FAILED
    return list(
        commands(RunResult("lint", outcome, 0, "", failure=failure, lint=report), root=ROOT)
    )


def finding(level=LintLevel.REFUSE, file="/srv/repository/m/v1.sql", message="It breaks.", end=3):
    """One finding."""
    return LintFinding("ban-drop-table", level, file, 3, 5, end, 9, message)


def test_a_finding_is_an_error_or_a_warning_with_its_place():
    """By its level; the path is that within the repository."""
    assert lines(findings=(finding(), finding(LintLevel.REPORT, message="May."))) == [
        "::error file=m/v1.sql,line=3,endLine=3,col=5,endColumn=9,title=ban-drop-table::It breaks.",
        "::warning file=m/v1.sql,line=3,endLine=3,col=5,endColumn=9,title=ban-drop-table::May.",
    ]


def test_a_finding_of_several_lines_has_no_columns():
    """GitHub takes them for one line only."""
    (line,) = lines(findings=(finding(end=4),))
    assert "line=3,endLine=4,title=" in line


def test_hostile_texts_stay_what_they_are():
    """Line breaks, commas, colons and per cent signs are escaped, in names and in messages."""
    (line,) = lines(findings=(finding(file=f"/srv/repository/{HOSTILE}", message=HOSTILE),))
    escaped = "a%3Ab%2Cc%25d%0D%0A%3A%3Aerror%3A%3Ae"
    assert line.startswith(f"::error file={escaped},line=3,")
    assert line.endswith("::a:b,c%25d%0D%0A::error::e")
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("text", ["\n::error::x", "x\r::error::y", "%0A::error::z"])
def test_a_warning_is_one_line(text):
    """And what looked escaped before is not turned into a line break."""
    line = warning(text)
    assert len(line.splitlines()) == 1
    assert line.startswith("::warning::")
    assert "%250A" in line if text.startswith("%") else "%250A" not in line


def test_what_was_not_looked_at_is_a_notice():
    """A whole file has no line."""
    assert lines(gaps=(LintGap("m/a.sql", "too large"), LintGap("m/b.sql", "odd", 3, 4))) == [
        "::notice file=m/a.sql,title=not linted::too large",
        "::notice file=m/b.sql,line=3,title=not linted::odd",
    ]


def test_nothing_linted_at_all_is_a_warning():
    """Silence would look like no findings."""
    assert lines(error="it broke") == ["::warning::nothing was linted: it broke"]


def test_a_failure_is_an_error_at_its_place_with_its_hint():
    """As `validate` or `up` tells it."""
    failure = Failure("SyntaxError", "no such word", hint="mend it", file="m/a.sql", line=2)
    assert lines(failure=failure) == [
        "::error file=m/a.sql,line=2,title=SyntaxError::no such word%0Amend it"
    ]
    assert lines(failure=Failure("NoDatabase", "none")) == ["::error title=NoDatabase::none"]
