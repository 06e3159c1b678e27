"""A result as SARIF 2.1.0 (OASIS standard), for code scanning and editors. Pure.

What is found are the results of one run; what was not looked at, and a failure without a
place, are notifications, so that a reader can tell "clean" from "not looked at".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dbmigrate.api.lint import REFUSED_CODE, LintFinding, LintGap, LintLevel
from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.api.report.result import RunResult
from dbmigrate.lint.paths import relative
from dbmigrate.lint.rules import page

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT = "%SRCROOT%"


def sarif(result: RunResult, *, version: str, root: Path) -> str:
    """The whole file.

    Args:
        result: of a command.
        version: ours.
        root: the folder that paths are told from: the repository.
    """
    findings = result.lint.findings if result.lint else ()
    failure = result.failure
    placed = failure if failure and failure.file else None
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "dbmigrate",
                "version": version,
                "rules": list(_rules(findings, placed)),
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"uri": root.absolute().as_uri().rstrip("/") + "/"}},
        "invocations": [_invocation(result, root)],
        "results": [_finding(each, root) for each in findings],
    }
    if placed is not None and placed.code != REFUSED_CODE:  # its findings are there themselves
        run["results"].append(_failure(placed, root))
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, ensure_ascii=False, indent=2)


def _rules(findings: tuple[LintFinding, ...], failure: Failure | None) -> Iterator[dict[str, Any]]:
    for name in sorted({each.rule for each in findings}):
        yield {"id": name, "name": _pascal(name), "helpUri": page(name)}
    if failure is not None and failure.code != REFUSED_CODE:
        yield {"id": failure.code, "name": failure.code}


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _finding(finding: LintFinding, root: Path) -> dict[str, Any]:
    advice = f"\n{finding.help}" if finding.help else ""
    region = {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.end_line,
        "endColumn": finding.end_column,
    }
    return {
        "ruleId": finding.rule,
        "level": "error" if finding.level is LintLevel.REFUSE else "warning",
        "message": {"text": finding.message + advice},
        "locations": [_location(finding.file, region, root)],
    }


def _failure(failure: Failure, root: Path) -> dict[str, Any]:
    region = {"startLine": failure.line} if failure.line else {}
    if failure.column:
        region["startColumn"] = failure.column
    advice = f"\n{failure.hint}" if failure.hint else ""
    return {
        "ruleId": failure.code,
        "level": "error",
        "message": {"text": failure.message + advice},
        "locations": [_location(failure.file, region, root)],
    }


def _location(file: str, region: dict[str, int], root: Path) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": _artifact(file, root)}
    if region:
        physical["region"] = region
    return {"physicalLocation": physical}


def _artifact(file: str, root: Path) -> dict[str, str]:
    path = relative(file, root)
    if path is None:
        return {"uri": Path(file).absolute().as_uri()}
    return {"uri": quote(path), "uriBaseId": _ROOT}


def _invocation(result: RunResult, root: Path) -> dict[str, Any]:
    told = [_gap(each, root) for each in (result.lint.gaps if result.lint else ())]
    if result.lint is not None and result.lint.error:
        told.append({"level": "error", "message": {"text": result.lint.error}})
    failure = result.failure
    if failure is not None and not failure.file:
        text = f"{failure.message} [{failure.code}]"
        told.append({"level": "error", "message": {"text": text}})
    invocation: dict[str, Any] = {
        # What findings refuse was looked at to the end.
        "executionSuccessful": result.outcome is Outcome.SUCCEEDED
        or (failure is not None and failure.code == REFUSED_CODE),
        "exitCode": result.exit_code,
        "endTimeUtc": result.finished_at,
    }
    if told:
        invocation["toolExecutionNotifications"] = told
    return invocation


def _gap(gap: LintGap, root: Path) -> dict[str, Any]:
    region = {"startLine": gap.line, "startColumn": gap.column} if gap.line else {}
    return {
        "level": "warning",
        "message": {"text": f"not linted: {gap.reason}"},
        "locations": [_location(gap.file, region, root)],
    }
