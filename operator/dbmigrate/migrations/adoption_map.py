"""A map from another tool's names to our versions: a file that a person wrote or corrected.

YAML (and so JSON) with one key for each migration, or CSV with two columns. A proposal is
written in the same form; what it leaves open must be filled in before it is taken.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from dbmigrate.errors import Location, UsageError
from dbmigrate.migrations.foreign import ForeignMigration
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.migrations.version import Version

_COLUMNS = 2
_Entry = tuple[str, str, int]
"""Key, version and line."""


def read_map(path: Path) -> dict[str, Version]:
    """Versions by the other tool's keys.

    Raises:
        UsageError: code InvalidMap, with file and line: it cannot be read, is neither form,
            has a key twice, or a value that is no version.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _invalid(path, 0, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _invalid(path, 0, "is not UTF-8") from error
    entries = _csv(path, text) if path.suffix.lower() == ".csv" else _yaml(path, text)
    found: dict[str, Version] = {}
    for key, value, line in entries:
        if key in found:
            raise _invalid(path, line, f"{key!r} stands twice")
        try:
            found[key] = Version.parse(value)
        except ValueError as error:
            raise _invalid(path, line, f"{key!r}: {error}") from None
    return found


def _yaml(path: Path, text: str) -> Iterator[_Entry]:
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _invalid(path, line, f"is not YAML: {error.problem or error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _invalid(path, 0, f"is not YAML: {error}") from error
    if tree is None:
        return
    if not isinstance(tree, yaml.MappingNode):
        raise _invalid(path, tree.start_mark.line + 1, "is no mapping of names to versions")
    for key, value in tree.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            raise _invalid(path, line, "a name and a version are expected, nothing nested")
        yield str(key.value), str(value.value), line


def _csv(path: Path, text: str) -> Iterator[_Entry]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        for row in reader:
            if not row or row[0].startswith("#"):
                continue
            if len(row) != _COLUMNS:
                raise _invalid(path, reader.line_num, "a name and a version are expected")
            yield row[0].strip(), row[1].strip(), reader.line_num
    except csv.Error as error:
        raise _invalid(path, reader.line_num, f"is not CSV: {error}") from error


def write_map(
    path: Path, proposal: Iterable[tuple[ForeignMigration, MigrationFile | None]]
) -> None:
    """Write a proposal; a file that is there is left alone.

    Raises:
        UsageError: code MapNotWritten.
    """
    lines = [
        "# What the other tool calls a migration, and the version of the file that stands for it.",
        "# A proposal: compare each line before you give it by --map.",
    ]
    for each, file in proposal:
        key = yaml.safe_dump(each.key, default_style='"', width=10_000, allow_unicode=True).strip()
        version = str(file.version) if file else ""
        lines.append(f"{key}: {version}  # {each.label} -> {file.file if file else '?'}")
    try:
        with path.open("x", encoding="utf-8") as file_object:
            file_object.write("\n".join(lines) + "\n")
    except FileExistsError:
        raise UsageError(
            f"{path}: there is such a file already",
            code="MapNotWritten",
            hint="give another name by --write-map, or remove it",
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}", code="MapNotWritten"
        ) from error


def _invalid(path: Path, line: int, problem: str) -> UsageError:
    where = Location(str(path), line)
    return UsageError(
        f"{where}: {problem}",
        code="InvalidMap",
        hint='lines like `"20240131094500": 1.2.0`; --write-map proposes them',
        location=where,
    )
