"""A result as SARIF 2.1.0: what its schema and GitHub's code scanning ask for."""

import json
from pathlib import Path

import pytest

from dbmigrate.api.lint import LintFinding, LintGap, LintLevel, LintReport
from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.api.report.result import RunResult
from dbmigrate.lint.sarif import sarif

ROOT = Path("/srv/repository")


def finding(rule="ban-drop-table", level=LintLevel.REFUSE, file="/srv/repository/m/v1.sql"):
    """One finding."""
    return LintFinding(rule, level, file, 3, 5, 4, 1, "It breaks.", help="Do not.")


def log(*, findings=(), gaps=(), error="", failure=None, outcome=Outcome.SUCCEEDED, code=0):
    """What is written for a result."""
    report = LintReport("squawk", LintLevel.REFUSE, findings=findings, gaps=gaps, error=error)
    result = RunResult(
        "lint", outcome, code, "2026-01-01T00:00:00.000Z", failure=failure, lint=report
    )
    data = json.loads(sarif(result, version="1.2.3", root=ROOT))
    assert data["version"] == "2.1.0"
    assert data["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = data["runs"]
    return run


def test_a_finding_is_a_result_with_rule_level_message_and_region():
    """The end is the first column behind it, as SARIF's is."""
    run = log(findings=(finding(),))
    assert run["results"] == [
        {
            "ruleId": "ban-drop-table",
            "level": "error",
            "message": {"text": "It breaks.\nDo not."},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": "m/v1.sql", "uriBaseId": "%SRCROOT%"},
                        "region": {"startLine": 3, "startColumn": 5, "endLine": 4, "endColumn": 1},
                    }
                }
            ],
        }
    ]
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["originalUriBaseIds"] == {"%SRCROOT%": {"uri": "file:///srv/repository/"}}


def test_every_rule_that_is_named_is_described_once():
    """Where squawk explains it."""
    run = log(findings=(finding(), finding(), finding("prefer-timestamp-tz", LintLevel.REPORT)))
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("dbmigrate", "1.2.3")
    assert driver["rules"] == [
        {
            "id": "ban-drop-table",
            "name": "BanDropTable",
            "helpUri": "https://squawkhq.com/docs/ban-drop-table",
        },
        {
            "id": "prefer-timestamp-tz",
            "name": "PreferTimestampTz",
            "helpUri": "https://squawkhq.com/docs/prefer-timestamptz",
        },
    ]
    assert [each["level"] for each in run["results"]] == ["error", "error", "warning"]


def test_a_path_is_a_uri():
    """Blanks, signs and other scripts are escaped; outside of the repository it is absolute."""
    run = log(findings=(finding(file="/srv/repository/a b/é%#?.sql"), finding(file="/else/x.sql")))
    places = [
        each["locations"][0]["physicalLocation"]["artifactLocation"] for each in run["results"]
    ]
    assert places[0]["uri"] == "a%20b/%C3%A9%25%23%3F.sql"
    assert places[1] == {"uri": "file:///else/x.sql"}


def test_what_was_not_looked_at_is_a_notification():
    """So that no result does not mean that all is well."""
    gaps = (LintGap("/srv/repository/m/v2.sql", "too large"), LintGap("m/x.sql", "odd", 3, 4))
    (invocation,) = log(gaps=gaps, error="it broke")["invocations"]
    told = invocation["toolExecutionNotifications"]
    assert [each["message"]["text"] for each in told] == [
        "not linted: too large",
        "not linted: odd",
        "it broke",
    ]
    assert "region" not in told[0]["locations"][0]["physicalLocation"]
    assert told[1]["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 3,
        "startColumn": 4,
    }


def test_a_failure_with_a_place_is_a_result():
    """Such as a syntax error that `validate` found."""
    failure = Failure("SyntaxError", "no such word", hint="mend it", file="m/v1.sql", line=2)
    run = log(failure=failure, outcome=Outcome.BLOCKED, code=2)
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("SyntaxError", "error")
    assert result["message"] == {"text": "no such word\nmend it"}
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}
    assert run["tool"]["driver"]["rules"] == [{"id": "SyntaxError", "name": "SyntaxError"}]
    assert run["invocations"][0]["executionSuccessful"] is False


def test_a_failure_without_a_place_is_a_notification():
    """The tool could not do its work."""
    failure = Failure("LinterFailed", "it is broken")
    run = log(failure=failure, outcome=Outcome.FAILED, code=1)
    (invocation,) = run["invocations"]
    assert run["results"] == []
    assert invocation["executionSuccessful"] is False
    assert invocation["exitCode"] == 1
    (told,) = invocation["toolExecutionNotifications"]
    assert told == {"level": "error", "message": {"text": "it is broken [LinterFailed]"}}


def test_a_refusal_by_findings_is_not_told_twice():
    """It names the first of them as its place."""
    failure = Failure("LintRefused", "the linter refuses", file="m/v1.sql", line=3)
    run = log(findings=(finding(),), failure=failure, outcome=Outcome.BLOCKED, code=3)
    assert [each["ruleId"] for each in run["results"]] == ["ban-drop-table"]
    assert run["invocations"][0]["executionSuccessful"] is True


@pytest.mark.parametrize("text", ['"', "\\", "\n", "\x00", "</script>", "😀"])
def test_any_text_is_carried(text):
    """It is JSON, whatever a message holds."""
    failure = Failure("SyntaxError", text, file="m/v1.sql")
    (result,) = log(failure=failure, outcome=Outcome.BLOCKED)["results"]
    assert result["message"] == {"text": text}
