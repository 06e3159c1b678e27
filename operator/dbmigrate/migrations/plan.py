"""What would run: the source and the history compared, and the answer's hash.

Pure: the same source, history and target give the same plan and the same hash,
wherever and whenever it is computed. A plan that cannot be kept is not made: an
edited file, a missing rollback, a database ahead of the source are refusals that
name every file concerned, before anything has run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from dbmigrate.api.report import Direction, PlanReport, PlanStep
from dbmigrate.errors import Location, RefusedError, UsageError
from dbmigrate.migrations.source import MigrationFile, Source
from dbmigrate.migrations.version import Version

ZERO = Version(0, 0, 0)
"""The version before the first: ``down 0`` rolls back everything. No migration may have it."""


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """A migration that the database's history says is applied now."""

    version: Version
    file: str
    checksum: str
    text_checksum: str
    rollback: MigrationFile | None = None
    """The rollback as it was stored in the database when the migration was applied."""


@dataclass(frozen=True)
class Plan:
    """Files to run in this order, and what the database's version is before and after."""

    direction: Direction
    from_version: Version | None
    to_version: Version | None
    steps: tuple[MigrationFile, ...]

    @cached_property
    def report(self) -> PlanReport:
        """The plan in the form that is shown and sent."""
        return PlanReport(
            direction=self.direction,
            from_version=_text(self.from_version),
            to_version=_text(self.to_version),
            hash=self.hash,
            steps=tuple(
                PlanStep(str(step.version), step.file, step.checksum, self.direction)
                for step in self.steps
            ),
        )

    @cached_property
    def hash(self) -> str:
        """See `plan_hash`."""
        steps = [(step.version, step.checksum) for step in self.steps]
        return plan_hash(self.direction, self.from_version, self.to_version, steps)


def plan_hash(
    direction: Direction,
    from_version: Version | None,
    to_version: Version | None,
    steps: Iterable[tuple[Version, str]],
) -> str:
    """SHA-256 over direction, from, to, and each step's version and file checksum.

    64 hexadecimal digits. File names are left out: what is approved is what runs.
    """
    content = {
        "direction": direction.value,
        "from": _text(from_version),
        "to": _text(to_version),
        "steps": [[str(version), checksum] for version, checksum in steps],
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _text(version: Version | None) -> str | None:
    return None if version is None else str(version)


def newest(applied: Sequence[AppliedMigration]) -> Version | None:
    """The current version: the highest that is applied."""
    return max((each.version for each in applied), default=None)


def verify_checksums(source: Source, applied: Sequence[AppliedMigration]) -> None:
    """Refuse a source in which an applied file was edited.

    Line ends and a byte order mark do not count as an edit.

    Raises:
        RefusedError: code ChecksumMismatch, naming each file with both sums.
    """
    edited = [
        (each, file)
        for each in applied
        if (file := source.by_version.get(each.version)) is not None
        and file.checksum != each.checksum
        and file.text_checksum != each.text_checksum
    ]
    if not edited:
        return
    sums = "\n".join(
        f"  {file.file}: applied {each.checksum}, now {file.checksum}" for each, file in edited
    )
    raise RefusedError(
        f"an applied migration was edited afterwards:\n{sums}",
        code="ChecksumMismatch",
        hint="restore the file as it was applied, and put the change into a new migration",
        location=Location(edited[0][1].path or edited[0][1].file),
    )


def pending(
    source: Source, applied: Sequence[AppliedMigration], target: Version | None = None
) -> tuple[MigrationFile, ...]:
    """Migrations of the source that are not applied, up to the target, in order."""
    done = {each.version for each in applied}
    return tuple(
        file
        for file in source.migrations
        if file.version not in done and (target is None or file.version <= target)
    )


def plan_forward(
    source: Source, applied: Sequence[AppliedMigration], target: Version | None = None
) -> Plan:
    """The plan of ``up``: every pending migration up to the target (None: the latest).

    Raises:
        RefusedError: an applied file was edited (ChecksumMismatch) or is missing
            (MissingMigration), the database is ahead of the source (DatabaseAhead), or a
            pending version is older than the current one (OutOfOrder).
        UsageError: the target is no version of the source (UnknownVersion).
    """
    _require_known(target, source, applied)
    verify_checksums(source, applied)
    _require_files(source, applied)
    current = newest(applied)
    steps = pending(source, applied, target)
    late = [step for step in steps if current is not None and step.version < current]
    if late:
        names = ", ".join(step.file for step in late)
        raise RefusedError(
            f"out of order: {names} would run after {current}, which is applied already",
            code="OutOfOrder",
            hint=f"rename it to a version above {current}",
            location=Location(late[0].path or late[0].file),
        )
    to_version = steps[-1].version if steps else current
    return Plan(Direction.FORWARD, current, to_version, steps)


def plan_rollback(source: Source, applied: Sequence[AppliedMigration], target: Version) -> Plan:
    """The plan of ``down``: roll back everything after the target, newest first.

    A rollback comes from the source; when the source has none (an older release was
    deployed again), the text kept in the database serves.

    Raises:
        RefusedError: an applied file was edited, or a rollback is nowhere to be found
            (RollbackMissing, naming each).
        UsageError: the target is not applied (UnknownVersion).
    """
    if target != ZERO and all(each.version != target for each in applied):
        raise UsageError(
            f"version {target} is not applied, so there is no way back to it",
            code="UnknownVersion",
            hint="`dbmigrate status` lists what is applied; `down 0` rolls back everything",
        )
    verify_checksums(source, applied)
    undone = sorted(
        (each for each in applied if each.version > target),
        key=lambda each: each.version,
        reverse=True,
    )
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
    return Plan(Direction.ROLLBACK, newest(applied), to_version, tuple(steps))


def plan_to(source: Source, applied: Sequence[AppliedMigration], target: Version) -> Plan:
    """The plan of ``to VERSION``: forward or back, whichever leads there.

    Raises:
        RefusedError: as `plan_forward` and `plan_rollback`.
        UsageError: the version is known neither to the source nor to the database.
    """
    current = newest(applied)
    if current is not None and target < current:
        return plan_rollback(source, applied, target)
    return plan_forward(source, applied, target)


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


def _require_files(source: Source, applied: Sequence[AppliedMigration]) -> None:
    missing = sorted(
        (each for each in applied if each.version not in source.by_version),
        key=lambda each: each.version,
    )
    if not missing:
        return
    names = ", ".join(f"{each.version} ({each.file})" for each in missing)
    latest = source.latest
    if latest is None or missing[-1].version > latest:
        raise RefusedError(
            f"the database is ahead of the source: it has {names}; "
            f"the source ends at {latest or 'nothing'}",
            code="DatabaseAhead",
            hint="deploy the newer source, or roll back on purpose with `dbmigrate to VERSION`",
        )
    raise RefusedError(
        f"applied, but not in the source: {names}",
        code="MissingMigration",
        hint="put the file back as it was applied",
    )
