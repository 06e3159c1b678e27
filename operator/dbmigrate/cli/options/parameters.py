"""Kinds of values on the command line: durations, sizes, versions, paths, words."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from dbmigrate.durations import format_duration
from dbmigrate.errors import UsageError
from dbmigrate.migrations.version import Version

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(
    r"(?:(?P<h>\d{1,6})h)?(?:(?P<m>\d{1,6})m)?(?:(?P<s>\d{1,6}(?:\.\d{1,6})?)s)?(?:(?P<ms>\d{1,9})ms)?",
    re.ASCII,
)
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,6})?", re.ASCII)
_BYTES = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}
_SIZE = re.compile(r"(?P<number>\d{1,15}) ?(?P<unit>[kmgt]?b|)", re.ASCII | re.IGNORECASE)
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}
_AGE = re.compile(r"(?P<number>\d{1,5}) ?(?P<unit>[hdw])", re.ASCII)
MAX_DURATION = 7 * 24 * 3600.0
"""Seconds; PostgreSQL's own timeouts end at 24 days, and a week is a mistake already."""
MAX_RETRIES = 10_000
"""Of one file; with the pauses between them that is more than a day."""


def parse_duration(text: str) -> float:
    """Seconds from ``30s``, ``5m``, ``1h30m``, ``500ms``, or a plain number of seconds.

    Raises:
        ValueError: it is no such text, or more than `MAX_DURATION`.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        match = _DURATION.fullmatch(text)
        if match is None or not text:
            raise ValueError(
                f"{text!r} is not a duration: write 30s, 5m, 1h30m, 500ms, or plain seconds"
            )
        seconds = sum(float(match[unit] or 0) * factor for unit, factor in _UNITS.items())
    if seconds > MAX_DURATION:
        raise ValueError(f"{text!r} is more than {format_duration(MAX_DURATION)}")
    return seconds


class Duration(click.ParamType[float]):
    """A duration, as seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds from the text; a number is taken as it is (a default)."""
        if isinstance(value, int | float):
            return float(value)
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Size(click.ParamType[int]):
    """A number of bytes: ``256MB``, ``2GB``, ``0``; a unit is 1,024 of the one before."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Bytes from the text; a number is taken as it is (a default)."""
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(
                f"{value!r} is not a size: write 500kB, 256MB, 2GB or plain bytes", param, ctx
            )
        return int(match["number"]) * _BYTES[match["unit"].lower()]


class Age(click.ParamType[timedelta]):
    """How long ago: ``90d``, ``12w``, ``24h``."""

    name = "age"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """The time that has passed."""
        if isinstance(value, timedelta):
            return value
        match = _AGE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no age: write 90d, 12w or 24h", param, ctx)
        return timedelta(hours=int(match["number"]) * _HOURS[match["unit"]])


LATEST = "latest"
"""In place of a version that is a target: the newest of the source, as in the resource."""


class VersionType(click.ParamType[Any]):
    """A migration's version; where `zero` is given, ``0`` is the empty database.

    Where `latest` is given, that word stays as it is, for `or_latest`.
    """

    name = "version"

    def __init__(self, *, zero: bool = False, latest: bool = False) -> None:
        self._zero = zero
        self._latest = latest

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Version | str:
        """A `Version` from ``1.4.0``, ``v1.4.0`` or, where it may be, ``0``."""
        if isinstance(value, Version):
            return value
        text = str(value)
        if self._latest and text == LATEST:
            return LATEST
        if self._zero and text == "0":
            return Version(0, 0, 0)
        try:
            version = Version.parse(text)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if version == Version(0, 0, 0) and not self._zero:
            raise UsageError("0.0.0 is no migration's version", code="UnknownVersion")
        return version


def or_latest(
    _ctx: click.Context, _param: click.Parameter, value: Version | str | None
) -> Version | None:
    """A callback: the target, None for the newest."""
    return value if isinstance(value, Version) else None


class _Path(click.Path):
    """A path; an empty text is refused: ``--source "$UNSET"`` must not mean this folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if value == "":
            self.fail("it is empty", param, ctx)
        return super().convert(value, param, ctx)


FILE = _Path(path_type=Path, readable=False)
"""Whether it is there and can be read is said by who reads it, with a code and a hint."""


def one_of(*words: str) -> click.Choice[str]:
    """One of these words; the members of a StrEnum are such."""
    return click.Choice([str(word) for word in words])
