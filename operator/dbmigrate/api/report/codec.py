"""A report's dataclasses as JSON data, and back. Knows their shapes by their types alone."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def to_json(value: Any) -> Any:
    """A report's dataclass as JSON data: camelCase keys.

    None, empty lists and empty texts are left out where that is the field's default,
    so that `from_json` gives an equal value back.
    """
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    kind: Any = type(value)
    keys = _keys(kind)
    if keys is None:
        return value
    return {
        key: to_json(item)
        for name, key, default in keys
        if (item := getattr(value, name)) not in (None, "", ()) or item != default
    }


@cache
def _keys(kind: type) -> tuple[tuple[str, str, Any], ...] | None:
    """Each field's name, its key and its default, or None for what is no dataclass."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple((each.name, _camel(each.name), each.default) for each in dataclasses.fields(kind))


@cache
def _field_types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _convert(hint: Any, value: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        if value is None:
            return None
        (hint,) = (arg for arg in typing.get_args(hint) if arg is not type(None))
        return _convert(hint, value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, not {type(value).__name__}")
        item = typing.get_args(hint)[0]
        return tuple(_convert(item, each) for each in value)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast("type[Any]", hint), value)
    if issubclass(hint, StrEnum):
        return hint(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise TypeError(f"expected {hint.__name__}, not {type(value).__name__}")
    return value


def from_json(kind: type[T], data: Any) -> T:
    """The dataclass that `to_json` made the data from; unknown keys are ignored.

    Raises:
        ValueError: the data is not of that shape (a required key missing, a wrong type).
    """
    if not isinstance(data, dict):
        raise ValueError(f"{kind.__name__}: expected an object")  # noqa: TRY004 -- wrong data
    hints = _field_types(typing.cast("Any", kind))
    values: dict[str, Any] = {}
    for each in dataclasses.fields(typing.cast("Any", kind)):
        key = _camel(each.name)
        if key in data:
            try:
                values[each.name] = _convert(hints[each.name], data[key])
            except (TypeError, ValueError) as error:
                raise ValueError(f"{kind.__name__}.{key}: {error}") from error
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error
