"""What would run: the source and the history compared, and the answer's hash.

Pure: the same source, history and target give the same plan and the same hash,
wherever and whenever it is computed. A plan that cannot be kept is not made: an
edited file, a missing rollback, a database ahead of the source are refusals that
name every file concerned, before anything has run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from dbmigrate.api.report.plan import Direction, PlanReport, PlanStep
from dbmigrate.api.rules import DatabaseAhead, OutOfOrder, PlanRules
from dbmigrate.errors import Location, RefusedError, UsageError
from dbmigrate.migrations.ahead import ahead_of, describe, refuse_ahead
from dbmigrate.migrations.applied import (
    BASELINE,
    AppliedMigration,
    newest,
    pending,
    verify_checksums,
)
from dbmigrate.migrations.files import MigrationFile, RepeatableFile, VerifyFile
from dbmigrate.migrations.repeatables import LastRun, due
from dbmigrate.migrations.source import Source
from dbmigrate.migrations.version import Version

ZERO = Version(0, 0, 0)
"""The version before the first: ``down 0`` rolls back everything. No migration may have it."""
_DEFAULT: Final = PlanRules()


@dataclass(frozen=True)
class Plan:
    """Files to run in this order, and what the database's version is before and after."""

    direction: Direction
    from_version: Version | None
    to_version: Version | None
    steps: tuple[MigrationFile, ...]
    repeatables: tuple[RepeatableFile, ...] = ()
    """What runs behind the steps, because it has changed."""
    verifies: Mapping[Version, tuple[VerifyFile, ...]] = field(default_factory=dict)
    """What is asked behind each step, and decides whether it stays."""
    warnings: tuple[str, ...] = ()
    """What a reader should know before it runs. No part of the hash."""

    @cached_property
    def late(self) -> tuple[MigrationFile, ...]:
        """Steps that run out of order: behind newer ones, of this plan or applied already."""
        if self.direction is Direction.ROLLBACK:
            return ()
        found: list[MigrationFile] = []
        highest = self.from_version
        for step in self.steps:
            if highest is not None and step.version < highest:
                found.append(step)
            else:
                highest = step.version
        return tuple(found)

    def beginning_with(self, file: MigrationFile, rule: OutOfOrder) -> Plan:
        """The same steps, with one of them first that was begun already."""
        late = [step.file for step in self.steps if step.version < file.version]
        warnings = tuple(
            f"{each} runs out of order: after {file.version}, which was begun already"
            for each in late
            if rule is OutOfOrder.WARN
        )
        steps = (file, *(step for step in self.steps if step is not file))
        return replace(self, steps=steps, warnings=(*self.warnings, *warnings))

    @cached_property
    def report(self) -> PlanReport:
        """The plan in the form that is shown and sent."""
        late = {step.version for step in self.late}
        return PlanReport(
            direction=self.direction,
            from_version=_text(self.from_version),
            to_version=_text(self.to_version),
            hash=self.hash,
            steps=tuple(
                PlanStep(
                    str(step.version),
                    step.file,
                    step.checksum,
                    self.direction,
                    out_of_order=step.version in late,
                )
                for step in self.steps
            ),
            repeatables=tuple(
                PlanStep("", each.file, each.checksum, Direction.REPEATABLE)
                for each in self.repeatables
            ),
        )

    @property
    def files(self) -> tuple[MigrationFile | RepeatableFile, ...]:
        """All that runs, in order."""
        return (*self.steps, *self.repeatables)

    @cached_property
    def hash(self) -> str:
        """See `plan_hash`."""
        steps = [(step.version, step.checksum) for step in self.steps]
        repeatables = [(each.file, each.checksum) for each in self.repeatables]
        return plan_hash(
            self.direction,
            self.from_version,
            self.to_version,
            steps,
            repeatables=repeatables,
            verifies=self.verifies,
        )


def plan_hash(  # noqa: PLR0913 -- what a plan is made of
    direction: Direction,
    from_version: Version | None,
    to_version: Version | None,
    steps: Iterable[tuple[Version, str]],
    *,
    repeatables: Iterable[tuple[str, str]] = (),
    verifies: Mapping[Version, Sequence[VerifyFile]] | None = None,
) -> str:
    """SHA-256 over direction, from, to, and what runs: 64 hexadecimal digits.

    Of each step it covers the version, the file's checksum, and in a forward plan those of its
    verifications; of repeatable files the name and the checksum. Other names are left out:
    what is approved is what runs.
    """
    asked = (verifies or {}) if direction is Direction.FORWARD else {}
    content: dict[str, object] = {
        "direction": direction.value,
        "from": _text(from_version),
        "to": _text(to_version),
        "steps": [
            [str(version), checksum, *(each.checksum for each in asked.get(version, ()))]
            for version, checksum in steps
        ],
    }
    if again := [[file, checksum] for file, checksum in repeatables]:
        content["repeatables"] = again
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _text(version: Version | None) -> str | None:
    return None if version is None else str(version)


def plan_forward(
    source: Source,
    applied: Sequence[AppliedMigration],
    target: Version | None = None,
    rules: PlanRules = _DEFAULT,
    last_runs: Mapping[str, LastRun] | None = None,
) -> Plan:
    """The plan of ``up``: every pending migration up to the target (None: the latest).

    Repeatable files follow when nothing of the source is left pending.

    Raises:
        RefusedError: an applied file was edited (ChecksumMismatch) or is missing
            (MissingMigration), the database is ahead of the source (DatabaseAhead), or a
            pending version is older than the current one (OutOfOrder); the last two
            unless the rules have it otherwise.
        UsageError: the target is no version of the source (UnknownVersion).
    """
    _require_known(target, source, applied)
    verify_checksums(source, applied)
    warnings = list(_require_files(source, applied, rules.database_ahead))
    current = newest(applied)
    steps = pending(source, applied, target)
    to_version = max((each.version for each in steps), default=None)
    if current is not None and (to_version is None or to_version < current):
        to_version = current
    plan = Plan(Direction.FORWARD, current, to_version, steps, verifies=source.verifies)
    if len(steps) == len(pending(source, applied)):  # else they may need what is left out
        plan = replace(plan, repeatables=due(source.repeatables, last_runs or {}))
    if plan.late and rules.out_of_order is OutOfOrder.REFUSE:
        raise _out_of_order(plan)
    if rules.out_of_order is OutOfOrder.WARN:
        warnings += [
            f"{each.file} runs out of order: after {current}, which is applied already"
            for each in plan.late
        ]
    return replace(plan, warnings=tuple(warnings))


def plan_rollback(source: Source, applied: Sequence[AppliedMigration], target: Version) -> Plan:
    """The plan of ``down``: roll back everything after the target.

    The last applied is the first undone: one that ran out of order may build upon a newer
    version. A rollback comes from the source; when the source has none (an older release
    was deployed again), the text kept in the database serves.

    Args:
        source: the files.
        applied: what is applied, in the order in which it was.
        target: what stays: this version and the older ones.

    Raises:
        RefusedError: an applied file was edited, a version came by a baseline
            (BelowBaseline), or a rollback is nowhere to be found (RollbackMissing,
            naming each).
        UsageError: the target is not applied (UnknownVersion).
    """
    if target != ZERO and all(each.version != target for each in applied):
        raise UsageError(
            f"version {target} is not applied, so there is no way back to it",
            code="UnknownVersion",
            hint="`dbmigrate status` lists what is applied; `down 0` rolls back everything",
        )
    verify_checksums(source, applied)
    undone = [each for each in reversed(applied) if each.version > target]
    _require_not_baselined(undone)
    steps: list[MigrationFile] = []
    missing: list[str] = []
    for each in undone:
        rollback = source.rollbacks.get(each.version) or each.rollback
        if rollback is None:
            missing.append(str(each.version))
        else:
            steps.append(rollback)
    if missing:
        raise RefusedError(
            f"no rollback for {', '.join(missing)}: neither in the source nor kept in the database",
            code="RollbackMissing",
            hint=f"add rollbacks/v{missing[0]}_rollback.sql",
        )
    to_version = max((e.version for e in applied if e.version <= target), default=None)
    warnings = tuple(_staying(applied, target))
    current = newest(applied)
    return Plan(Direction.ROLLBACK, current, to_version, tuple(steps), warnings=warnings)


def plan_to(
    source: Source,
    applied: Sequence[AppliedMigration],
    target: Version,
    rules: PlanRules = _DEFAULT,
    last_runs: Mapping[str, LastRun] | None = None,
) -> Plan:
    """The plan of ``to VERSION``: forward or back, whichever leads there.

    Raises:
        RefusedError: as `plan_forward` and `plan_rollback`.
        UsageError: the version is known neither to the source nor to the database.
    """
    current = newest(applied)
    if current is not None and target < current:
        return plan_rollback(source, applied, target)
    return plan_forward(source, applied, target, rules, last_runs)


def _require_known(
    target: Version | None, source: Source, applied: Sequence[AppliedMigration]
) -> None:
    if target is None or target == ZERO or target in source.by_version:
        return
    if any(each.version == target for each in applied):
        return
    known = f"the newest is {source.latest}" if source.latest else "it has no migration at all"
    raise UsageError(
        f"version {target} is not in the source; {known}",
        code="UnknownVersion",
        hint="`dbmigrate status` lists the versions",
    )


def _require_files(
    source: Source, applied: Sequence[AppliedMigration], rule: DatabaseAhead
) -> Iterator[str]:
    """Refuse a source that lacks what is applied, or yield a warning where the rule allows it."""
    ahead = ahead_of(source, applied)
    if ahead and rule is DatabaseAhead.REFUSE:
        raise refuse_ahead(source, ahead)
    missing = sorted(
        (each for each in applied if each.version not in source.by_version and each not in ahead),
        key=lambda each: each.version,
    )
    if missing:
        names = ", ".join(f"{each.version} ({each.file})" for each in missing)
        raise RefusedError(
            f"applied, but not in the source: {names}",
            code="MissingMigration",
            hint="put the file back as it was applied",
        )
    if ahead:
        yield describe(source, ahead)


def _out_of_order(plan: Plan) -> RefusedError:
    names = ", ".join(step.file for step in plan.late)
    current = plan.from_version
    return RefusedError(
        f"out of order: {names} would run after {current}, which is applied already",
        code="OutOfOrder",
        hint=f"rename it to a version above {current}; or, if it depends on nothing newer, let "
        "it run late by --out-of-order warn",
        location=Location(plan.late[0].path or plan.late[0].file),
    )


def _require_not_baselined(undone: Sequence[AppliedMigration]) -> None:
    baselined = sorted(each.version for each in undone if each.origin == BASELINE)
    if baselined:
        raise RefusedError(
            f"{', '.join(map(str, baselined))} came by a baseline: dbmigrate has not run it, and "
            "does not undo it",
            code="BelowBaseline",
            hint=f"the way back ends at {baselined[-1]}",
        )


def _staying(applied: Sequence[AppliedMigration], target: Version) -> Iterator[str]:
    """A warning for each migration that stays, though it was applied after one that goes."""
    gone: list[AppliedMigration] = []
    for each in applied:
        if each.version > target:
            gone.append(each)
        elif gone:
            versions = ", ".join(str(other.version) for other in gone)
            yield (
                f"{each.file} stays, and was applied after {versions}, which is rolled back: "
                "look whether it needs what goes"
            )
