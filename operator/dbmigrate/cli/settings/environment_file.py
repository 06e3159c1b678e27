"""``config/environments/NAME.env``: how the file is found and read.

``${VAR}`` comes from the process; a variable that is not set is an error and never an empty
text, since an empty password or host leads to another database than the one that was meant.
In single quotes nothing is replaced, as in a shell.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dbmigrate.cli.options.merged import Common
from dbmigrate.cli.settings.environment_keys import KEYS, EnvironmentSettings, interpret
from dbmigrate.cli.textfile import read_text
from dbmigrate.errors import Location, UsageError

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)
_SINGLE_QUOTED = re.compile(r"[^=\n]*=[^\S\n]*'")


@dataclass(frozen=True, slots=True)
class _Entry:
    key: str
    value: str
    line: int


def environment_of(
    common: Common, process: Mapping[str, str], keys: Iterable[str] = KEYS
) -> tuple[Path, EnvironmentSettings | None]:
    """The file of the environment that is named, and what it says; None where there is no file.

    Raises:
        UsageError: the name cannot be one, or as `read_environment_file`.
    """
    if common.environment is None:
        return Path(), None
    folder = common.config / "environments"
    path = folder / f"{check_name(common.environment)}.env"
    try:
        exists = path.exists()
    except OSError:
        exists = True  # reading it tells what is wrong
    return path, read_environment_file(path, process, keys) if exists else None


def require_environment(common: Common, path: Path) -> None:
    """Where the folder is, the environment's missing file is a mistake."""
    folder = path.parent
    if folder.is_dir():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.env")))
        raise UsageError(
            f"environment {common.environment}: there is no {path}",
            code="UnknownEnvironment",
            hint=f"{folder} has {known or 'no file at all'}",
        )


def check_name(name: str) -> str:
    """The name, if it may name an environment: it becomes part of a path and of the history.

    Raises:
        UsageError: code InvalidEnvironment.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"{name!r} cannot name an environment: "
            "lower case letters, digits, - and _ are allowed, at most 63",
            code="InvalidEnvironment",
            hint="such as development, staging or production",
        )
    return name


def read_environment_file(
    path: Path, process: Mapping[str, str], keys: Iterable[str] = KEYS
) -> EnvironmentSettings:
    """Read one file; variables are resolved from `process`.

    Args:
        path: the file.
        process: the process's environment variables.
        keys: what is asked for; a variable that only others need may be missing.

    Raises:
        UsageError: with file and line: no ``KEY=VALUE``, an unknown key, a key twice, a
            variable that is not set, a value that does not fit its key.
    """
    entries: dict[str, _Entry] = {}
    wanted = frozenset(keys)
    for entry in _parse(path, process, wanted):
        if entry.key in entries:
            raise _error(path, entry.line, f"{entry.key} is set twice", "keep one of the lines")
        if entry.key not in KEYS:
            raise _error(
                path, entry.line, f"{entry.key} is not a known key", f"known are {', '.join(KEYS)}"
            )
        entries[entry.key] = entry

    def location(key: str) -> Location:
        return Location(str(path), entries[key].line)

    values = {key: entry.value for key, entry in entries.items() if key in wanted}
    return interpret(values, location)


def _parse(path: Path, process: Mapping[str, str], wanted: Collection[str]) -> Iterator[_Entry]:
    from dotenv.parser import parse_stream  # noqa: PLC0415 -- only who has such a file pays for it

    text = read_text(path, what="the environment file")
    for binding in parse_stream(io.StringIO(text)):
        original = binding.original.string
        # A binding begins with the blank lines before it.
        blank = len(original) - len(original.lstrip())
        line = binding.original.line + original.count("\n", 0, blank)
        if binding.key is None and not binding.error:
            continue  # a comment or blank lines
        if binding.error or binding.key is None or binding.value is None:
            raise _error(path, line, "the line is not KEY=VALUE", "comments begin with #")
        value = binding.value
        if binding.key in wanted and not _SINGLE_QUOTED.match(original.lstrip()):
            value = _resolve(value, process, path, line)
        if "\0" in value:
            raise _error(path, line, f"{binding.key} holds a NUL character", "remove it")
        yield _Entry(binding.key, value, line)


def _resolve(value: str, process: Mapping[str, str], path: Path, line: int) -> str:
    from dotenv.variables import Variable, parse_variables  # noqa: PLC0415 -- as above

    parts: list[str] = []
    for atom in parse_variables(value):
        if not isinstance(atom, Variable):
            parts.append(atom.resolve({}))
            continue
        found = process.get(atom.name) or atom.default
        if not found:
            state = "empty" if atom.name in process else "not set"
            raise _error(
                path,
                line,
                f"${{{atom.name}}} is {state} in the process's environment",
                f"set {atom.name} before the start",
            )
        parts.append(found)
    return "".join(parts)


def _error(path: Path, line: int, problem: str, hint: str) -> UsageError:
    place = Location(str(path), line)
    return UsageError(
        f"{place}: {problem}", code="InvalidEnvironmentFile", hint=hint, location=place
    )
