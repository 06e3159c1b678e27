"""What a runner's linter found is in the status, and an Event tells it once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.controller.situations import (
    after_run,
    apply,
    ended,
    finish,
    job_of,
    settled,
    standing,
    succeeded,
)

from dbmigrate.api.lint import LintFinding, LintLevel, LintReport
from dbmigrate.api.names import NEXT_STEP, Reason
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.controller.decide import decide
from dbmigrate.controller.observation import Observation


def finding(number: int = 1, level: LintLevel = LintLevel.REPORT) -> LintFinding:
    """A finding in a mounted file."""
    return LintFinding(
        "ban-drop-table",
        level,
        f"/source/0/v1.{number}.0_users.sql",
        number,
        3,
        number,
        9,
        "x" * 1000,
    )


def report(*findings: LintFinding, **changes: Any) -> LintReport:
    """A report with these findings."""
    refusing = sum(each.level is LintLevel.REFUSE for each in findings)
    whole = LintReport(
        "squawk",
        LintLevel.REPORT,
        files=2,
        findings=findings,
        refusing=refusing,
        reported=len(findings) - refusing,
    )
    return replace(whole, **changes)


def lint_events(observation: Observation) -> list[tuple[str, str, str]]:
    """The Events about linting that a decision tells."""
    return [
        (each.type.value, each.reason, each.message)
        for each in decide(observation).events
        if "Lint" in each.reason
    ]


def test_findings_are_in_the_status_and_told_by_an_event() -> None:
    """With the file as the user named it; the migration has succeeded all the same."""
    seen = after_run(succeeded(lint=report(finding())))
    status = decide(seen).status
    assert standing(status) == ("Succeeded", "Current", "UpToDate")
    assert status.lint is not None
    assert status.lint.summary == "1 finding to report in 2 files"
    assert (status.lint.refusing, status.lint.reported, status.lint.level) == (0, 1, "report")
    (found,) = status.lint.findings
    assert (found.rule, found.level) == ("ban-drop-table", "report")
    assert (found.file, found.line, found.column) == ("v1.1.0_users.sql", 1, 3)
    assert lint_events(seen) == [
        (
            "Warning",
            "LintFindings",
            "1 finding to report in 2 files: v1.1.0_users.sql:1 ban-drop-table",
        )
    ]


def test_the_status_has_the_first_findings_and_short_texts() -> None:
    """Those that refuse before others; the log has them all."""
    findings = [*map(finding, range(1, 50)), finding(50, LintLevel.REFUSE)]
    status = decide(after_run(succeeded(lint=report(*findings)))).status
    assert status.lint is not None
    assert len(status.lint.findings) == 10
    assert status.lint.findings[0].level == "refuse"
    assert all(len(each.message) <= 200 for each in status.lint.findings)
    assert status.lint.reported == 49


def test_a_clean_report_is_in_the_status_and_no_event() -> None:
    """That it was looked at is worth knowing."""
    seen = after_run(succeeded(lint=report()))
    lint = decide(seen).status.lint
    assert lint is not None
    assert lint.summary == "no findings to report in 2 files"
    assert lint_events(seen) == []


def test_a_linter_that_did_not_work_is_told() -> None:
    """Silence would look like no findings."""
    seen = after_run(succeeded(lint=report(error="it broke", files=0)))
    lint = decide(seen).status.lint
    assert lint is not None
    assert (lint.error, lint.summary) == ("it broke", "not linted")
    assert lint_events(seen) == [("Warning", "NotLinted", "nothing was linted: it broke")]


def test_a_refusal_blocks_with_its_places_and_what_to_do() -> None:
    """Its Event is the failure's; nothing is tried again by itself."""
    refused = replace(
        ended(Outcome.BLOCKED, "LintRefused"), lint=report(finding(1, LintLevel.REFUSE))
    )
    seen = after_run(refused)
    decision = decide(seen)
    assert standing(decision.status) == ("Blocked", "Failed", "LintRefused")
    assert decision.status.message is not None
    assert NEXT_STEP[Reason.LINT_REFUSED] in decision.status.message
    assert decision.status.lint is not None
    assert decision.status.lint.refusing == 1
    assert [each.reason for each in decision.events] == ["LintRefused"]
    assert decision.create is None


def test_the_same_findings_again_are_no_news() -> None:
    """A run that is tried again tells them once."""
    lint = report(finding())
    first = settled(replace(ended(Outcome.FAILED, "ConnectionLost", transient=True), lint=lint))
    assert first.status.lint is not None
    again = replace(first, now=first.now.replace(hour=13))
    decision = decide(again)
    assert decision.create is not None
    running = apply(again, decision)
    job = finish(job_of(decision, at=again.now), succeeded(lint=lint))
    assert lint_events(replace(running, jobs=(*first.jobs, job))) == []


def test_a_run_that_linted_nothing_leaves_what_was_known() -> None:
    """Nothing was pending, or the way led back."""
    seen = settled(succeeded(lint=report(finding())))
    assert seen.status.lint is not None
    renewed = replace(seen, generation=2)
    decision = decide(renewed)
    assert decision.create is not None
    running = apply(renewed, decision)
    job = finish(job_of(decision), succeeded())
    status = decide(replace(running, jobs=(*seen.jobs, job))).status
    assert status.lint == seen.status.lint
