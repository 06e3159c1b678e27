"""The keys of an environment: ``DB_*``, ``MIGRATION_*`` and the rest, and what their values mean.

The keys are the source document's. They stand in an environment's file or in the process's
environment; what is wrong with a value is told with the place that it was read from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from dbmigrate.api.rules import DatabaseAhead, ForeignHistory, OutOfOrder
from dbmigrate.cli.options.parameters import MAX_RETRIES, parse_duration
from dbmigrate.cli.settings.server_settings import parse_settings
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


def read_process(process: Mapping[str, str], keys: Iterable[str] = KEYS) -> EnvironmentSettings:
    """The same keys, or some of them, from the process; empty values count as not set.

    Raises:
        UsageError: a value does not fit its key.
    """
    values = {key: process[key] for key in keys if process.get(key)}
    return interpret(values, lambda _key: None)


def interpret(values: Mapping[str, str], location: _Locate) -> EnvironmentSettings:
    """What the values mean.

    Args:
        values: texts by key; only known keys.
        location: where a key was read; None for the process's environment.

    Raises:
        UsageError: a value does not fit its key.
    """
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
