"""Another tool's migrations matched with our files, and what speaks against adopting them.

Pure. A migration is matched by a map that a person wrote, by its number, by its name, or by
its checksum; never by its mere place in the order: that is only proposed. Whatever is left
over, differs or is missing is a refusal that names it: a history that is half imported
would run files again or never.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dbmigrate.api.report.amendment import Amendment, AmendmentAction
from dbmigrate.errors import RefusedError
from dbmigrate.migrations.applied import AppliedMigration
from dbmigrate.migrations.foreign import ForeignHistory, ForeignMigration
from dbmigrate.migrations.matching import Adopted, Evidence, Matching
from dbmigrate.migrations.source import MigrationFile, Source
from dbmigrate.migrations.version import Version

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Adoption:
    """What would be recorded, and why it may not be."""

    rows: tuple[Adopted, ...]
    """In the order of their application."""
    problems: tuple[str, ...]
    """One line each; none when it may be recorded."""
    proposal: tuple[tuple[ForeignMigration, MigrationFile | None], ...]
    """A map of everything, with what is not matched put beside what is left, by order."""


def report_of(rows: Sequence[Adopted]) -> tuple[Amendment, ...]:
    """Rows in the form of reports."""
    return tuple(
        Amendment(
            action=AmendmentAction.ADOPT,
            version=str(each.record.file.version),
            file=each.record.file.file,
            checksum=each.record.file.checksum,
            rollback="" if each.record.rollback is None else each.record.rollback.file,
            foreign=each.foreign_id,
            proof=each.proof,
            applied_at=(each.last.applied_at or "") if each.last else "",
        )
        for each in rows
    )


@dataclass(frozen=True, slots=True)
class Accept:
    """What an adoption may let be."""

    edited: bool = False
    """A file may differ from what the tool ran."""
    holes: bool = False
    """Older files that the tool has not applied may stay pending."""


def plan_adoption(
    source: Source,
    history: ForeignHistory,
    mapping: Mapping[str, Version],
    evidence: Evidence | None = None,
    accept: Accept | None = None,
) -> Adoption:
    """Match the migrations with the files.

    Args:
        source: the files.
        history: the other tool's.
        mapping: versions by the tool's keys or groups; keys that the history has not are
            for other databases.
        evidence: what there is to compare by.
        accept: what is let be; nothing when it is not given.

    Raises:
        SourceError: a file that is compared cannot be read as SQL.
    """
    accept = accept or Accept()
    matching = Matching(source, history, mapping, evidence or Evidence(), accept.edited)
    matching.match()
    if not accept.holes:
        matching.find_holes()
    return Adoption(tuple(matching.rows()), tuple(matching.problems), tuple(matching.proposal()))


def remaining(adoption: Adoption, applied: Sequence[AppliedMigration]) -> tuple[Adopted, ...]:
    """What of it is not recorded yet.

    Raises:
        RefusedError: the history has something else (HistoryNotEmpty).
    """
    wanted = {each.record.file.version: each for each in adoption.rows}
    others = [
        str(each.version)
        for each in applied
        if each.version not in wanted
        or each.origin != wanted[each.version].origin
        or each.text_checksum != wanted[each.version].record.file.text_checksum
    ]
    recorded = {each.version for each in applied}
    rest = tuple(each for each in adoption.rows if each.record.file.version not in recorded)
    if others and rest:
        raise RefusedError(
            f"the history has migrations already that were not adopted so: {', '.join(others)}",
            code="HistoryNotEmpty",
            hint="adopt before the first `up`; `dbmigrate status` shows what is there",
        )
    return rest


def refuse(adoption: Adoption, history: ForeignHistory) -> None:
    """Refuse an adoption that has problems.

    Raises:
        RefusedError: code AdoptionMismatch, naming each.
    """
    if not adoption.problems:
        return
    lines = [f"- {each}" for each in adoption.problems[:_SHOWN]]
    if len(adoption.problems) > _SHOWN:
        lines.append(f"- and {len(adoption.problems) - _SHOWN} more")
    raise RefusedError(
        f"the history of {history.tool} in {history.table} does not match the files; nothing "
        "was recorded:\n" + "\n".join(lines),
        code="AdoptionMismatch",
        hint="mend the files or their versions; or say which file stands for which migration: "
        "--write-map FILE proposes it, --map FILE takes it",
    )
