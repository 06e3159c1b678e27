"""Which repeatable files run, and in which order; pure.

One runs when it never has, when it was changed since it last did, when a migration was rolled
back since (which may have taken its objects along), and when one that it declares to come after
runs. They run in name order, or as their headers say: ``-- dbmigrate: after=functions``.
"""

from __future__ import annotations

import graphlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dbmigrate.errors import Location, SourceError
from dbmigrate.migrations.directives import read_directives
from dbmigrate.migrations.files import RepeatableFile


@dataclass(frozen=True, slots=True)
class LastRun:
    """When a repeatable file was last run, as the history tells it."""

    id: int
    """Of the history's row."""
    checksum: str
    text_checksum: str
    is_stale: bool
    """A migration was rolled back since, or a later run of it was abandoned half-way."""


def due(
    files: Sequence[RepeatableFile], last_runs: Mapping[str, LastRun]
) -> tuple[RepeatableFile, ...]:
    """The files that run, in their order.

    Args:
        files: those of the source.
        last_runs: by the file's path within the source.

    Raises:
        SourceError: a header names a file that is not there, or they name each other in a
            circle (InvalidDirective).
    """
    after = _after(files)
    running: dict[str, RepeatableFile] = {}
    for each in _ordered(files, after):
        last = last_runs.get(each.file)
        if (
            last is None
            or _is_changed(each, last)
            or last.is_stale
            or any(path in running or last_runs[path].id > last.id for path in after[each.file])
        ):
            running[each.file] = each
    return tuple(running.values())


def _is_changed(file: RepeatableFile, last: LastRun) -> bool:
    return file.checksum != last.checksum and file.text_checksum != last.text_checksum


def _after(files: Sequence[RepeatableFile]) -> dict[str, frozenset[str]]:
    """For each file those that come before it."""
    paths = {each.file.rpartition("/")[2]: each.file for each in files}
    found: dict[str, frozenset[str]] = {}
    for each in files:
        directives = read_directives(each.head, each.shown)
        names = [name if name.endswith(".sql") else f"{name}.sql" for name in directives.after]
        missing = [name for name in names if name not in paths]
        if missing:
            raise _refused(each, directives.line, f"after={missing[0]}: there is no such file")
        found[each.file] = frozenset(paths[name] for name in names)
    return found


def _ordered(
    files: Sequence[RepeatableFile], after: Mapping[str, frozenset[str]]
) -> list[RepeatableFile]:
    """In name order as far as the headers allow it."""
    by_path = {each.file: each for each in files}
    sorter = graphlib.TopologicalSorter(after)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        circle = " after ".join(reversed(error.args[1]))
        raise _refused(
            by_path[error.args[1][0]], 1, f"they wait for each other: {circle}"
        ) from None
    ordered: list[RepeatableFile] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()])
        path = ready.pop(0)
        sorter.done(path)
        ordered.append(by_path[path])
    return ordered


def _refused(file: RepeatableFile, line: int, problem: str) -> SourceError:
    where = Location(file.shown, line)
    return SourceError(
        f"{where}: {problem}",
        code="InvalidDirective",
        hint="after= names other files of the folder repeatable, with or without .sql",
        location=where,
    )
