"""What is recorded in the history without running anything: baselines and agreed edits.

Pure: it decides which rows there would be, or why there may be none. The history is only
added to, so what is recorded here cannot be taken back; a dry run shows it first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dbmigrate.api.report.amendment import Amendment, AmendmentAction
from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.migrations.applied import BASELINE, AppliedMigration, edited
from dbmigrate.migrations.source import MigrationFile, Source
from dbmigrate.migrations.version import Version

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Amend:
    """What `baseline`, `repair`, `adopt` and `resolve` are asked to record."""

    reason: str = ""
    """Why, in a person's words; recorded."""
    dry_run: bool = False
    """Nothing is recorded: only told."""
    correct: bool = False
    """Of a baseline: it replaces another one, upon which nothing has run yet."""
    versions: tuple[Version, ...] = ()
    """Of a repair: these and no others."""
    everything: bool = False
    """Of a repair: every edited file."""
    tool: str = ""
    """Of an adoption: the other tool, where it is not to be found out."""
    table: str = ""
    """Of an adoption: the other tool's table, where it is not the usual one."""
    map_file: Path | None = None
    """Of an adoption: which file stands for which of the other tool's migrations."""
    write_map: Path | None = None
    """Of an adoption: where a map is proposed."""
    originals: Path | None = None
    """Of an adoption: the folder of the tool's own files, to compare with."""
    accept_edited: bool = False
    """Of an adoption: files may differ from what the tool ran."""
    decision: str = ""
    """Of a resolve: `done`, `again` or `abandon`."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A file that is recorded as applied, or as agreed on, and its rollback."""

    file: MigrationFile
    rollback: MigrationFile | None
    replaces: AppliedMigration | None = None
    """Of a repair: what the history has had until now."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a baseline changes; nothing when the same one is recorded already."""

    recorded: tuple[Recorded, ...] = ()
    """Files that count as applied from now on, oldest first."""
    withdrawn: tuple[AppliedMigration, ...] = ()
    """Of another baseline, which said too much: they are pending again, newest first."""


def plan_baseline(
    source: Source,
    applied: Sequence[AppliedMigration],
    version: Version,
    *,
    correct: bool = False,
) -> Baseline:
    """The files that a baseline records: all up to that version.

    Args:
        source: the files.
        applied: what is applied.
        version: what the database has already.
        correct: another baseline may be replaced, if nothing has run since.

    Raises:
        UsageError: the version is not in the source (UnknownVersion).
        RefusedError: something is applied already (HistoryNotEmpty), or the same baseline
            was recorded of other files (ChecksumMismatch).
    """
    if version not in source.by_version:
        known = f"the newest is {source.latest}" if source.latest else "it has no migration at all"
        raise UsageError(
            f"version {version} is not in the source; {known}",
            code="UnknownVersion",
            hint="a baseline names the version that the database has already",
        )
    files = [file for file in source.migrations if file.version <= version]
    before = {each.version: each for each in applied if each.origin == BASELINE}
    if not before and applied:
        raise RefusedError(
            f"the history has applied migrations already ({_some(applied)}), so there is nothing "
            "to begin with a baseline",
            code="HistoryNotEmpty",
            hint="`dbmigrate status` shows them, `dbmigrate up` goes on from there",
        )
    _require_same_files(before, files)
    wanted = {file.version for file in files}
    if before and before.keys() != wanted:
        _require_correctable(before, applied, version, correct=correct)
    return Baseline(
        tuple(
            Recorded(file, source.rollbacks.get(file.version))
            for file in files
            if file.version not in before
        ),
        tuple(before[each] for each in sorted(before.keys() - wanted, reverse=True)),
    )


def _some(applied: Sequence[AppliedMigration]) -> str:
    names = ", ".join(str(each.version) for each in applied[:_SHOWN])
    return names if len(applied) <= _SHOWN else f"{names} and {len(applied) - _SHOWN} more"


def _require_correctable(
    before: Mapping[Version, AppliedMigration],
    applied: Sequence[AppliedMigration],
    version: Version,
    *,
    correct: bool,
) -> None:
    later = [each for each in applied if each.version not in before]
    if correct and not later:
        return
    hint = f"`dbmigrate up` goes on from {max(before)}"
    if not later:
        hint += "; --correct replaces a baseline that was wrong, as long as nothing has run since"
    raise RefusedError(
        f"the history has a baseline already, at {max(before)}, not at {version}"
        + (f", and {_some(later)} applied since" if later else ""),
        code="HistoryNotEmpty",
        hint=hint,
    )


def _require_same_files(
    before: Mapping[Version, AppliedMigration], files: Sequence[MigrationFile]
) -> None:
    other = [
        file.file
        for file in files
        if file.version in before and before[file.version].text_checksum != file.text_checksum
    ]
    if other:
        raise RefusedError(
            f"the baseline was recorded of other files: {', '.join(other)} differ",
            code="ChecksumMismatch",
            hint="restore the files, or record what was agreed on by `dbmigrate repair`",
        )


def plan_repair(
    source: Source, applied: Sequence[AppliedMigration], amend: Amend
) -> tuple[Recorded, ...]:
    """The edits that a repair records: of the named versions, or of all.

    An edit is another text of the file, or another rollback than the database keeps (or
    one where it keeps none). Line ends and a byte order mark do not count.

    Returns:
        Nothing when all is as recorded.

    Raises:
        UsageError: a named version is not applied or not in the source (UnknownVersion).
    """
    by_version = {each.version: each for each in applied}
    for version in amend.versions:
        if version not in by_version or version not in source.by_version:
            where = "in the source" if version in by_version else "applied"
            raise UsageError(
                f"version {version} is not {where}, so it cannot be repaired",
                code="UnknownVersion",
                hint="`dbmigrate status` lists the versions",
            )
    changed = {each.version for each, _ in edited(source, applied)}
    return tuple(
        Recorded(source.by_version[each.version], source.rollbacks.get(each.version), each)
        for each in sorted(applied, key=lambda each: each.version)
        if (not amend.versions or each.version in amend.versions)
        and (each.version in changed or _has_other_rollback(source, each))
    )


def _has_other_rollback(source: Source, each: AppliedMigration) -> bool:
    rollback = source.rollbacks.get(each.version)
    return (
        each.version in source.by_version
        and rollback is not None
        and each.rollback_checksum not in (rollback.checksum, rollback.text_checksum)
    )


def require_choice(found: Sequence[Recorded], amend: Amend) -> None:
    """Refuse to repair what nobody has named.

    Raises:
        UsageError: neither versions nor `everything` were given (RepairNotChosen).
    """
    if not found or amend.versions or amend.everything or amend.dry_run:
        return
    raise UsageError(
        "these were edited after they were applied:\n" + "\n".join(map(_edit, found)),
        code="RepairNotChosen",
        hint="name their versions, or say --all, once the edit is agreed on",
    )


def _edit(each: Recorded) -> str:
    """One line about an edit."""
    old = each.replaces.checksum if each.replaces is not None else ""
    if old != each.file.checksum:
        return f"  {each.file.file}: recorded {old}, now {each.file.checksum}"
    rollback = each.rollback.file if each.rollback is not None else ""
    return f"  {rollback}: the database keeps another rollback, or none"


def require_reason(amend: Amend) -> None:
    """Refuse a repair without a reason.

    Raises:
        UsageError: code NoReason.
    """
    if not amend.reason.strip() and not amend.dry_run:
        raise UsageError(
            "a repair is recorded with its reason",
            code="NoReason",
            hint='say why, and who agreed: --reason "typing error in a comment, agreed with …"',
        )


def report_of(action: AmendmentAction, recorded: Sequence[Recorded]) -> tuple[Amendment, ...]:
    """They, in the form of reports."""
    return tuple(
        Amendment(
            action=action,
            version=str(each.file.version),
            file=each.file.file,
            checksum=each.file.checksum,
            old_checksum="" if each.replaces is None else each.replaces.checksum,
            rollback="" if each.rollback is None else each.rollback.file,
        )
        for each in recorded
    )
