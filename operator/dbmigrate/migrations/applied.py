"""What the history says is applied, beside the source: the newest, the pending, the edited.

Pure. What follows from it is `dbmigrate.migrations.plan`'s matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dbmigrate.errors import Location, RefusedError
from dbmigrate.migrations.source import MigrationFile, Source
from dbmigrate.migrations.version import Version

RUN = "run"
"""Origin of a migration that dbmigrate executed."""
BASELINE = "baseline"
"""Origin of one that was recorded as being there already."""
ADOPTED = "adopted:"
"""Beginning of the origin of one that another tool executed; the tool's name follows."""


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """A migration that the database's history says is applied now.

    File and checksums are those that the newest repair has agreed to, where there is one.
    """

    version: Version
    file: str
    checksum: str
    text_checksum: str
    rollback: MigrationFile | None = None
    """The rollback as it was stored in the database when the migration was applied; read
    only where it is needed."""
    origin: str = RUN
    """Who executed it: `RUN`, `BASELINE`, or `ADOPTED` and a tool's name."""
    rollback_checksum: str | None = None
    """Of the rollback that the database keeps; None when it keeps none."""


def newest(applied: Sequence[AppliedMigration]) -> Version | None:
    """The current version: the highest that is applied."""
    return max((each.version for each in applied), default=None)


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


def edited(
    source: Source, applied: Sequence[AppliedMigration]
) -> Iterator[tuple[AppliedMigration, MigrationFile]]:
    """Applied migrations whose file is another one now; line ends and a byte order mark aside."""
    for each in applied:
        file = source.by_version.get(each.version)
        if (
            file is not None
            and file.checksum != each.checksum
            and file.text_checksum != each.text_checksum
        ):
            yield each, file


def verify_checksums(source: Source, applied: Sequence[AppliedMigration]) -> None:
    """Refuse a source in which an applied file was edited.

    Line ends and a byte order mark do not count as an edit.

    Raises:
        RefusedError: code ChecksumMismatch, naming each file with both sums.
    """
    found = list(edited(source, applied))
    if not found:
        return
    sums = "\n".join(
        f"  {file.file}: applied {each.checksum}, now {file.checksum}" for each, file in found
    )
    raise RefusedError(
        f"an applied migration was edited afterwards:\n{sums}",
        code="ChecksumMismatch",
        hint="restore the file as it was applied, and put the change into a new migration; "
        "`dbmigrate repair VERSION --reason TEXT` records an edit that was agreed on",
        location=Location(found[0][1].path or found[0][1].file),
    )
