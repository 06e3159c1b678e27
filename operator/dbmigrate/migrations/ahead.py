"""A database that has what the source has not: which versions, and what it would take to go back.

Pure. An older release of an application, deployed again, meets a database that a newer one
has migrated. Nothing is undone by itself; what is said here lets a person decide.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbmigrate.api.report.history import AheadMigration
from dbmigrate.errors import RefusedError
from dbmigrate.migrations.applied import BASELINE, AppliedMigration
from dbmigrate.migrations.source import Source


def ahead_of(source: Source, applied: Sequence[AppliedMigration]) -> tuple[AppliedMigration, ...]:
    """Applied migrations that are newer than all of the source, oldest first."""
    latest = source.latest
    found = [each for each in applied if latest is None or each.version > latest]
    return tuple(sorted(found, key=lambda each: each.version))


def report_of(ahead: Sequence[AppliedMigration]) -> tuple[AheadMigration, ...]:
    """They, in the form of reports."""
    return tuple(
        AheadMigration(
            version=str(each.version),
            file=each.file,
            rollback_kept=each.rollback_checksum is not None,
            origin="" if each.origin == "run" else each.origin,
        )
        for each in ahead
    )


def way_back(source: Source, ahead: Sequence[AppliedMigration]) -> str:
    """What it would take to bring the database back to the source's newest version."""
    command = f"`dbmigrate to {source.latest}`" if source.latest else "`dbmigrate down 0`"
    baselined = [str(each.version) for each in ahead if each.origin == BASELINE]
    if baselined:
        return f"{', '.join(baselined)} came by a baseline, and dbmigrate does not undo that"
    without = [str(each.version) for each in ahead if each.rollback_checksum is None]
    if without:
        return (
            f"there is no way back: the database keeps no rollback of {', '.join(without)}; "
            "only a source that has both file and rollback can undo it"
        )
    undone = ", ".join(str(each.version) for each in reversed(ahead))
    target = source.latest or 0
    return (
        f"{command} would undo {undone} by the rollbacks that the database keeps, with the data in "
        f"what they remove: look first by `dbmigrate plan --target {target}`"
    )


def refuse_ahead(source: Source, ahead: Sequence[AppliedMigration]) -> RefusedError:
    """The refusal, with what it would take."""
    return RefusedError(
        describe(source, ahead),
        code="DatabaseAhead",
        hint=f"deploy the newer source; else {way_back(source, ahead)}",
    )


def describe(source: Source, ahead: Sequence[AppliedMigration]) -> str:
    """Which versions the database has more than the source, in one sentence."""
    names = ", ".join(f"{each.version} ({each.file}, {_kept(each)})" for each in ahead)
    return (
        f"the database is ahead of the source: it has {names}; "
        f"the source ends at {source.latest or 'nothing'}"
    )


def _kept(each: AppliedMigration) -> str:
    return "no rollback kept" if each.rollback_checksum is None else "rollback kept"
