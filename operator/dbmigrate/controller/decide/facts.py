"""What a runner's result says about the database, in the status's own words and bounds.

Facts do not depend on what is wanted now: a result of an older generation still tells where the
database stands.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from dbmigrate.api.databasemigration import DatabaseMigrationSpec, DatabaseMigrationStatus
from dbmigrate.api.lint import LintLevel, LintReport
from dbmigrate.api.report.history import MigrationRecord, UnfinishedFile
from dbmigrate.api.report.integrity import IntegrityReport
from dbmigrate.api.report.outcome import Failure
from dbmigrate.api.report.plan import Direction
from dbmigrate.api.report.result import RunResult
from dbmigrate.api.status.history import MigrationStatus, UnfinishedStatus
from dbmigrate.api.status.integrity import IntegrityResultStatus, IntegrityStatus
from dbmigrate.api.status.lint import LintFindingStatus, LintStatus
from dbmigrate.api.status.run import FailureStatus
from dbmigrate.controller.decide.advice import advice
from dbmigrate.controller.manifests.files import SOURCE_MOUNT
from dbmigrate.texts import cut

MESSAGE_LIMIT = 1024
_DETAIL_LIMIT = 512
_LINT_LIMIT = 200
_FINDINGS = 10
_MIGRATIONS = 50
_MOUNT = re.compile(rf"{SOURCE_MOUNT}/(?:[0-9]+|inline)/")
EMPTY_DATABASE = "0"
"""Current version of a database that has no migration."""


def known_facts(status: DatabaseMigrationStatus, result: RunResult) -> DatabaseMigrationStatus:
    """The status with what this result knows of the database; unchanged if it never asked."""
    if not result.database_known:
        return status
    update: dict[str, Any] = {
        "current_version": result.current_version or EMPTY_DATABASE,
        "pending": result.pending,
        "verified_at": result.finished_at,
        "unfinished": _unfinished(result.unfinished),
        "migrations": _migrations(status, result),
        "migrations_total": result.history_total,
    }
    if result.plan is not None:
        update["plan_hash"] = result.plan.hash
    return status.model_copy(update=update)


def _migrations(status: DatabaseMigrationStatus, result: RunResult) -> tuple[MigrationStatus, ...]:
    if not result.truncated:
        return tuple(_migration(record) for record in result.history[-_MIGRATIONS:])
    # The short form of a result leaves the history out: carry on from what was known.
    known = {migration.version: migration for migration in status.migrations}
    for record in result.applied:
        if record.type is Direction.ROLLBACK:
            known.pop(record.version, None)
        elif record.type is Direction.FORWARD:
            known[record.version] = _migration(record)
    return tuple(known.values())[-_MIGRATIONS:]


def _migration(record: MigrationRecord) -> MigrationStatus:
    return MigrationStatus(
        version=record.version,
        file=cut(record.file, 255),
        checksum=record.checksum,
        applied_at=record.applied_at,
        applied_by=cut(record.applied_by, 255) or None,
        execution_time_ms=record.execution_time_ms,
        git_commit_hash=record.git_commit_hash,
        plan_hash=record.plan_hash,
    )


def _unfinished(file: UnfinishedFile | None) -> UnfinishedStatus | None:
    if file is None:
        return None
    return UnfinishedStatus(
        file=cut(file.file, 255),
        version=cut(file.version, 64) or None,
        direction=file.direction.value,
        statements_done=file.statements_done,
        statement_in_doubt=file.statement_in_doubt or None,
        statement=cut(file.statement, 200) or None,
        applied_by=cut(file.applied_by, 255) or None,
    )


def failure_status(failure: Failure) -> FailureStatus:
    """A failure within the status's bounds; what is empty is left out."""
    return FailureStatus(
        code=failure.code,
        message=cut(_as_the_user_named_it(failure.message), MESSAGE_LIMIT),
        hint=cut(advice(failure), _DETAIL_LIMIT) or None,
        version=failure.version or None,
        file=cut(_as_the_user_named_it(failure.file), 255) or None,
        line=failure.line or None,
        column=failure.column or None,
        statement=failure.statement or None,
        sqlstate=failure.sqlstate or None,
        detail=cut(failure.detail, _DETAIL_LIMIT) or None,
        excerpt=cut(failure.excerpt, _DETAIL_LIMIT) or None,
        transient=failure.transient,
        touched=failure.touched,
    )


def placed(failure: FailureStatus) -> str:
    """The failure's message behind its file and line, which are said once."""
    if not failure.file or not failure.line:
        return failure.message
    place = f"{failure.file}:{failure.line}"
    if failure.message.startswith(place):
        return failure.message
    return f"{place}: {failure.message.removeprefix(f'{failure.file}: ')}"


def _as_the_user_named_it(text: str) -> str:
    """Text in which files bear the names they have in a ConfigMap, not those of their mounts."""
    return _MOUNT.sub("", text)


def checks_hash(spec: DatabaseMigrationSpec) -> str:
    """What tells one list of integrity checks from another; empty for an empty list."""
    if not spec.integrity_checks:
        return ""
    data = [check.model_dump(mode="json", exclude_defaults=True) for check in spec.integrity_checks]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def lint_status(report: LintReport, *, checked_at: str) -> LintStatus:
    """What the linter found, within the status's bounds."""
    by_weight = sorted(report.findings, key=lambda each: each.level is not LintLevel.REFUSE)
    return LintStatus(
        checked_at=checked_at,
        level=report.level.value,
        summary=cut(report.summary, 120),
        refusing=report.refusing,
        reported=report.reported,
        gaps=report.gaps_total,
        error=cut(report.error, _DETAIL_LIMIT) or None,
        findings=tuple(
            LintFindingStatus(
                rule=cut(each.rule, 64),
                level=each.level.value,
                file=cut(_as_the_user_named_it(each.file), 255),
                line=each.line,
                column=each.column,
                message=cut(each.message, _LINT_LIMIT),
            )
            for each in by_weight[:_FINDINGS]
        ),
    )


def integrity_status(
    report: IntegrityReport, *, requested: str | None, spec_hash: str
) -> IntegrityStatus:
    """An integrity report within the status's bounds."""
    return IntegrityStatus(
        checked_at=report.checked_at,
        healthy=report.healthy,
        summary=cut(report.summary, 120),
        critical_failures=report.critical_failures,
        warnings=report.warnings,
        errors=report.errors,
        requested=requested,
        spec_hash=spec_hash or None,
        results=tuple(
            IntegrityResultStatus.model_validate(
                {
                    "check": each.check,
                    "status": each.status,
                    "severity": each.severity,
                    "details": cut(each.details, _DETAIL_LIMIT),
                    "affected_records": each.affected_records,
                }
            )
            for each in report.results[:50]
            if each.status in ("PASS", "FAIL", "ERROR")
        ),
    )
