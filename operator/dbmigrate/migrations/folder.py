"""Reads folders of migrations and rollbacks: what is a file, what a link, what is none of ours.

Each file is opened once. Strings serve for paths, and a folder's own listing says what is a
link: there may be ten thousand files, of which each start of the runner reads every one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dbmigrate.errors import Location, SourceError
from dbmigrate.migrations.content import read_content
from dbmigrate.migrations.files import SourceFile
from dbmigrate.migrations.source import REPEATABLE, ROLLBACKS, VERIFY, Source, assemble, maker

_MISSPELT: Final = {
    "rollbacks": ROLLBACKS, "rollback": ROLLBACKS,
    "repeatable": REPEATABLE, "repeatables": REPEATABLE,
    "verify": VERIFY, "verifies": VERIFY, "verification": VERIFY,
}  # fmt: skip
_MAX_PROBLEMS: Final = 20


def read_source(folders: Sequence[Path]) -> Source:
    """Read and check whole folders.

    Raises:
        SourceError: a folder is missing or unreadable, a name does not fit, a version
            or a rollback is there twice, a rollback has no migration, a file is empty
            or not UTF-8, a link leaves its folder. All problems are in its message.
    """
    problems: list[SourceError] = []
    files: list[SourceFile] = []
    for folder in folders:
        try:
            files.extend(_read_folder(folder, problems))
        except SourceError as error:
            problems.append(error)
    source = assemble(files, problems)
    _raise_all(problems)
    return source


def _read_folder(folder: Path, problems: list[SourceError]) -> Iterator[SourceFile]:
    try:
        root = os.path.realpath(folder, strict=True)
        entries = _list(root)
    except OSError as error:
        raise SourceError(
            f"cannot read the folder of migrations {str(folder)!r}: {error.strerror}",
            code="SourceNotFound",
            hint="give the folder by --source DIR",
            location=Location(str(folder)),
        ) from error
    place = _Place(root, shown=str(folder / "_")[:-1])
    yield from _read_entries(place, entries, problems)
    for entry in entries:
        name = entry.name
        right = _MISSPELT.get(name.lower())
        if name == right:
            inner = replace(place, prefix=f"{name}/", is_link=entry.is_symlink())
            try:
                below = _list(entry.path)
            except OSError as error:
                problems.append(_unreadable(f"{place.shown}{name}", error.strerror))
            else:
                yield from _read_entries(inner, below, problems)
        elif right is not None and entry.is_dir():
            problems.append(_misspelt(f"{place.shown}{name}", right))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where files are read."""

    root: str
    """The folder itself, which no link may leave."""
    shown: str
    """What stands before a file's path within the folder when people are told of it."""
    prefix: str = ""
    """What stands before its name in that path."""
    is_link: bool = False


def _list(path: str) -> list[os.DirEntry[str]]:
    with os.scandir(path) as found:
        return sorted(found, key=lambda entry: entry.name)


def _read_entries(
    place: _Place, entries: Iterable[os.DirEntry[str]], problems: list[SourceError]
) -> Iterator[SourceFile]:
    for entry in entries:
        name = entry.name
        # Kubernetes mounts a ConfigMap's keys as links into a hidden folder `..data`.
        # A name in capitals (.SQL) is refused below: passed over, it would never be missed.
        if name.startswith(".") or not name.lower().endswith(".sql"):
            continue
        try:
            yield _read_file(place, entry, place.prefix + name)
        except SourceError as error:
            problems.append(error)


def _misspelt(shown: str, right: str) -> SourceError:
    """A folder that means something under a wrong name is a problem, not nothing."""
    return SourceError(
        f"{shown}: the folder is named {right}",
        code="InvalidFileName",
        hint=f"rename it to {right}",
        location=Location(shown),
    )


def _unreadable(shown: str, why: str | None) -> SourceError:
    return SourceError(
        f"{shown}: cannot be read: {why}", code="UnreadableFile", location=Location(shown)
    )


def _read_file(place: _Place, entry: os.DirEntry[str], file: str) -> SourceFile:
    shown = place.shown + file
    make = maker(file, shown)  # what has no name that fits is not read
    try:
        target = entry.path
        if place.is_link or entry.is_symlink():
            target = os.path.realpath(target, strict=True)
            if not target.startswith(f"{place.root.rstrip(os.sep)}{os.sep}"):
                raise SourceError(
                    f"{shown}: a link that leaves the folder, to {target}",
                    code="LinkLeavesFolder",
                    hint="put the file itself into the folder",
                    location=Location(shown),
                )
        if not entry.is_file():
            raise SourceError(
                f"{shown}: not a regular file", code="NotAFile", location=Location(shown)
            )
        content, is_empty = read_content(target, shown)
    except OSError as error:
        raise _unreadable(shown, error.strerror) from error
    if is_empty:
        raise SourceError(
            f"{shown}: the file is empty",
            code="EmptyFile",
            hint="a migration that does nothing on purpose says so: select 'nothing to do';",
            location=Location(shown),
        )
    return make(content)


def _raise_all(problems: Sequence[SourceError]) -> None:
    if not problems:
        return
    if len(problems) == 1:
        raise problems[0]
    shown = [f"- {each.message}" for each in problems[:_MAX_PROBLEMS]]
    if len(problems) > _MAX_PROBLEMS:
        shown.append(f"- and {len(problems) - _MAX_PROBLEMS} more")
    first = problems[0]
    raise SourceError(
        f"{len(problems)} problems in the migrations:\n" + "\n".join(shown),
        code=first.error_code,
        hint=first.hint,
        location=first.location,
    )
