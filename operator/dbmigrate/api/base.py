"""What all API models share: camelCase in a manifest, unknown fields refused, values frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

PATTERN_MESSAGE = "x-dbmigrate-pattern-message"
"""Key beside ``pattern`` in a field's schema: the sentence that a person reads when it does not
fit. The CRD then has a CEL rule with that message in the pattern's place."""


def cel(rules: Mapping[str, str]) -> dict[str, Any]:
    """Rules that the API server checks, for a schema's extra.

    Args:
        rules: each in CEL, and what is said of a value that breaks it.
    """
    return {
        "x-kubernetes-validations": [
            {"rule": rule, "message": message} for rule, message in rules.items()
        ]
    }


class ApiModel(BaseModel):
    """A part of a resource. A field's docstring becomes its description in the CRD."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )
