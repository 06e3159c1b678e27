"""Kinds of fields that several parts of the spec share, and how the API server explains them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from dbmigrate.api.base import PATTERN_MESSAGE, ApiModel, cel

DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"


def matching(pattern: str, message: str, rules: Mapping[str, str] | None = None) -> Any:
    """A pattern that the API server explains by a sentence, not by the pattern itself.

    Args:
        pattern: what the text must match.
        message: what is said of a text that does not.
        rules: further rules in CEL, and what is said of a text that breaks them.
    """
    further = cel(rules) if rules else {}
    return Field(pattern=pattern, json_schema_extra={PATTERN_MESSAGE: message, **further})


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    matching(
        r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "a name has lower-case letters, digits, '-' and '.', and begins and ends with a letter "
        "or digit",
    ),
]
Duration = Annotated[
    str,
    StringConstraints(max_length=32),
    matching(DURATION, "a duration is written like 500ms, 30s, 5m or 1h30m"),
]
Quantity = Annotated[
    str | int,
    Field(json_schema_extra={"x-kubernetes-int-or-string": True}),
]
Labels = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=63)]], Field(max_length=32)
]


class LocalReference(ApiModel):
    """Names an object in the resource's own namespace."""

    name: Name
    """Name of the object."""
