"""The result shortened to what a container's termination message holds."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

from dbmigrate.api.lint import LintLevel, LintReport
from dbmigrate.api.report.integrity import IntegrityReport
from dbmigrate.api.report.lines import result_line
from dbmigrate.api.report.proof import ProofReport, ProofStatus
from dbmigrate.api.report.result import RunResult
from dbmigrate.texts import cut

TERMINATION_MESSAGE_LIMIT = 4096
"""Bytes that kubelet keeps of a container's termination message (Kubernetes manual)."""

T = TypeVar("T")


def termination_message(result: RunResult) -> bytes:
    """The result in at most `TERMINATION_MESSAGE_LIMIT` bytes, the least needed left out first.

    What is left out is said by `RunResult.truncated`. Outcome, exit code, versions and the
    failure's place and code always stay; texts are cut as far as it takes.
    """
    for each in _shorter_and_shorter(result):
        # A file's name may hold bytes that are no UTF-8; JSON has an escape for them.
        encoded = result_line(each).encode(errors="backslashreplace")
        if len(encoded) <= TERMINATION_MESSAGE_LIMIT:
            return encoded
    raise AssertionError("every text was cut, and still it is too long")


def _shorter_and_shorter(result: RunResult) -> Iterator[RunResult]:
    yield result
    result = dataclasses.replace(
        result,
        history=(),
        pending_versions=(),
        repeatables_due=result.repeatables_due[:1],
        lint=_brief_lint(result.lint, 10, 200),
        truncated=True,
    )
    yield result
    result = dataclasses.replace(
        result,
        plan=None,
        applied=result.applied[-5:],
        kept=result.kept[-5:],
        integrity=_brief(result.integrity, 5, 200),
        lint=_brief_lint(result.lint, 3, 100),
    )
    yield result
    yield dataclasses.replace(result, lint=_brief_lint(result.lint, 0, 0))
    result = dataclasses.replace(
        result,
        plan=None,
        applied=(),
        kept=(),
        restored=(),
        proof=_brief_proof(result.proof),
        ahead=(),
        amendments=(),
        integrity=_brief(result.integrity, 0, 0),
        lint=_brief_lint(result.lint, 0, 0),
    )
    for limit in (1000, 300, 150, 80, 40, 20, 10):
        yield _cut_texts(result, limit)


def _brief_proof(report: ProofReport | None) -> ProofReport | None:
    """Without what differs; with too many migrations only those that are not proved."""
    if report is None:
        return None
    bad = [each for each in report.migrations if each.status is not ProofStatus.PROVED][:5]
    short = tuple(dataclasses.replace(each, differences=(), failure=None) for each in bad)
    return dataclasses.replace(report, migrations=short)


def _brief(report: IntegrityReport | None, results: int, details: int) -> IntegrityReport | None:
    if report is None:
        return None
    kept = sorted(report.results, key=lambda each: each.status == "PASS")[:results]
    return dataclasses.replace(
        report,
        results=tuple(dataclasses.replace(r, details=cut(r.details, details)) for r in kept),
    )


def _brief_lint(report: LintReport | None, findings: int, text: int) -> LintReport | None:
    """The counts, and the first findings without their lines; the heaviest are kept."""
    if report is None:
        return None
    by_weight = sorted(report.findings, key=lambda each: each.level is not LintLevel.REFUSE)
    return dataclasses.replace(
        report,
        findings=tuple(
            dataclasses.replace(each, message=cut(each.message, text), help="", excerpt="")
            for each in by_weight[:findings]
        ),
        gaps=(),
        error=cut(report.error, 300),
    )


_NAMES = frozenset(
    {"command", "code", "sqlstate", "version", "current_version", "target_version", "finished_at"}
)
"""Fields that are names, not texts: half a name is another name."""
_NAME = 64
"""Characters that are kept of them in any case; our own are shorter."""


def _cut_texts(value: T, limit: int) -> T:
    """A report with each of its texts cut to so many characters, in what it contains too."""
    changes: dict[str, Any] = {}
    for each in dataclasses.fields(typing.cast("Any", value)):
        item = getattr(value, each.name)
        if dataclasses.is_dataclass(item):
            changes[each.name] = _cut_texts(item, limit)
        elif type(item) is str:
            changes[each.name] = cut(item, max(limit, _NAME) if each.name in _NAMES else limit)
    shorter: T = dataclasses.replace(typing.cast("Any", value), **changes)
    return shorter
