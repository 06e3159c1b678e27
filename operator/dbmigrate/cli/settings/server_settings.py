"""``--set NAME=VALUE`` and ``MIGRATION_SETTINGS``: parameters of the server for the migrations.

What may be set is said by `dbmigrate.migrations.parameters`; whether the server accepts it,
by the server, before the first file. Three have options of their own, which are also
in the engine's hands: there is one way to give each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import click

from dbmigrate.migrations.parameters import ParameterRefusedError, check_parameter

SEPARATOR: Final = ";"
"""Between several in a variable or an environment's file; a value may hold blanks and commas."""
_OPTIONS: Final[Mapping[str, str]] = {
    "lock_timeout": "--lock-timeout, or MIGRATION_LOCK_TIMEOUT",
    "statement_timeout": "--statement-timeout, or MIGRATION_STATEMENT_TIMEOUT",
}


def parse_setting(text: str) -> tuple[str, str]:
    """Name and value of ``work_mem=256MB``; the name in small letters.

    Raises:
        ValueError: it is no such pair, or that parameter may not be set here.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not NAME=VALUE, such as work_mem=256MB")
    value = value.strip()
    key = check_parameter(name, value)
    if key in _OPTIONS:
        raise ParameterRefusedError(f"{key} has an option of its own: {_OPTIONS[key]}")
    return key, value


def parse_settings(text: str) -> dict[str, str]:
    """All pairs of a text such as ``work_mem=256MB; temp_buffers=64MB``.

    Raises:
        ValueError: one of them cannot be set, or is there twice.
    """
    return unique(parse_setting(part) for part in text.split(SEPARATOR) if part.strip())


def unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The pairs by name.

    Raises:
        ValueError: a name is there twice.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name} is given twice")
        found[name] = value
    return found


class ServerSetting(click.ParamType[tuple[str, str]]):
    """``NAME=VALUE``, as a pair."""

    name = "setting"
    envvar_list_splitter = SEPARATOR

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The pair; one that is already is taken as it is (a default)."""
        if isinstance(value, tuple):
            return value
        try:
            return parse_setting(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
