"""``config/environments/NAME.env``: where an environment's database is, and its rules.

The keys are the source document's. ``${VAR}`` comes from the process; a variable that
is not set is an error and never an empty text, since an empty password or host leads
to another database than the one that was meant. In single quotes nothing is replaced,
as in a shell.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dbmigrate.api.rules import DatabaseAhead, ForeignHistory, OutOfOrder
from dbmigrate.cli.options.parameters import MAX_RETRIES, parse_duration
from dbmigrate.cli.server_settings import parse_settings
from dbmigrate.cli.textfile import read_text
from dbmigrate.errors import Location, UsageError
from dbmigrate.lint.policy import NO_WISH, Wish, parse_level, parse_rules

CONNECTION_KEYS = {
    "DB_HOST": "host",
    "DB_PORT": "port",
    "DB_NAME": "dbname",
    "DB_USER": "user",
    "DB_PASSWORD": "password",
}
"""Each key, and libpq's keyword for it."""

INTEGER_KEYS = {
    "DB_POOL_SIZE": (1, 100_000),
    "DB_TIMEOUT": (1, 86_400_000),
    "MIGRATION_LOCK_RETRIES": (0, MAX_RETRIES),
}
"""Whole numbers, from and to. ``DB_TIMEOUT`` is milliseconds; the pool is the application's."""

DIRECT_KEYS = {"DB_DIRECT_HOST": "host", "DB_DIRECT_PORT": "port"}
"""The server itself, where DB_HOST and DB_PORT are a connection pooler's."""

SETTINGS_KEY = "MIGRATION_SETTINGS"
"""Parameters of the server for the migrations: ``work_mem=256MB; temp_buffers=64MB``."""

DURATION_KEYS = (
    "MIGRATION_LOCK_TIMEOUT",
    "MIGRATION_LOCK_RETRY_TIMEOUT",
    "MIGRATION_STATEMENT_TIMEOUT",
)
"""Durations, written as on the command line."""

FLAG_KEYS = (
    "MIGRATION_AUTO_APPLY",
    "MIGRATION_REQUIRE_APPROVAL",
    "BACKUP_ENABLED",
    "BACKUP_VERIFICATION",
    "DEBUG_QUERIES",
    "AUDIT_LOGGING",
)
RULE_KEYS: Mapping[str, tuple[str, ...]] = {
    "MIGRATION_OUT_OF_ORDER": tuple(OutOfOrder),
    "MIGRATION_DATABASE_AHEAD": tuple(DatabaseAhead),
    "MIGRATION_FOREIGN_HISTORY": tuple(ForeignHistory),
}
"""Each rule's key, and its values; an option rules over it."""
LINT_KEYS = ("MIGRATION_LINT", "MIGRATION_LINT_RULES")
KEYS = (
    *CONNECTION_KEYS,
    *DIRECT_KEYS,
    *INTEGER_KEYS,
    *DURATION_KEYS,
    SETTINGS_KEY,
    *FLAG_KEYS,
    *RULE_KEYS,
    *LINT_KEYS,
)

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)
_SINGLE_QUOTED = re.compile(r"[^=\n]*=[^\S\n]*'")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """What one source of ``DB_*`` and related keys says; None where it says nothing."""

    params: Mapping[str, str]
    """libpq keywords for the connection."""
    connect_timeout: float | None = None
    """Seconds."""
    flags: Mapping[str, bool] | None = None
    """The keys of `FLAG_KEYS` that are set."""
    numbers: Mapping[str, float] | None = None
    """The keys of `INTEGER_KEYS` and `DURATION_KEYS` that are set; durations in seconds."""
    rules: Mapping[str, str] | None = None
    """The keys of `RULE_KEYS` that are set."""
    lint: Wish = NO_WISH
    """What the keys of `LINT_KEYS` say."""
    direct: Mapping[str, str] | None = None
    """As `params`, for the address of the server itself."""
    server: Mapping[str, str] | None = None
    """Parameters of the server."""

    def flag(self, key: str) -> bool | None:
        """The value of one flag, or None when the source does not set it."""
        return (self.flags or {}).get(key)

    def __repr__(self) -> str:
        """Without the password."""
        shown = {k: "***" if k == "password" else v for k, v in self.params.items()}
        rest = f"{self.connect_timeout!r}, {self.flags!r}, {self.numbers!r}, {self.lint!r}, "
        rest += f"{self.direct!r}, {self.server!r}"
        return f"EnvironmentSettings({shown!r}, {rest})"


@dataclass(frozen=True, slots=True)
class _Entry:
    key: str
    value: str
    line: int


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
    return _interpret(values, location)


def read_process(process: Mapping[str, str], keys: Iterable[str] = KEYS) -> EnvironmentSettings:
    """The same keys, or some of them, from the process; empty values count as not set.

    Raises:
        UsageError: a value does not fit its key.
    """
    values = {key: process[key] for key in keys if process.get(key)}
    return _interpret(values, lambda _key: None)


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


def _interpret(values: Mapping[str, str], location: _Locate) -> EnvironmentSettings:
    params = _keywords(values, CONNECTION_KEYS, location)
    direct = _keywords(values, DIRECT_KEYS, location)
    for key in ("DB_PORT", "DB_DIRECT_PORT"):
        if key in values:
            _integer(values, key, (1, _MAX_PORT), location)
    if "port" in direct and "host" not in direct:
        direct = {**{key: params[key] for key in ("host",) if key in params}, **direct}
    numbers: dict[str, float] = {
        key: _integer(values, key, limits, location)
        for key, limits in INTEGER_KEYS.items()
        if key in values
    }
    numbers |= {key: _duration(values, key, location) for key in DURATION_KEYS if key in values}
    flags = {key: _flag(values, key, location) for key in FLAG_KEYS if key in values}
    timeout = numbers.get("DB_TIMEOUT")
    rules = {key: _choice(values, key, location) for key in RULE_KEYS if key in values}
    return EnvironmentSettings(
        params,
        None if timeout is None else timeout / 1000,
        flags,
        numbers,
        rules,
        _lint(values, location),
        direct or None,
        _server(values, location),
    )


def _lint(values: Mapping[str, str], location: _Locate) -> Wish:
    level, rules = (values.get(key) for key in LINT_KEYS)
    return Wish(
        None if level is None else parse_level(level, LINT_KEYS[0], location(LINT_KEYS[0])),
        {} if rules is None else parse_rules(rules, LINT_KEYS[1], location(LINT_KEYS[1])),
    )


def _keywords(
    values: Mapping[str, str], keys: Mapping[str, str], location: _Locate
) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, keyword in keys.items():
        if key in values:
            if not values[key]:
                raise _bad_value(key, "is empty", "remove the line, or give a value", location)
            found[keyword] = values[key]
    return found


def _server(values: Mapping[str, str], location: _Locate) -> dict[str, str] | None:
    if SETTINGS_KEY not in values:
        return None
    try:
        return parse_settings(values[SETTINGS_KEY])
    except ValueError as error:
        hint = "such as work_mem=256MB; maintenance_work_mem=1GB"
        raise _bad_value(SETTINGS_KEY, f"cannot be set: {error}", hint, location) from None


class _Locate(Protocol):
    """Where a key was read; only a type."""

    def __call__(self, key: str, /) -> Location | None: ...


def _integer(
    values: Mapping[str, str], key: str, limits: tuple[int, int], location: _Locate
) -> int:
    text = values[key]
    low, high = limits
    # No more digits than can fit: int() of a huge text takes long.
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(high))):
        hint = f"a whole number from {low} to {high}"
        if key == "DB_PORT" and text.startswith("tcp://"):
            hint += "; Kubernetes sets it for a Service named db: use enableServiceLinks: false"
        raise _bad_value(key, "is not a number", hint, location)
    number = int(text)
    if not low <= number <= high:
        raise _bad_value(key, "is out of range", f"from {low} to {high}", location)
    return number


def _duration(values: Mapping[str, str], key: str, location: _Locate) -> float:
    try:
        return parse_duration(values[key])
    except ValueError as error:
        raise _bad_value(key, f"is no duration: {error}", "such as 2s or 500ms", location) from None


def _flag(values: Mapping[str, str], key: str, location: _Locate) -> bool:
    text = values[key].lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise _bad_value(key, "is neither true nor false", "write true or false", location)


def _choice(values: Mapping[str, str], key: str, location: _Locate) -> str:
    text = values[key].lower()
    if text not in RULE_KEYS[key]:
        known = ", ".join(RULE_KEYS[key])
        raise _bad_value(key, f"is none of {known}", f"write one of {known}", location)
    return text


def _bad_value(key: str, problem: str, hint: str, location: _Locate) -> UsageError:
    place = location(key)
    where = f"{place}: " if place else ""
    return UsageError(f"{where}{key} {problem}", code="InvalidSetting", hint=hint, location=place)


def _error(path: Path, line: int, problem: str, hint: str) -> UsageError:
    place = Location(str(path), line)
    return UsageError(
        f"{place}: {problem}", code="InvalidEnvironmentFile", hint=hint, location=place
    )
