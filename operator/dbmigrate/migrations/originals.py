"""The other tool's own files, compared with ours statement by statement.

Most tools keep no checksum of what they ran, and those that do know it in their own form.
Where the tool's files are still there, they tell whether ours have the same SQL: comments,
white space and the statements that begin and end a transaction do not count.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dbmigrate.errors import Location, UsageError
from dbmigrate.migrations.content import read_content
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.migrations.sql.tokens import tokens
from dbmigrate.migrations.statements import StatementKind, classify, split
from dbmigrate.migrations.version import Version

_UNNUMBERED = Version(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Form:
    """How one tool's files are named, and where the way forward stands in them."""

    name: str
    """A regular expression of the whole file name; its group ``key`` is what the tool calls it."""
    begin: str = ""
    """How the line begins behind which the way forward stands, in lower case; or the whole file."""
    end: str = ""
    """How the line begins where it ends."""


@dataclass(frozen=True, slots=True)
class Original:
    """One of the tool's files."""

    file: MigrationFile
    """As it is, for the tool's own checksum."""
    forward: str
    """The SQL of the way forward."""


def canonical(key: str) -> str:
    """A key as the tool writes it into its table: numbers without zeros before them."""
    parts = re.split("[._]", key)
    if not all(part.isdecimal() for part in parts):
        return key
    return ".".join(part.lstrip("0") or "0" for part in parts)


def read_originals(folder: Path, form: Form | None) -> Mapping[str, Original]:
    """The tool's files by their keys.

    Raises:
        UsageError: the tool has no files of SQL, or the folder has none of its form
            (NoOriginals).
        SourceError: a file is not UTF-8.
    """
    if form is None:
        raise UsageError(
            "this tool's own files are no plain SQL, so there is nothing to compare",
            code="NoOriginals",
            hint="leave --originals out",
        )
    try:
        paths = sorted(path for path in folder.rglob("*.sql") if path.is_file())
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be read: {error.strerror}", code="NoOriginals"
        ) from error
    found: dict[str, Original] = {}
    for path in paths:
        match = re.fullmatch(form.name, path.name, re.ASCII)
        if match is None:
            continue
        key = canonical(match["key"])
        if key in found:
            raise UsageError(
                f"{path}: {found[key].file.path} has the number {key} too",
                code="NoOriginals",
                hint="give the folder that the tool itself reads",
                location=Location(str(path)),
            )
        found[key] = _original(path, form)
    if not found:
        raise UsageError(
            f"{folder} has no file of this tool",
            code="NoOriginals",
            hint="give the folder that the tool itself reads",
        )
    return found


def _original(path: Path, form: Form) -> Original:
    content, _ = read_content(path, str(path))
    file = MigrationFile(_UNNUMBERED, path.stem, path.name, content, path=str(path))
    return Original(file, _forward(file.sql, form))


def _forward(text: str, form: Form) -> str:
    if not form.begin:
        return text
    lines: list[str] = []
    is_within = False
    for line in text.splitlines(keepends=True):
        mark = " ".join(line.lower().split())
        if mark.startswith(form.end):
            is_within = False
        elif mark.startswith(form.begin):
            is_within = True
        elif is_within:
            lines.append(line)
    return "".join(lines)


def has_same_statements(file: MigrationFile, original: Original) -> bool:
    """Whether both have the same statements, token by token.

    Raises:
        SourceError: one of them cannot be read as SQL.
    """
    return _statements(file.sql, file.shown) == _statements(original.forward, original.file.shown)


def _statements(text: str, shown: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for statement in split(text, shown):
        if classify(statement)[0] is StatementKind.TRANSACTION_CONTROL:
            continue
        data = ""
        if statement.copy_data is not None:
            total = hashlib.sha256()
            for part in statement.copy_data:
                total.update(part)
            data = total.hexdigest()
        found.append((*tokens(statement.text), data))
    return found
